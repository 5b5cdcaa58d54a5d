//! Configs that say only where the records are and what to predict: the tables are learnt.

use std::fmt::Write as _;
use std::fs;

use serde_json::{Value as Json, json};

use crate::broker::{Sent, shared};
use crate::program::Program;

/// 2024-01-01, in microseconds.
const START_MICROS: i64 = 1_704_067_200_000_000;
const HOUR_MICROS: i64 = 3_600_000_000;

const TASK: &str = r#"
[tasks.churn]
query = "PREDICT COUNT(payments.*, 0, 5, days) = 0 FOR EACH customers.id"
refresh = "1d"
context_size = 50
"#;

/// A record as Kafka Connect's JSON converter writes it: topic, time in milliseconds, key, value.
type Record = (&'static str, i64, String, String);

fn field(name: &str, kind: &str) -> Json {
    json!({ "field": name, "type": kind, "optional": true })
}

/// A field of one of Connect's or Debezium's own types.
fn special(name: &str, kind: &str, class: &str) -> Json {
    json!({ "field": name, "type": kind, "optional": true, "name": class, "version": 1, "parameters": { "scale": "2" } })
}

fn record(topic: &'static str, fields: &[Json], after: &Json, micros: i64) -> Record {
    let id = json!({ "type": "struct", "fields": [{ "type": "int64", "optional": false, "field": "id" }] });
    let key = json!({ "schema": id, "payload": { "id": after["id"] } });
    let row = |name: &str| json!({ "type": "struct", "field": name, "optional": true, "fields": fields });
    let op = json!({ "type": "string", "field": "op", "optional": false });
    let schema = json!({ "type": "struct", "fields": [row("before"), row("after"), op] });
    let payload = json!({ "before": null, "after": after, "source": { "ts_us": micros }, "op": "c" });
    (topic, micros / 1_000, key.to_string(), json!({ "schema": schema, "payload": payload }).to_string())
}

/// Customers and their payments, by time.
fn shop() -> Vec<Record> {
    let time = |name| special(name, "int64", "io.debezium.time.MicroTimestamp");
    let amount = special("amount", "bytes", "org.apache.kafka.connect.data.Decimal");
    let customer = [field("id", "int64"), field("region", "string"), time("created_at"), time("updated_at")];
    let payment =
        [field("id", "int64"), field("customer_id", "int64"), amount, time("paid_at"), field("note", "string")];
    let mut records = Vec::new();
    for id in 0..20 {
        let region = ["north", "south"][usize::from(id % 2 == 0)];
        let after = json!({ "id": id, "region": region, "created_at": START_MICROS, "updated_at": START_MICROS });
        records.push(record("customers", &customer, &after, START_MICROS));
    }
    for id in 0..400 {
        let micros = START_MICROS + (id + 1) * HOUR_MICROS;
        let after = json!({ "id": id, "customer_id": id * 7 % 20, "amount": "MDk=", "paid_at": micros, "note": format!("n{id}") });
        records.push(record("payments", &payment, &after, micros));
    }
    records
}

fn table<'a>(check: &'a Json, name: &str) -> &'a Json {
    let tables = check["tables"].as_array().expect("a list of tables");
    tables.iter().find(|table| table["name"] == name).unwrap_or_else(|| panic!("no table {name}: {check}"))
}

fn columns(table: &Json) -> Vec<String> {
    let columns = table["columns"].as_array().expect("a list of columns");
    let text = |json: &Json| json.as_str().expect("a text").to_owned();
    columns.iter().map(|column| ["name", "type", "semantic"].map(|key| text(&column[key])).join(" ")).collect()
}

#[test]
fn tables_of_a_file_are_learnt_once_and_kept_with_the_store() {
    let config = format!("[source]\nkind = \"changes\"\nfiles = \"changes.jsonl\"\n{TASK}");
    let program = Program::new(&config);
    let path = program.folder().join("changes.jsonl");
    let mut text = String::new();
    for (topic, timestamp, key, value) in shop() {
        let line =
            json!({ "topic": format!("shop.public.{topic}"), "timestamp": timestamp, "key": key, "value": value });
        writeln!(text, "{line}").expect("text");
    }
    text.push_str(
        "{\"topic\":\"__debezium-heartbeat.shop\",\"key\":\"{}\",\"value\":\"{\\\"ts_ms\\\":1704067200000}\"}\n",
    );
    fs::write(&path, text).expect("a file in the temporary folder");

    let check: Json = serde_json::from_str(&program.succeeds(&["check", "--format", "json"])).expect("JSON");
    assert_eq!(check["learned"], json!(["customers", "payments"]));
    let payments = table(&check, "payments");
    assert_eq!((&payments["key"], &payments["time"]), (&json!(["id"]), &json!("paid_at")));
    assert_eq!(payments["foreign_keys"], json!([{ "columns": ["customer_id"], "parent": "customers" }]));
    let expected = ["id int id", "customer_id int id", "amount decimal number", "paid_at time time", "note text text"];
    assert_eq!(columns(payments), expected);
    let customers = table(&check, "customers");
    assert_eq!((&customers["key"], &customers["time"]), (&json!(["id"]), &json!("created_at")));
    assert_eq!(columns(customers)[1], "region text category");

    program.succeeds(&["replay", "--no-score"]);
    fs::remove_file(&path).expect("the file is there");
    let again: Json = serde_json::from_str(&program.succeeds(&["check", "--format", "json"])).expect("JSON");
    assert_eq!(again["tables"], check["tables"], "without the source the store knows its tables");
    program.configure(&format!("{config}[tables.payments]\ncolumns.note = {{ semantic = \"ignore\" }}\n"));
    let said: Json = serde_json::from_str(&program.succeeds(&["check", "--format", "json"])).expect("JSON");
    assert_eq!(columns(table(&said, "payments"))[4], "note text ignored", "what the config says goes first");
}

#[test]
fn a_run_needs_brokers_a_pattern_and_a_query() {
    let broker = shared();
    let config = format!(
        "[app]\nname = \"learner\"\n[source]\nkind = \"kafka\"\nbrokers = \"{}\"\ntopics = \"^learnt\\\\..*\"\n\
         [sink]\nkind = \"kafka\"\n{TASK}",
        broker.address()
    );
    let program = Program::new(&config);
    for (topic, partitions) in [("customers", 1), ("payments", 2)] {
        broker.create_topic(&format!("learnt.public.{topic}"), partitions);
    }
    let refused = program.fails(&["check"]);
    assert!(refused.contains("learnt.public.customers") && refused.contains("[tables.customers]"), "{refused}");

    let records = shop();
    for (topic, partitions) in [("customers", 1), ("payments", 2)] {
        let of_topic = (0..).zip(records.iter().filter(|record| record.0 == topic));
        let sent = of_topic.map(|(place, (_, time, key, value))| Sent::new(place % partitions, *time, key, value));
        broker.send(&format!("learnt.public.{topic}"), &sent.collect::<Vec<_>>());
    }
    program.succeeds(&["topics", "create", "--partitions", "1"]);
    program.succeeds(&["run", "--until-caught-up"]);
    let scored = broker.kcat("learner.churn", "%k\\n").lines().count();
    assert!(scored >= 20, "{scored} scores");
    assert_eq!(broker.kcat("learner.dlq", "%s\\n"), "");
    for (topic, partition, records) in [("customers", 0, 20), ("payments", 0, 200), ("payments", 1, 200)] {
        let told = broker.committed("learner", &format!("learnt.public.{topic}"), partition);
        assert_eq!(told, Some(records), "the consumer group shows how far topic {topic} has been read");
    }
}
