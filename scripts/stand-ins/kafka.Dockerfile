FROM stand-in-java
COPY libs /opt/kafka/libs
COPY kafka.sh /opt/kafka/kafka.sh
RUN mkdir -p /opt/kafka/bin /var/lib/kafka/data \
    && ln -s ../kafka.sh /opt/kafka/bin/kafka-console-consumer.sh
VOLUME /var/lib/kafka/data
CMD ["/opt/kafka/kafka.sh"]
