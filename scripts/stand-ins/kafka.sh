#!/usr/bin/env bash
# Stands in for what the image apache/kafka starts: a broker whose settings are the variables KAFKA_*, or the console consumer.
set -euo pipefail

run() {
  exec java -cp '/opt/kafka/libs/*' "$@"
}

if [[ $0 == *kafka-console-consumer.sh ]]; then
  run -Xmx128m org.apache.kafka.tools.consumer.ConsoleConsumer "$@"
fi

settings-from KAFKA_ >/tmp/server.properties
# The image's own cluster, unless a variable names another.
(run kafka.tools.StorageTool format --ignore-formatted "--cluster-id=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" \
  -c /tmp/server.properties) >&2
run -Xmx256m kafka.Kafka /tmp/server.properties
