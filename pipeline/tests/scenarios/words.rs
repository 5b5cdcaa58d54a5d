//! Between the words of a scenario and what they mean.

use std::sync::Arc;

use relational::{DataType, EventTime, Value};

/// 2024-01-01.
pub(super) const START: EventTime = EventTime(1_704_067_200_000_000);
const HOUR: i64 = 3_600 * EventTime::SECOND;

pub(super) fn rounded(value: &serde_json::Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Json::Number(number) if number.is_f64() => Json::from(format!("{:.2}", number.as_f64().expect("a float"))),
        Json::Array(values) => values.iter().map(rounded).collect(),
        Json::Object(entries) => {
            // Of nine quantiles the median is enough.
            let entries = entries.iter().filter(|(name, _)| *name != "quantiles");
            Json::Object(entries.map(|(name, value)| (name.clone(), rounded(value))).collect())
        }
        other => other.clone(),
    }
}

pub(super) fn value(data_type: DataType, text: &str) -> Value {
    match data_type {
        DataType::Int => Value::Int(text.parse().expect("a whole number")),
        DataType::Float => Value::Float(text.parse().expect("a number")),
        DataType::Bool => Value::Bool(text.parse().expect("true or false")),
        DataType::Time => Value::Time(time(text)),
        _ => Value::text(text),
    }
}

/// `61d` or `61d12h`.
pub(super) fn time(text: &str) -> EventTime {
    let (days, hours) = text.split_once('d').unwrap_or_else(|| panic!("{text}: not a time such as 61d12h"));
    let hours = hours.strip_suffix('h').unwrap_or("0");
    let [days, hours] = [days, hours].map(|number| number.parse::<i64>().expect("a number"));
    START.plus((days * 24 + hours) * HOUR)
}

pub(super) fn since(time: EventTime) -> String {
    let hours = time.since(START) / HOUR;
    if hours % 24 == 0 { format!("{}d", hours / 24) } else { format!("{}d{}h", hours / 24, hours % 24) }
}

/// `behind=payments/0,payments/1`
pub(super) fn partitions(text: &str) -> Vec<(Arc<str>, i32)> {
    let list = text.strip_prefix("behind=").unwrap_or_else(|| panic!("{text}: not behind=topic/partition"));
    let partition = |name: &str| {
        let (topic, number) = name.split_once('/').expect("topic/partition");
        (Arc::from(topic), number.parse().expect("a number"))
    };
    list.split(',').map(partition).collect()
}
