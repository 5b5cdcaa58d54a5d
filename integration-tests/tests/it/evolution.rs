//! The source's schema changes while the program runs: rows go on as far as they fit, and nothing stops the loop.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::broker::{Broker, Sent, shared};
use crate::program::Program;

/// A row with the schema of its time, as Kafka Connect's JSON converter writes it.
fn created(fields: &[(&str, &str)], after: &Json, op: &str) -> (String, String) {
    let field = |(name, kind): &(&str, &str)| json!({ "field": name, "type": kind, "optional": true });
    let fields: Vec<Json> = fields.iter().map(field).collect();
    let row = |name: &str| json!({ "type": "struct", "field": name, "optional": true, "fields": fields });
    let op_field = json!({ "type": "string", "field": "op", "optional": false });
    let schema = json!({ "type": "struct", "fields": [row("before"), row("after"), op_field] });
    let payload = json!({ "before": null, "after": after, "source": { "ts_us": 1_704_067_200_000_000_i64 }, "op": op });
    (json!({ "id": after["id"] }).to_string(), json!({ "schema": schema, "payload": payload }).to_string())
}

fn send(broker: &Broker, topic: &str, records: &[(String, String)]) {
    let sent: Vec<_> = records.iter().map(|(key, value)| Sent::new(0, 1, key, value)).collect();
    broker.send(topic, &sent);
}

fn rows(program: &Program) -> Vec<Json> {
    let shown = program.succeeds(&["inspect", "--format", "json", "rows", "goods"]);
    serde_json::from_str(&shown).expect("JSON")
}

#[test]
fn columns_come_go_and_change_and_a_new_table_appears_while_rows_go_on() {
    let broker = shared();
    let config = format!(
        "[app]\nname = \"evolve\"\n[source]\nkind = \"kafka\"\nbrokers = \"{}\"\ntopics = \"^evolving\\\\..*\"\n",
        broker.address()
    );
    let program = Program::new(&config);
    broker.create_topic("evolving.s.goods", 1);
    let first = [("id", "int64"), ("amount", "int32"), ("name", "string"), ("colour", "string")];
    let row = |id: i64| json!({ "id": id, "amount": 1, "name": "a", "colour": "red" });
    send(broker, "evolving.s.goods", &[created(&first, &row(1), "c"), created(&first, &row(2), "c")]);
    program.succeeds(&["run", "--until-caught-up"]);
    assert_eq!(rows(&program).len(), 2);

    let mut run = program.start(&["run"]);
    let added = [first.as_slice(), &[("city", "string")]].concat();
    let widened = [("id", "int64"), ("amount", "int64"), ("name", "string"), ("colour", "string")];
    let dropped = [("id", "int64"), ("amount", "int64"), ("name", "string")];
    let renamed = [("id", "int64"), ("amount", "int64"), ("title", "string")];
    let conflicting = [("id", "int64"), ("amount", "string"), ("title", "string")];
    send(
        broker,
        "evolving.s.goods",
        &[
            created(&added, &json!({ "id": 3, "amount": 1, "name": "b", "colour": "red", "city": "x" }), "c"),
            created(&widened, &json!({ "id": 4, "amount": 5_000_000_000_i64, "name": "c", "colour": "red" }), "c"),
            created(&dropped, &json!({ "id": 5, "amount": 1, "name": "d" }), "c"),
            created(&dropped, &json!({ "id": 1, "amount": 2, "name": "a" }), "u"),
            created(&renamed, &json!({ "id": 2, "amount": 2, "title": "t" }), "u"),
            created(&conflicting, &json!({ "id": 6, "amount": "many", "title": "t" }), "c"),
            created(&conflicting, &json!({ "id": 7, "amount": "12", "title": "t" }), "c"),
        ],
    );
    broker.create_topic("evolving.s.news", 1);
    send(broker, "evolving.s.news", &[created(&first[..1], &json!({ "id": 1 }), "c")]);
    // The group is told the positions every few seconds: so the program has read them while it ran.
    let deadline = Instant::now() + Duration::from_secs(60);
    while broker.committed("evolve", "evolving.s.goods", 0) != Some(9) {
        assert!(run.try_wait().expect("a child").is_none(), "the loop has stopped");
        assert!(Instant::now() < deadline, "the rows do not arrive");
        std::thread::sleep(Duration::from_millis(100));
    }
    run.kill().expect("it runs");
    run.wait().expect("it ends");
    program.succeeds(&["run", "--until-caught-up"]);

    let found = rows(&program);
    let row = |id: i64| found.iter().find(|row| row["id"] == id).unwrap_or(&Json::Null);
    assert_eq!(*row(3), json!({ "id": 3, "amount": 1, "name": "b", "colour": "red" }), "an added column is not read");
    assert_eq!(row(4)["amount"], json!(5_000_000_000_i64), "a widened one is");
    assert_eq!((&row(5)["colour"], &row(1)["colour"]), (&Json::Null, &json!("red")), "a dropped one is null or stays");
    assert_eq!((&row(2)["name"], &row(2)["amount"]), (&json!("a"), &json!(2)), "a renamed one stays as it was");
    assert_eq!(*row(6), Json::Null, "a value that does not fit refuses its row");
    assert_eq!(row(7)["amount"], json!(12), "and only that one");
    let letters = program.succeeds(&["dlq", "list"]);
    assert!(letters.contains("field `amount` of table `goods`: `\"many\"`"), "{letters}");
    assert!(letters.contains("evolving.s.news"), "{letters}");
}
