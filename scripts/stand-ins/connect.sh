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
  settings-from CONNECT_
} >/tmp/worker.properties
exec java -Xmx512m -cp '/kafka/libs/*' org.apache.kafka.connect.cli.ConnectDistributed /tmp/worker.properties
