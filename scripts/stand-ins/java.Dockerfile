FROM debian:12-slim
RUN apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless && rm -rf /var/lib/apt/lists/*
COPY java.log4j2.properties /usr/local/share/log4j2.properties
COPY java.sh /usr/local/bin/settings-from
ENV JAVA_TOOL_OPTIONS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile=/usr/local/share/log4j2.properties"
