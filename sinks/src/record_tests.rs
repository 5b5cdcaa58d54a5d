use std::sync::Arc;

use proptest::prelude::*;
use relational::{Column, ContextId, DataType, Key, Position, Reason, RowKey, Sequence, Table, TableId};

use super::*;

fn schema() -> Schema {
    let column = Column::new("id", DataType::Int);
    let table =
        Table { name: "customers".into(), columns: vec![column], key: vec![relational::ColumnId(0)], time: None };
    Schema::new(vec![table], vec![]).expect("valid")
}

fn origin() -> Origin {
    Origin { app: "shop".into(), config_hash: 0xabc }
}

fn score() -> Score {
    Score {
        task: "churn".into(),
        entity: RowKey { table: TableId(0), key: Key::single(Value::Int(17)) },
        prediction: Some(Prediction::Binary(0.25)),
        cutoff: EventTime(1_706_702_400_000_000),
        sequence: Sequence(99),
        model: "baseline".into(),
        fallback: None,
        context: ContextId(0x1f),
        examples: 5_000,
        revision: 0,
        reason: Reason::Trigger,
        trigger: Some(Position { topic: "shop.public.orders".into(), partition: 2, offset: 41 }),
        truncated: false,
    }
}

fn record(score: &Score) -> ScoreRecord {
    let latency = Latency { queue_micros: 1_500, sample_micros: 20, infer_micros: 7 };
    ScoreRecord::new(score, &schema(), &origin(), EventTime(1_706_702_401_000_001), Some(&latency))
}

#[test]
fn a_score_has_the_documented_value() {
    let expected = concat!(
        r#"{"task":"churn","entity":{"table":"customers","key":17},"prediction":{"probability":0.25},"#,
        r#""cutoff":"2024-01-31T12:00:00.000000Z","known_as_of":99,"scored_at":"2024-01-31T12:00:01.000001Z","#,
        r#""model":"baseline","fallback":null,"context":"000000000000001f","examples":5000,"revision":0,"#,
        r#""reason":"trigger","trigger":{"topic":"shop.public.orders","partition":2,"offset":41},"truncated":false,"#,
        r#""config_hash":"0000000000000abc","latency_ms":{"queue":1.5,"sample":0.02,"infer":0.007}}"#
    );
    assert_eq!(record(&score()).value.as_deref(), Some(expected));
    assert_eq!(record(&score()).key, "17");
}

#[test]
fn headers_are_cloud_events_in_binary_mode() {
    let record = record(&score());
    let headers = record.headers();
    let value = |name: &str| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
    assert_eq!(value("ce_specversion"), Some("1.0"));
    assert_eq!(value("ce_id"), Some(record.id_text().as_str()));
    assert_eq!(value("ce_source"), Some("/foreshore/shop"));
    assert_eq!(value("ce_type"), Some("foreshore.score.v1"));
    assert_eq!(value("ce_time"), Some("2024-01-31T12:00:00.000000Z"));
    assert_eq!(value("ce_subject"), Some("churn/customers/17"));
    assert_eq!(value("content-type"), Some("application/json"));
}

#[test]
fn a_deleted_entity_is_a_tombstone() {
    let gone = record(&Score { prediction: None, reason: Reason::Delete, ..score() });
    assert_eq!(gone.value, None);
    assert!(gone.headers().contains(&("ce_type", "foreshore.score.deleted.v1".into())));
    assert_ne!(gone.id, record(&score()).id);
}

#[test]
fn the_id_follows_what_the_score_is_made_of() {
    let id = |score: &Score| record(score).id;
    let first = id(&score());
    let entity = RowKey { table: TableId(0), key: Key::single(Value::Int(18)) };
    let others = [
        Score { task: "churned".into(), ..score() },
        Score { entity, ..score() },
        Score { cutoff: EventTime(1), ..score() },
        Score { revision: 1, ..score() },
        Score { model: "last-k".into(), ..score() },
        Score { context: ContextId(2), ..score() },
    ];
    assert!(others.iter().all(|other| id(other) != first));
    let later = ScoreRecord::new(&score(), &schema(), &origin(), EventTime(0), None);
    assert_eq!(later.id, first, "when a score was made does not matter");
}

#[test]
fn every_kind_of_prediction_has_its_form() {
    let form = |prediction| {
        let value = record(&Score { prediction: Some(prediction), ..score() }).value.expect("a value");
        let value: serde_json::Value = serde_json::from_str(&value).expect("JSON");
        value["prediction"].to_string()
    };
    let classes = vec![(Value::text("a"), 0.75), (Value::Int(2), 0.25)];
    let expected = r#"{"classes":[{"class":"a","probability":0.75},{"class":2,"probability":0.25}]}"#;
    assert_eq!(form(Prediction::Multiclass(classes)), expected);
    let quantiles = Prediction::Quantiles([1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5]);
    let expected = concat!(
        r#"{"median":5.5,"quantiles":{"q05":1.5,"q15":2.5,"q25":3.5,"q40":4.5,"q50":5.5,"q60":6.5,"q75":7.5,"#,
        r#""q85":8.5,"q95":9.5}}"#
    );
    assert_eq!(form(quantiles), expected);
    assert_eq!(form(Prediction::Binary(f64::NAN)), r#"{"probability":null}"#);
    let ranking = Prediction::Ranking(vec![(Value::text("b"), 0.5), (Value::Int(7), 0.25)]);
    let expected = r#"{"ranking":[{"key":"b","probability":0.5},{"key":7,"probability":0.25}]}"#;
    assert_eq!(form(ranking), expected);
    let window = |start, end| Window { start: EventTime(start), end: EventTime(end) };
    let windows = vec![
        (window(0, EventTime::SECOND), Prediction::Binary(0.5)),
        (window(EventTime::SECOND, i64::MAX), Prediction::Binary(0.25)),
    ];
    let expected = concat!(
        r#"{"forecast":[{"after":"1970-01-01T00:00:00.000000Z","until":"1970-01-01T00:00:01.000000Z","#,
        r#""probability":0.5},{"after":"1970-01-01T00:00:01.000000Z","until":null,"probability":0.25}]}"#
    );
    assert_eq!(form(Prediction::Forecast(windows)), expected);
}

proptest! {
    #[test]
    fn any_entity_and_number_make_valid_json(key in relational::arbitrary::key(), number: f64, cutoff: i64) {
        let entity = RowKey { table: TableId(0), key };
        let prediction = Some(Prediction::Binary(number));
        let score = Score { entity, prediction, cutoff: EventTime(cutoff), fallback: Some(Arc::from("a\"\n")), ..score() };
        let record = record(&score);
        let value: serde_json::Value = serde_json::from_str(&record.value.expect("a value")).expect("JSON");
        let read = value["prediction"]["probability"].as_f64();
        prop_assert_eq!(read.map(f64::to_bits), number.is_finite().then_some(number.to_bits()));
        let key: serde_json::Value = serde_json::from_str(&record.key).expect("JSON");
        prop_assert_eq!(&value["entity"]["key"], &key);
    }
}
