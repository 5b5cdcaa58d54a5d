//! The columns of a Parquet file of scores.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use relational::EventTime;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::record::QUANTILE_NAMES;

/// A line of pending scores.
#[derive(Deserialize)]
pub(crate) struct PendingRow {
    id: String,
    task: String,
    table: String,
    cutoff: Option<String>,
    key: Json,
    value: Json,
}

impl PendingRow {
    fn text(&self, name: &str) -> Option<String> {
        self.value.get(name)?.as_str().map(str::to_owned)
    }

    fn whole(&self, name: &str) -> Option<i64> {
        self.value.get(name)?.as_i64()
    }

    fn prediction(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(self.value.get("prediction")?, |json, name| json.get(name))
    }

    /// Numbers keep their text until here, so that every bit of a score arrives.
    fn number(&self, path: &[&str]) -> Option<f64> {
        self.prediction(path)?.as_f64()
    }
}

enum Kind {
    Text(fn(&PendingRow) -> Option<String>),
    Whole(fn(&PendingRow) -> Option<i64>),
    Time(fn(&PendingRow) -> Option<String>),
    Truth(fn(&PendingRow) -> Option<bool>),
}

/// All columns but those of quantiles, in order.
const COLUMNS: [(&str, Kind); 18] = [
    ("task", Kind::Text(|row| Some(row.task.clone()))),
    ("entity_table", Kind::Text(|row| Some(row.table.clone()))),
    ("entity_key", Kind::Text(|row| Some(row.key.to_string()))),
    ("cutoff", Kind::Time(|row| row.cutoff.clone())),
    ("deleted", Kind::Truth(|row| Some(row.value.is_null()))),
    ("classes", Kind::Text(|row| row.prediction(&["classes"]).map(Json::to_string))),
    ("ranking", Kind::Text(|row| row.prediction(&["ranking"]).map(Json::to_string))),
    ("forecast", Kind::Text(|row| row.prediction(&["forecast"]).map(Json::to_string))),
    ("known_as_of", Kind::Whole(|row| row.whole("known_as_of"))),
    ("scored_at", Kind::Time(|row| row.text("scored_at"))),
    ("model", Kind::Text(|row| row.text("model"))),
    ("fallback", Kind::Text(|row| row.text("fallback"))),
    ("context", Kind::Text(|row| row.text("context"))),
    ("examples", Kind::Whole(|row| row.whole("examples"))),
    ("revision", Kind::Whole(|row| row.whole("revision"))),
    ("reason", Kind::Text(|row| row.text("reason"))),
    ("truncated", Kind::Truth(|row| row.value.get("truncated")?.as_bool())),
    ("id", Kind::Text(|row| Some(row.id.clone()))),
];

/// The schema: [`COLUMNS`], then `probability`, `median` and the quantiles.
pub(crate) fn schema() -> Schema {
    let field = |(name, kind): &(&str, Kind)| {
        let data_type = match kind {
            Kind::Text(_) => DataType::Utf8,
            Kind::Whole(_) => DataType::Int64,
            Kind::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Truth(_) => DataType::Boolean,
        };
        Field::new(*name, data_type, true)
    };
    let number = |name: &str| Field::new(name, DataType::Float64, true);
    let numbers = ["probability", "median"].into_iter().chain(QUANTILE_NAMES).map(number);
    Schema::new(COLUMNS.iter().map(field).chain(numbers).collect::<Vec<_>>())
}

/// Rows as columns.
pub(crate) fn batch(schema: &SchemaRef, rows: &[PendingRow]) -> RecordBatch {
    let micros = |text: Option<String>| text.and_then(|text| EventTime::parse(&text)).map(|time| time.0);
    let column = |(_, kind): &(&str, Kind)| -> ArrayRef {
        match kind {
            Kind::Text(of) => Arc::new(rows.iter().map(of).collect::<StringArray>()),
            Kind::Whole(of) => Arc::new(rows.iter().map(of).collect::<Int64Array>()),
            Kind::Truth(of) => Arc::new(rows.iter().map(of).collect::<BooleanArray>()),
            Kind::Time(of) => {
                let times = rows.iter().map(|row| micros(of(row))).collect::<TimestampMicrosecondArray>();
                Arc::new(times.with_timezone("UTC"))
            }
        }
    };
    let numbers =
        |path: &[&str]| -> ArrayRef { Arc::new(rows.iter().map(|row| row.number(path)).collect::<Float64Array>()) };
    let mut columns: Vec<ArrayRef> = COLUMNS.iter().map(column).collect();
    columns.push(numbers(&["probability"]));
    columns.push(numbers(&["median"]));
    columns.extend(QUANTILE_NAMES.iter().map(|name| numbers(&["quantiles", name])));
    RecordBatch::try_new(Arc::clone(schema), columns).expect("columns are made in the schema's order, of equal lengths")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    #[test]
    fn numbers_arrive_with_every_bit() {
        let value: f64 = 0.1 + 0.2;
        let line = format!(
            r#"{{"id":"00","task":"t","table":"x","cutoff":"1970-01-01T00:00:01.5Z","key":[1,"a"],"value":{{"prediction":{{"median":{value},"quantiles":{{"q95":{value}}}}},"known_as_of":7}}}}"#
        );
        let row: PendingRow = serde_json::from_str(&line).expect("a line");
        let batch = batch(&Arc::new(schema()), &[row]);
        let number = |name: &str| {
            let column = batch.column_by_name(name).expect("column");
            let column = column.as_any().downcast_ref::<Float64Array>().expect("numbers");
            column.is_valid(0).then(|| column.value(0).to_bits())
        };
        assert_eq!(number("median"), Some(value.to_bits()));
        assert_eq!(number("q95"), Some(value.to_bits()));
        assert_eq!(number("probability"), None);
        let keys = batch.column_by_name("entity_key").expect("column");
        assert_eq!(keys.as_any().downcast_ref::<StringArray>().expect("text").value(0), r#"[1,"a"]"#);
    }
    #[test]
    fn lists_arrive_as_json() {
        let list = r#"[{"key":"b","probability":0.5}]"#;
        let line = format!(
            r#"{{"id":"00","task":"t","table":"x","cutoff":null,"key":1,"value":{{"prediction":{{"ranking":{list}}}}}}}"#
        );
        let row: PendingRow = serde_json::from_str(&line).expect("a line");
        let batch = batch(&Arc::new(schema()), &[row]);
        let column = |name: &str| batch.column_by_name(name).expect("column").clone();
        assert_eq!(column("ranking").as_any().downcast_ref::<StringArray>().expect("text").value(0), list);
        assert!(column("forecast").is_null(0) && column("probability").is_null(0));
    }
}
