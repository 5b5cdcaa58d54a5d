#!/usr/bin/env bash
# Stands in for what the image quay.io/debezium/connect starts: a worker whose settings are variables.
set -euo pipefail

{
  printf 'bootstrap.servers=%s\ngroup.id=%s\n' "$BOOTSTRAP_SERVERS" "$GROUP_ID"
  printf 'config.storage.topic=%s\noffset.storage.topic=%s\nstatus.storage.topic=%s\n' \
    "$CONFIG_STORAGE_TOPIC" "$OFFSET_STORAGE_TOPIC" "$STATUS_STORAGE_TOPIC"
  printf 'key.converter=org.apache.kafka.connect.json.JsonConverter\n'
  printf 'value.converter=org.apache.kafka.connect.json.JsonConverter\n'
  printf 'listeners=http://%s:8083\nplugin.path=/kafka/connect\n' "$(hostname -i)"
  # CONNECT_CONFIG_PROVIDERS=x is config.providers=x.
  while IFS='=' read -r name value; do
    printf '%s=%s\n' "$(tr 'A-Z_' 'a-z.' <<<"${name#CONNECT_}")" "$value"
  done < <(env | grep '^CONNECT_')
} >/tmp/worker.properties
cat >/tmp/log4j2.properties <<'PROPERTIES'
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1} %m%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
PROPERTIES
exec java -Xmx512m -Dlog4j2.configurationFile=/tmp/log4j2.properties -cp '/kafka/libs/*' \
  org.apache.kafka.connect.cli.ConnectDistributed /tmp/worker.properties
