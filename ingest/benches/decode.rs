//! Records decoded per second on one core: Debezium's envelope without and with schemas, and flattened rows.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::coerce::EpochUnit;
use ingest::decode::{ColumnHint, Format, Mapping, Record, Tables, decode};
use relational::{Column, ColumnId, DataType, EventTime, Position, Schema, Table, TableId};

const COLUMNS: [(&str, DataType, &str); 10] = [
    ("id", DataType::Int, r#""type":"int64""#),
    ("customer_id", DataType::Int, r#""type":"int32""#),
    ("terminal_id", DataType::Int, r#""type":"int32""#),
    (
        "amount",
        DataType::Decimal,
        r#""type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}"#,
    ),
    ("created_at", DataType::Time, r#""type":"int64","name":"io.debezium.time.MicroTimestamp""#),
    ("updated_at", DataType::Time, r#""type":"string","name":"io.debezium.time.ZonedTimestamp""#),
    ("day", DataType::Date, r#""type":"int32","name":"io.debezium.time.Date""#),
    ("status", DataType::Text, r#""type":"string""#),
    ("is_fraud", DataType::Bool, r#""type":"boolean""#),
    ("risk", DataType::Float, r#""type":"double""#),
];

const SOURCE: &str = r#"{"version":"3.7.0.Final","connector":"postgresql","name":"shop","ts_ms":1795536554810,"snapshot":"false","db":"app","sequence":"[\"26813400\",\"26813400\"]","ts_us":1795536554810497,"ts_ns":1795536554810497000,"schema":"public","table":"payments","txId":848,"lsn":26813400,"xmin":null,"origin":null,"origin_lsn":null}"#;

fn tables(format: Format) -> Tables {
    let columns = COLUMNS.iter().map(|(name, data_type, _)| Column::new(*name, *data_type)).collect();
    let table = Table { name: "payments".into(), columns, key: vec![ColumnId(0)], time: Some(ColumnId(4)) };
    let mut hints = vec![ColumnHint::default(); COLUMNS.len()];
    hints[3].scale = Some(2);
    hints[4].unit = Some(EpochUnit::Micros);
    let schema = Arc::new(Schema::new(vec![table], Vec::new()).expect("valid schema"));
    Tables::new(schema, vec![Mapping { table: TableId(0), topic: None, format, hints }]).expect("valid tables")
}

fn row(id: i64) -> String {
    format!(
        r#"{{"id":{id},"customer_id":{},"terminal_id":7,"amount":"BNI=","created_at":1704164645123456,"updated_at":"2024-01-02T01:04:05.123456Z","day":19724,"status":"settled","is_fraud":false,"risk":0.25}}"#,
        id % 5_000
    )
}

fn envelope(id: i64) -> String {
    let transaction = r#"{"id":"848:26813400","total_order":1,"data_collection_order":1}"#;
    format!(
        r#"{{"before":null,"after":{},"source":{SOURCE},"transaction":{transaction},"op":"u","ts_ms":1795536554998,"ts_us":1795536554998021,"ts_ns":1795536554998021466}}"#,
        row(id)
    )
}

fn wrapped(id: i64) -> String {
    let fields: Vec<String> = COLUMNS.iter().map(|(name, _, kind)| format!(r#"{{{kind},"field":"{name}"}}"#)).collect();
    let rows: Vec<String> = ["before", "after"]
        .iter()
        .map(|field| format!(r#"{{"type":"struct","field":"{field}","fields":[{}]}}"#, fields.join(",")))
        .collect();
    let schema = format!(r#"{{"type":"struct","fields":[{},{{"type":"string","field":"op"}}]}}"#, rows.join(","));
    format!(r#"{{"schema":{schema},"payload":{}}}"#, envelope(id))
}

fn speed(criterion: &mut Criterion) {
    let cases = [
        ("debezium, bare", Format::Debezium, envelope as fn(i64) -> String),
        ("debezium, with schemas", Format::Debezium, wrapped),
        ("flattened", Format::Flattened, row),
    ];
    let mut group = criterion.benchmark_group("decode");
    for (name, format, write) in cases {
        let tables = tables(format);
        let records: Vec<(String, String)> = (0..1_000).map(|id| (format!(r#"{{"id":{id}}}"#), write(id))).collect();
        let position = Position { topic: "shop.public.payments".into(), partition: 0, offset: 0 };
        group.throughput(Throughput::Elements(1_000));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for (key, value) in &records {
                    let record = Record {
                        origin: &position,
                        position: &position,
                        timestamp: Some(EventTime(0)),
                        key: Some(key.as_bytes()),
                        value: Some(value.as_bytes()),
                        headers: &[],
                    };
                    black_box(decode(&tables, &record).expect("a good record"));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, speed);
criterion_main!(benches);
