//! What Debezium's records tell of the source's transactions (`provide.transaction.metadata=true`): each row names its
//! own, and a topic beside the tables' tells how many rows each has.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Record, connect};
use crate::hold::Mark;

/// The topic of one connector's transactions, and so the start of the names of its other topics.
#[derive(Debug)]
pub(crate) struct TransactionTopic {
    name: String,
    /// With the dot behind it.
    prefix: String,
}

/// What a record tells.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: it is about no transaction.
    Nothing,
    /// What it has to do with one.
    Mark(Mark),
    /// It is a change that must have had one, but names none.
    Unnamed,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Row<'a> {
    #[serde(borrow)]
    op: Option<Cow<'a, str>>,
    #[serde(borrow)]
    transaction: Option<Block<'a>>,
    #[serde(borrow, rename = "__transaction_id")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "__transaction_data_collection_order")]
    number: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    data_collection_order: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct End<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    data_collections: Option<Vec<Collection<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Collection<'a> {
    #[serde(borrow)]
    data_collection: Cow<'a, str>,
    event_count: u64,
}

impl TransactionTopic {
    /// `<prefix>.transaction`, or another word behind the last dot.
    pub(crate) fn new(name: &str) -> Self {
        let prefix = name.rsplit_once('.').map_or("", |(prefix, _)| prefix);
        Self { name: name.to_owned(), prefix: format!("{prefix}.") }
    }

    /// What a record tells. `reads`: whether rows of this topic are read.
    pub(crate) fn told(&self, reads: &dyn Fn(&str) -> bool, record: &Record<'_>) -> Told {
        let topic = &record.origin.topic;
        if **topic == *self.name {
            return self.end(reads, record).map_or(Told::Nothing, Told::Mark);
        }
        if !topic.starts_with(&self.prefix) || !reads(topic) {
            return Told::Nothing;
        }
        let row = payload(record).and_then(|json| serde_json::from_str::<Row<'_>>(json).ok()).unwrap_or_default();
        let header = |name: &str| {
            let (_, bytes) = record.headers.iter().find(|(header, _)| header == name)?;
            Some(str::from_utf8(bytes.as_deref()?).ok()?.trim_matches('"'))
        };
        let flattened = || {
            let id = row.id.as_deref().or_else(|| header("__transaction_id"))?;
            let number = row.number.map(RawValue::get).or_else(|| header("__transaction_data_collection_order"));
            Some((id, number.and_then(|number| number.parse().ok())))
        };
        let block =
            row.transaction.as_ref().and_then(|block| Some((block.id.as_deref()?, block.data_collection_order)));
        match block.or_else(flattened) {
            Some((id, number)) => Told::Mark(Mark::Row { transaction: name(id), topic: Arc::clone(topic), number }),
            None if matches!(row.op.as_deref(), Some("u" | "d")) => Told::Unnamed,
            None => Told::Nothing,
        }
    }

    /// Topics are named like what they hold, as far as Kafka allows its letters.
    fn end(&self, reads: &dyn Fn(&str) -> bool, record: &Record<'_>) -> Option<Mark> {
        let end: End<'_> = serde_json::from_str(payload(record)?).ok().filter(|end: &End<'_>| end.status == "END")?;
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let topic = |collection: &Collection<'_>| {
            let letters = collection.data_collection.chars();
            let safe: String = letters.map(|letter| if allowed(letter) { letter } else { '_' }).collect();
            format!("{}{safe}", self.prefix)
        };
        let collections = end.data_collections.iter().flatten();
        let counts = collections.map(|collection| (topic(collection), collection.event_count));
        let counts = counts.filter(|(topic, _)| reads(topic)).map(|(topic, count)| (topic.into(), count));
        Some(Mark::End { transaction: name(&end.id), counts: counts.collect() })
    }
}

fn payload<'a>(record: &Record<'a>) -> Option<&'a str> {
    let text = str::from_utf8(record.value?).ok()?.trim();
    Some(connect::unwrap(text).map_or(text, |(_, payload)| payload))
}

/// PostgreSQL's are `number:place in its log`, and every record of one transaction tells another place. Those of other
/// databases have no such form.
fn name(id: &str) -> Arc<str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match id.split_once(':') {
        Some((number, place)) if is_number(number) && is_number(place) => number.into(),
        _ => id.into(),
    }
}

