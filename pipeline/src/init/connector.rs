//! A Debezium connector for the tables of a catalogue.

use serde_json::json;

use super::catalogue::Catalogue;

/// What Kafka Connect's REST interface takes for a new connector. The password is asked of the worker's environment.
pub(super) fn write(catalogue: &Catalogue, prefix: &str) -> String {
    let slot: String =
        prefix.to_lowercase().chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    let tables: Vec<String> = catalogue
        .tables
        .iter()
        .map(|table| format!("{}.{}", catalogue.schema, table.name.replace('.', "\\.")))
        .collect();
    let mut config = json!({
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": catalogue.host.as_deref().unwrap_or("127.0.0.1"),
        "database.port": catalogue.port.unwrap_or(5_432).to_string(),
        "database.user": catalogue.user,
        // Needs config.providers=env and config.providers.env.class=..EnvVarConfigProvider in the worker.
        "database.password": "${env:PGPASSWORD}",
        "database.dbname": catalogue.database,
        "plugin.name": "pgoutput",
        "slot.name": format!("{slot}_foreshore"),
        "publication.name": format!("{slot}_foreshore"),
        "publication.autocreate.mode": "filtered",
        "topic.prefix": prefix,
        "table.include.list": tables.join(","),
        "snapshot.mode": "initial",
        "decimal.handling.mode": "precise",
        "time.precision.mode": "adaptive",
        "tombstones.on.delete": "true",
        "heartbeat.interval.ms": "10000",
        "provide.transaction.metadata": "true",
        "topic.creation.default.replication.factor": "-1",
        "topic.creation.default.partitions": "1",
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.replace.null.with.default": "false"
    });
    if catalogue.tables.iter().any(|table| table.partitioned) {
        config["publish.via.partition.root"] = json!("true");
    }
    format!("{:#}\n", json!({ "name": prefix, "config": config }))
}
