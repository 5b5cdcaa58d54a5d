//! Records whose schemas are in a registry: what it answers, what it does not, and what records become of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ingest::decode::{Format, Mapping, OwnedRecord, Tables, deliver};
use ingest::kafka::{KafkaSettings, KafkaSource};
use ingest::learning::{LearnedTable, learn_tables};
use ingest::ndjson::ChangeFiles;
use ingest::registry::{Credentials, Registry, RegistrySettings, Secret};
use ingest::{Delivery, Error, Source};
use relational::{Cell, Change, Column, ColumnId, DataType, Key, Op, Position, Schema, Table, TableId, Value};

use crate::broker::{Sent, shared};
use crate::files::root;

const PATIENCE: Duration = Duration::from_secs(20);

/// A registry that answers each path with a status and a body, and everything else as registries do.
pub(crate) struct Stand {
    address: String,
    answers: Arc<Mutex<BTreeMap<String, (u16, String)>>>,
    asked: Arc<AtomicUsize>,
    authorization: Arc<Mutex<Option<String>>>,
}

impl Stand {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let stand = Self { address, answers: Arc::default(), asked: Arc::default(), authorization: Arc::default() };
        let (answers, asked) = (Arc::clone(&stand.answers), Arc::clone(&stand.asked));
        let authorization = Arc::clone(&stand.authorization);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { break };
                let mut request = BufReader::new(&stream);
                let mut lines = request.by_ref().lines().map_while(Result::ok);
                let path = lines.next().and_then(|line| Some(line.split(' ').nth(1)?.to_owned())).unwrap_or_default();
                let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let header = |name: &str| {
                    let line = headers.iter().find(|line| line.to_lowercase().starts_with(name))?;
                    Some(line[name.len()..].to_owned())
                };
                let ours = header("authorization: ");
                let length = header("content-length: ").and_then(|length| length.parse().ok()).unwrap_or(0);
                // A connection that is closed with something unread in it may take the answer with it.
                std::io::copy(&mut request.take(length), &mut std::io::sink()).ok();
                *authorization.lock().expect("unpoisoned") = ours;
                asked.fetch_add(1, Ordering::Relaxed);
                let unknown = || (404, r#"{"error_code":40403,"message":"Schema not found"}"#.to_owned());
                let (status, body) = answers.lock().expect("unpoisoned").get(&path).cloned().unwrap_or_else(unknown);
                answer(&stream, status, &body);
            }
        });
        stand
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn settings(&self) -> RegistrySettings {
        RegistrySettings {
            url: self.address.clone(),
            credentials: Credentials::None,
            ca_file: None,
            timeout: Duration::from_secs(2),
        }
    }

    pub(crate) fn set(&self, path: &str, status: u16, body: &str) {
        self.answers.lock().expect("unpoisoned").insert(path.to_owned(), (status, body.to_owned()));
    }

    fn set_schema(&self, id: u32, schema: &str) {
        self.set(&format!("/schemas/ids/{id}"), 200, &serde_json::json!({ "schema": schema }).to_string());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(mut stream: &TcpStream, status: u16, body: &str) {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    // A client that has gone away is no fault of the test.
    stream.write_all(text.as_bytes()).ok();
}

const ROW: &str =
    r#"{"type":"record","name":"Row","fields":[{"name":"id","type":"long"},{"name":"name","type":["null","string"]}]}"#;

/// Table `rows` (key `id`, text `name`), fed by topic `rows`.
fn tables(format: Format, settings: RegistrySettings) -> Tables {
    let columns = vec![Column::new("id", DataType::Int), Column::new("name", DataType::Text)];
    let table = Table { name: "rows".into(), columns, key: vec![ColumnId(0)], time: None };
    let schema = Arc::new(Schema::new(vec![table], Vec::new()).expect("valid schema"));
    let mapping = Mapping { table: TableId(0), topic: None, format, hints: Vec::new() };
    let registry = Registry::new(settings).expect("valid settings");
    Tables::new(schema, vec![mapping]).expect("valid tables").with_registry(Some(Arc::new(registry)))
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> OwnedRecord {
    let position = Position { topic: "rows".into(), partition: 2, offset: 9 };
    let [key, value] = [key, value].map(|bytes| bytes.map(<[u8]>::to_vec));
    OwnedRecord { origin: position.clone(), position, timestamp: None, key, value, headers: Vec::new() }
}

/// Row 7 called `a`, by schema `id`.
fn row(id: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, id, 14, 2, 2, b'a']
}

fn try_to_read(tables: &Tables, record: OwnedRecord) -> Result<Delivery, Error> {
    let mut delivery = Delivery::default();
    let held = deliver(tables, record, &mut delivery)?;
    assert_eq!(held.is_some(), delivery.waiting.is_some());
    Ok(delivery)
}

fn read(tables: &Tables, key: Option<&[u8]>, value: Option<&[u8]>) -> Delivery {
    try_to_read(tables, record(key, value)).expect("the registry lets us in")
}

fn reason(delivery: &Delivery) -> &str {
    let [letter] = delivery.dead_letters.as_slice() else { panic!("not refused: {delivery:?}") };
    assert_eq!((letter.position.partition, letter.position.offset), (2, 9));
    &letter.reason
}

#[test]
fn a_schema_is_asked_for_once_and_its_records_are_read() {
    let stand = Stand::start();
    stand.set_schema(1, ROW);
    let tables = tables(Format::Upsert, stand.settings());
    for _ in 0..3 {
        let delivery = read(&tables, None, Some(&row(1)));
        let Op::Upsert(cells) = &delivery.changes[0].op else { panic!("{delivery:?}") };
        assert_eq!(cells[1], Cell::Value(Value::text("a")));
    }
    assert_eq!(stand.asked(), 1);
}

#[test]
fn key_and_value_are_each_in_their_own_form() {
    let stand = Stand::start();
    stand.set_schema(1, ROW);
    stand.set_schema(2, r#"{"type":"record","name":"Key","fields":[{"name":"id","type":"int"}]}"#);
    stand.set_schema(3, r#""long""#);
    let tables = tables(Format::Upsert, stand.settings());
    let keys: [&[u8]; 4] = [&[0, 0, 0, 0, 2, 14], &[0, 0, 0, 0, 3, 14], br#"{"id":7}"#, b"7"];
    for key in keys {
        for value in [Some(row(1)), Some(br#"{"id":7,"name":"a"}"#.to_vec()), None] {
            let delivery = read(&tables, Some(key), value.as_deref());
            assert_eq!(delivery.changes.len(), 1, "{delivery:?}");
            assert_eq!(delivery.changes[0].key, Key::single(Value::Int(7)));
        }
    }
}

#[test]
fn what_the_registry_does_not_know_refuses_only_its_record() {
    let stand = Stand::start();
    stand.set_schema(1, ROW);
    let tables = tables(Format::Upsert, stand.settings());
    let delivery = read(&tables, None, Some(&row(5)));
    let why = reason(&delivery);
    assert!(why.contains("schema 5 of registry http://127.0.0.1") && why.contains("replay the dead letters"), "{why}");
    assert_eq!(read(&tables, None, Some(&row(1))).changes.len(), 1);
    read(&tables, None, Some(&row(5)));
    assert_eq!(stand.asked(), 2, "what is unknown is not asked for again at once");
    // The row names itself, whatever its key may be.
    assert_eq!(read(&tables, Some(&[0, 0, 0, 0, 5, 14]), Some(&row(1))).changes.len(), 1);
    let why = read(&tables, Some(&[0, 0, 0, 0, 5, 14]), None);
    assert!(reason(&why).contains("the record's key: schema 5"), "{why:?}");
}

#[test]
fn damaged_frames_are_refused_with_their_place() {
    let stand = Stand::start();
    stand.set_schema(1, ROW);
    let tables = tables(Format::Upsert, stand.settings());
    let whole = row(1);
    for length in 1..whole.len() {
        let delivery = read(&tables, None, Some(&whole[..length]));
        let why = reason(&delivery);
        assert!(if length < 5 { why.contains("frame") } else { why.contains("schema 1 of registry") }, "{why}");
    }
    assert_eq!(stand.asked(), 1);
}

#[test]
fn while_the_registry_is_down_records_wait() {
    let stand = Stand::start();
    let tables = tables(Format::Upsert, stand.settings());
    stand.set("/schemas/ids/1", 503, "busy");
    let delivery = read(&tables, None, Some(&row(1)));
    let why = delivery.waiting.as_deref().expect("waiting");
    assert!(delivery.dead_letters.is_empty());
    for part in ["rows", "schema 1", &stand.address, "503"] {
        assert!(why.contains(part), "`{part}` is missing: {why}");
    }
    stand.set_schema(1, ROW);
    let deadline = Instant::now() + Duration::from_secs(20);
    while read(&tables, None, Some(&row(1))).changes.is_empty() {
        assert!(Instant::now() < deadline, "it never goes on");
        thread::sleep(Duration::from_millis(10));
    }
    // Few questions, for the wait between them grows.
    assert!(stand.asked() < 20, "{}", stand.asked());
}

#[test]
fn nobody_there_and_no_answer_are_waited_for_too() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent_address = format!("http://{}", silent.local_addr().expect("bound"));
    for (url, timeout) in [("http://127.0.0.1:1".to_owned(), 2_000), (silent_address, 200)] {
        let timeout = Duration::from_millis(timeout);
        let settings = RegistrySettings { url, credentials: Credentials::None, ca_file: None, timeout };
        let delivery = read(&tables(Format::Upsert, settings), None, Some(&row(1)));
        let why = delivery.waiting.expect("waiting");
        assert!(why.contains("check that it runs, and `source.registry.url`"), "{why}");
    }
}

#[test]
fn refused_credentials_and_what_is_no_registry_end_the_source() {
    let stand = Stand::start();
    let fatal = |status, body: &str| {
        stand.set("/schemas/ids/1", status, body);
        let tables = tables(Format::Upsert, stand.settings());
        try_to_read(&tables, record(None, Some(&row(1)))).expect_err("it ends").to_string()
    };
    assert!(fatal(401, "").contains("`username`"));
    assert!(fatal(404, "<html>").contains("`source.registry.url`"));
    assert!(fatal(404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#).contains("`source.registry.url`"));
    assert!(fatal(200, "<html>").contains("no schema registry"));
}

#[test]
fn credentials_are_sent_and_read_anew() {
    let stand = Stand::start();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").expect("writable");
    let ask = |credentials: Credentials, id| {
        let tables = tables(Format::Upsert, RegistrySettings { credentials, ..stand.settings() });
        drop(read(&tables, None, Some(&row(id))));
        stand.authorization.lock().expect("unpoisoned").clone()
    };
    let basic = Credentials::Basic("u".into(), Secret::Value("p".into()));
    assert_eq!(ask(basic, 1).as_deref(), Some("Basic dTpw"));
    assert_eq!(ask(Credentials::Bearer(Secret::File(file.clone())), 2).as_deref(), Some("Bearer first"));
    std::fs::write(&file, "second").expect("writable");
    assert_eq!(ask(Credentials::Bearer(Secret::File(file)), 3).as_deref(), Some("Bearer second"));
}

#[test]
fn references_are_followed() {
    let stand = Stand::start();
    let refers = |schema: &str, references: serde_json::Value| {
        serde_json::json!({ "schema": schema, "references": references }).to_string()
    };
    let reference = |name: &str, subject: &str| serde_json::json!({ "name": name, "subject": subject, "version": 3 });
    let outer = r#"{"type":"record","name":"Row","fields":[{"name":"id","type":"lib.Id"},{"name":"name","type":["null","string"]}]}"#;
    stand.set("/schemas/ids/1", 200, &refers(outer, serde_json::json!([reference("lib.Id", "lib/id")])));
    let id = r#"{"type":"record","name":"Id","namespace":"lib","fields":[{"name":"number","type":"lib.Number"}]}"#;
    stand.set(
        "/subjects/lib%2Fid/versions/3",
        200,
        &refers(id, serde_json::json!([reference("lib.Number", "n"), reference("lib.Id", "lib/id")])),
    );
    let number = r#"{"type":"record","name":"Number","namespace":"lib","fields":[{"name":"value","type":"long"}]}"#;
    stand.set("/subjects/n/versions/3", 200, &refers(number, serde_json::json!([])));
    let mut settings = stand.settings();
    settings.url.push('/');
    let delivery = read(&tables(Format::Append, settings), Some(b"7"), Some(&row(1)));
    // The nested record is no number, so it does not fit the column; but it was read.
    assert!(reason(&delivery).contains(r#"{"number":{"value":7}}"#), "{delivery:?}");
    assert_eq!(stand.asked(), 3);
}

/// The tables of `data/shop`, as the JSON capture's own schemas show them.
fn shop_tables(capture: &str, registry: Option<&Registry>) -> Vec<LearnedTable> {
    let mut sample = ChangeFiles::sample(&[shop(capture)], None, 1_000).expect("readable");
    registry.into_iter().for_each(|registry| registry.unframe_sample(&mut sample, PATIENCE).expect("it answers"));
    sample.topics.retain(|topic| !topic.ends_with(".transaction"));
    learn_tables(&sample, &[], &|topic| topic.rsplit('.').next().unwrap_or(topic).to_owned()).expect("tables")
}

pub(crate) fn shop(file: &str) -> PathBuf {
    root().join("integration-tests/data/shop").join(file)
}

pub(crate) fn shop_registry() -> Stand {
    let stand = Stand::start();
    let text = std::fs::read_to_string(shop("avro-schemas.json")).expect("readable");
    let schemas: BTreeMap<u32, serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    for (id, schema) in schemas {
        stand.set(&format!("/schemas/ids/{id}"), 200, &schema.to_string());
    }
    stand
}

/// What a capture says of the rows, in the order of the topics.
fn shop_changes(capture: &str, learned: &[LearnedTable], registry: Option<Registry>) -> Delivery {
    let table = |learned: &LearnedTable| {
        let columns: Vec<Column> =
            learned.columns.iter().map(|column| Column::new(&column.name, column.data_type)).collect();
        let place = |name: &String| columns.iter().position(|column| column.name == *name).expect("a column");
        let key = learned.key.iter().map(|name| ColumnId(u16::try_from(place(name)).expect("few columns"))).collect();
        Table { name: learned.table.clone(), columns, key, time: None }
    };
    let schema = Arc::new(Schema::new(learned.iter().map(table).collect(), Vec::new()).expect("valid schema"));
    let mapping = |table| Mapping { table: TableId(table), topic: None, format: Format::Debezium, hints: Vec::new() };
    let tables = Tables::new(schema, (0..).zip(learned).map(|(place, _)| mapping(place)).collect()).expect("valid");
    let tables = Arc::new(tables.with_registry(registry.map(Arc::new)));
    let mut source = ChangeFiles::open(&[shop(capture)], None, tables).expect("the capture is there");
    let delivery = source.poll(1_000, Duration::ZERO).expect("readable");
    assert!(delivery.caught_up && delivery.dead_letters.is_empty(), "{capture}: {:?}", delivery.dead_letters);
    delivery
}

#[test]
fn the_same_changes_in_avro_and_in_json_make_the_same_tables_and_rows() {
    let stand = shop_registry();
    let registry = || Registry::new(stand.settings()).expect("valid settings");
    let learned = shop_tables("json.jsonl.gz", None);
    assert_eq!(shop_tables("avro.jsonl.gz", Some(&registry())), learned);
    let (json, avro) =
        (shop_changes("json.jsonl.gz", &learned, None), shop_changes("avro.jsonl.gz", &learned, Some(registry())));
    // Apicurio's converter cannot be told to leave a null: it wrote the default of `country` in its place.
    let country = Cell::Value(Value::text("xx"));
    let defaulted = |op: &Op| match op {
        Op::Upsert(cells) if cells.len() == 8 && cells[2] == Cell::Value(Value::Null) => {
            let mut cells = cells.clone();
            cells[2] = country.clone();
            Op::Upsert(cells)
        }
        other => other.clone(),
    };
    let rows = |delivery: &Delivery, op: &dyn Fn(&Op) -> Op| -> Vec<_> {
        let row = |change: &Change| (change.table, change.key.clone(), op(&change.op), change.known);
        delivery.changes.iter().map(row).collect()
    };
    assert_eq!(rows(&avro, &Op::clone), rows(&json, &defaulted));
    assert_eq!(avro.set_aside, json.set_aside);
    // Nothing is compared with nothing.
    let table = |name: &str| learned.iter().position(|table| table.table == name).expect("learnt");
    let count = |name: &str| json.changes.iter().filter(|change| usize::from(change.table.0) == table(name)).count();
    assert_eq!((count("customers"), count("products"), count("orders")), (5, 3, 8));
}

#[test]
fn a_source_keeps_its_place_while_the_registry_is_down() {
    let broker = shared();
    broker.create_topic("held.rows", 1);
    let framed = String::from_utf8(row(1)).expect("small bytes");
    let (before, after) = (r#"{"id":1,"name":"x"}"#, r#"{"id":2,"name":"x"}"#);
    broker
        .send("held.rows", &[Sent::new(0, 1, "1", before), Sent::new(0, 2, "7", &framed), Sent::new(0, 3, "2", after)]);
    let stand = Stand::start();
    stand.set("/schemas/ids/1", 503, "busy");
    let settings = KafkaSettings::new(broker.address(), vec!["held.rows".into()], "held");
    let tables = Arc::new(tables(Format::Upsert, stand.settings()));
    let mut source = KafkaSource::connect(settings, tables).expect("the broker answers");
    let mut offsets = Vec::new();
    let deadline = Instant::now() + PATIENCE * 3;
    let mut waits = 0;
    loop {
        assert!(Instant::now() < deadline, "it never goes on: {offsets:?}");
        let delivery = source.poll(10, Duration::from_millis(100)).expect("the source goes on");
        offsets.extend(delivery.changes.iter().map(|change| change.position.offset));
        waits += usize::from(delivery.waiting.is_some());
        if delivery.waiting.is_some() {
            assert!(!delivery.caught_up && delivery.dead_letters.is_empty(), "{delivery:?}");
            assert_eq!(offsets, [0], "nothing overtakes the record that waits");
        }
        if waits == 5 {
            stand.set_schema(1, ROW);
        }
        if delivery.caught_up {
            break;
        }
    }
    assert_eq!((offsets.as_slice(), waits >= 5), ([0, 1, 2].as_slice(), true));
}
