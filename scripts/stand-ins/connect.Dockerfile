FROM stand-in-java
COPY libs /kafka/libs
COPY plugins /kafka/connect
COPY connect.sh /docker-entrypoint.sh
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["start"]
