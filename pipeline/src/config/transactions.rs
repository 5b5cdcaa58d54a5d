//! `source.consistency` and `[source.transactions]`.

use std::time::Duration;

use ingest::kafka::TransactionSettings;

use super::raw::{RawConsistency, RawSource, RawSourceKind};
use super::report::{ConfigError, Document};

/// Records that may wait, unless the config says: one store commit of ten times the usual size.
const RECORDS: usize = 10_000;

/// Their bytes.
const BYTES: u64 = 64 << 20;

/// How long a transaction may take: a topic that has just come into being is found within half of it.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn check(
    document: &Document,
    raw: &RawSource,
    kind: RawSourceKind,
) -> Result<Option<TransactionSettings>, ConfigError> {
    const CONSISTENCY: [&str; 2] = ["source", "consistency"];
    const SECTION: [&str; 2] = ["source", "transactions"];
    if raw.consistency != Some(RawConsistency::Transaction) {
        return match raw.transactions {
            None => Ok(None),
            Some(_) => Err(document
                .error(&SECTION, "`[source.transactions]` goes with consistency = \"transaction\"")
                .hint("say so in [source], or remove the section")),
        };
    }
    if kind != RawSourceKind::Kafka {
        let error = document.error(&CONSISTENCY, "consistency = \"transaction\" goes with kind = \"kafka\"");
        return Err(error.hint("files come in one order; remove it"));
    }
    let section = raw.transactions.clone().unwrap_or_default();
    let example = example(&raw.topics.0);
    let Some(topic) = section.topic else {
        let error = document.error(&CONSISTENCY, "it needs the topic that tells of the source's transactions");
        return Err(error.hint(format!(
            "add [source.transactions] with topic = \"{example}\", and set the connector's \
             `provide.transaction.metadata` to `true`"
        )));
    };
    if topic.0.rsplit_once('.').is_none_or(|(prefix, word)| prefix.is_empty() || word.is_empty()) {
        let error = document.error(&[SECTION[0], SECTION[1], "topic"], format!("`{}` has no prefix", topic.0));
        return Err(error.hint(format!("it is the connector's `topic.prefix` and a word, such as \"{example}\"")));
    }
    if section.records == Some(0) {
        return Err(document.error(&[SECTION[0], SECTION[1], "records"], "`records` must be at least 1"));
    }
    let timeout = section.timeout.and_then(|timeout| u64::try_from(timeout.0).ok());
    Ok(Some(TransactionSettings {
        topic: topic.0,
        records: section.records.unwrap_or(RECORDS),
        bytes: section.bytes.map_or(BYTES, |bytes| bytes.0),
        timeout: timeout.map_or(TIMEOUT, Duration::from_micros),
    }))
}

/// What the topic is likely called: tables' topics are `<prefix>.<schema>.<table>`.
fn example(topics: &[String]) -> String {
    let plain = topics.first().map(|topic| topic.trim_start_matches('^').replace("\\.", "."));
    let prefix = plain.as_deref().and_then(|topic| topic.split('.').next()).filter(|prefix| !prefix.is_empty());
    format!("{}.transaction", prefix.unwrap_or("<prefix>"))
}

#[cfg(test)]
mod tests {
    use super::super::{Document, parse};
    use super::*;

    fn checked(source: &str) -> Result<Option<TransactionSettings>, String> {
        let text =
            format!("[source]\nkind = \"kafka\"\nbrokers = \"b:9092\"\ntopics = \"^shop\\\\.public\\\\..*\"\n{source}");
        let settings = parse(Document { file: "test.toml".into(), text }, []);
        settings.map(|settings| settings.source.transactions).map_err(|error| error.to_string())
    }

    #[test]
    fn foreign_keys_are_the_default_and_transactions_have_their_bounds() {
        assert_eq!(checked(""), Ok(None));
        assert_eq!(checked("consistency = \"fk\""), Ok(None));
        let some = "consistency = \"transaction\"\n[source.transactions]\ntopic = \"shop.transaction\"\n";
        let expected = TransactionSettings {
            topic: "shop.transaction".into(),
            records: 10_000,
            bytes: 64 << 20,
            timeout: Duration::from_secs(60),
        };
        assert_eq!(checked(some), Ok(Some(expected.clone())));
        let all = format!("{some}records = 5\nbytes = \"1MiB\"\ntimeout = \"2s\"\n");
        let (records, bytes, timeout) = (5, 1 << 20, Duration::from_secs(2));
        assert_eq!(checked(&all), Ok(Some(TransactionSettings { records, bytes, timeout, ..expected })));
    }

    #[test]
    fn what_is_missing_or_does_not_go_together_is_pointed_at() {
        let refused = |source: &str| checked(source).expect_err("refused");
        let shown = refused("consistency = \"transaction\"");
        assert!(shown.contains("test.toml:5:15") && shown.contains("topic = \"shop.transaction\""), "{shown}");
        let shown = refused("consistency = \"transactions\"");
        assert!(shown.contains("test.toml:5:15") && shown.contains("did you mean `transaction`?"), "{shown}");
        let shown = refused("[source.transactions]\ntopic = \"shop.transaction\"\n");
        assert!(shown.contains("test.toml:5") && shown.contains("goes with consistency"), "{shown}");
        let shown = refused("consistency = \"transaction\"\n[source.transactions]\ntopic = \"transaction\"\n");
        assert!(shown.contains("test.toml:7:9") && shown.contains("topic.prefix"), "{shown}");
        let text = "[source]\nkind = \"changes\"\nfiles = \"a\"\nconsistency = \"transaction\"\n";
        let shown = parse(Document { file: "test.toml".into(), text: text.into() }, []).expect_err("files").to_string();
        assert!(shown.contains("test.toml:4:15"), "{shown}");
    }
}
