#!/usr/bin/env bash
# Stands in for what the image apache/kafka starts: a broker whose settings are the variables KAFKA_*, or the console consumer.
set -euo pipefail

run() {
  exec java "-Dlog4j2.configurationFile=/tmp/log4j2.properties" -cp '/opt/kafka/libs/*' "$@"
}

cat >/tmp/log4j2.properties <<'PROPERTIES'
appender.out.type=Console
appender.out.name=out
appender.out.target=SYSTEM_ERR
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
PROPERTIES

if [[ $0 == *kafka-console-consumer.sh ]]; then
  run -Xmx128m org.apache.kafka.tools.consumer.ConsoleConsumer "$@"
fi

# KAFKA_LOG_DIRS=x is log.dirs=x.
while IFS='=' read -r name value; do
  name=${name#KAFKA_}
  printf '%s=%s\n' "$(tr 'A-Z_' 'a-z.' <<<"$name")" "$value"
done < <(env | grep '^KAFKA_') >/tmp/server.properties

# The image's own cluster, unless a variable names another.
(run kafka.tools.StorageTool format --ignore-formatted "--cluster-id=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" \
  -c /tmp/server.properties) >&2
run -Xmx256m kafka.Kafka /tmp/server.properties