#[cfg(test)]
mod tests {
    use relational::Position;

    use super::super::Header;
    use super::*;

    fn told(topic: &str, value: Option<&str>, headers: &[Header]) -> Told {
        let position = Position { topic: topic.into(), partition: 0, offset: 0 };
        let (key, value) = (None, value.map(str::as_bytes));
        let record = Record { origin: &position, position: &position, timestamp: None, key, value, headers };
        TransactionTopic::new("s2.transaction").told(&|topic| topic != "s2.inv.other", &record)
    }

    fn row(transaction: &str, number: Option<u64>) -> Told {
        let (transaction, topic) = (transaction.into(), "s2.inv.cust".into());
        Told::Mark(Mark::Row { transaction, topic, number })
    }

    #[test]
    fn rows_name_their_transaction() {
        let value = r#"{"before":null,"after":{"id":1},"op":"c","transaction":{"id":"854:26814664","total_order":1,"data_collection_order":2}}"#;
        assert_eq!(told("s2.inv.cust", Some(value), &[]), row("854", Some(2)));
        let wrapped = format!(r#"{{"schema":{{"type":"struct"}},"payload":{value}}}"#);
        assert_eq!(told("s2.inv.cust", Some(&wrapped), &[]), row("854", Some(2)));
        assert_eq!(told("s2.inv.other", Some(value), &[]), Told::Nothing, "its rows are not read");
        assert_eq!(told("s3.inv.cust", Some(value), &[]), Told::Nothing, "it is another connector's");
    }

    #[test]
    fn flattened_rows_name_it_in_fields_or_headers() {
        let value = r#"{"id":1,"__transaction_id":"3E11FA47-71CA:23","__transaction_data_collection_order":4}"#;
        assert_eq!(told("s2.inv.cust", Some(value), &[]), row("3E11FA47-71CA:23", Some(4)));
        let headers = [("__transaction_id".to_owned(), Some(b"\"9:1\"".to_vec()))];
        assert_eq!(told("s2.inv.cust", None, &headers), row("9", None));
    }

    #[test]
    fn rows_of_a_snapshot_belong_to_none_and_updates_without_one_are_noticed() {
        assert_eq!(told("s2.inv.cust", Some(r#"{"after":{"id":1},"op":"r","transaction":null}"#), &[]), Told::Nothing);
        assert_eq!(told("s2.inv.cust", Some(r#"{"after":{"id":1},"op":"u","transaction":null}"#), &[]), Told::Unnamed);
        assert_eq!(told("s2.inv.cust", None, &[]), Told::Nothing, "a tombstone");
        assert_eq!(told("s2.inv.cust", Some("{broken"), &[]), Told::Nothing);
    }

    #[test]
    fn an_end_counts_the_rows_that_are_read() {
        let end = r#"{"status":"END","id":"854:26815136","event_count":4,"data_collections":[{"data_collection":"inv.other","event_count":1},{"data_collection":"inv.a b","event_count":1},{"data_collection":"inv.cust","event_count":2}],"ts_ms":1}"#;
        let counts = vec![("s2.inv.a_b".into(), 1), ("s2.inv.cust".into(), 2)];
        let expected = Told::Mark(Mark::End { transaction: "854".into(), counts });
        assert_eq!(told("s2.transaction", Some(end), &[]), expected);
        let empty = r#"{"status":"END","id":"856:26840384","event_count":0,"data_collections":[],"ts_ms":1}"#;
        let expected = Told::Mark(Mark::End { transaction: "856".into(), counts: Vec::new() });
        assert_eq!(told("s2.transaction", Some(empty), &[]), expected);
        let begin = r#"{"status":"BEGIN","id":"854:26814664","event_count":null,"data_collections":null,"ts_ms":1}"#;
        assert_eq!(told("s2.transaction", Some(begin), &[]), Told::Nothing);
    }

    #[test]
    fn only_the_numbers_of_postgresql_leave_out_the_place() {
        assert_eq!(&*name("854:26814664"), "854");
        for whole in ["3E11FA47-71CA-11E1-9E33-C80AA9429562:23", "00000025:00000448:0003", "0-1-100", "7:", ":7"] {
            assert_eq!(&*name(whole), whole);
        }
    }
}
