//! The columns of `scores.parquet`, described in `docs/backtest.md`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use relational::{EventTime, Prediction, TaskKind, Value};
use serde_json::json;

use crate::labels::{Label, label_text};
use crate::scorer::Scored;

/// What decides which columns there are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Of a forecast that of its timeframes.
    pub kind: TaskKind,
    /// 1 unless the task is a forecast.
    pub timeframes: usize,
    /// Names of the members, that which is asked about first.
    pub members: Vec<String>,
    /// Names of the segments, as `table.column`.
    pub segments: Vec<String>,
}

/// One question, what was answered, and what came true.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub entity: String,
    pub cutoff: EventTime,
    pub sequence: u64,
    pub segments: Vec<Option<String>>,
    /// One per timeframe.
    pub labels: Vec<Label>,
    /// `None` where there was no labelled past.
    pub answer: Option<Answer>,
}

/// The members' answers.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub history: Option<u32>,
    /// One per member.
    pub scored: Vec<Scored>,
    pub model: Arc<str>,
    pub fallback: Option<Arc<str>>,
    pub context: String,
    pub examples: u32,
}

/// The middle one is `prediction`.
pub(super) const QUANTILES: [&str; 9] = ["q05", "q15", "q25", "q40", "q50", "q60", "q75", "q85", "q95"];

impl Layout {
    /// What stands before the names of a member's columns.
    pub(super) fn prefix(&self, member: usize) -> String {
        if member == 0 { String::new() } else { self.members[member].replace('-', "_") + "_" }
    }

    /// What stands behind the names of a timeframe's columns.
    pub(super) fn suffix(&self, timeframe: usize) -> String {
        if self.timeframes > 1 { format!("_{}", timeframe + 1) } else { String::new() }
    }

    /// The lines as columns.
    pub(super) fn batch(&self, lines: &[Line]) -> RecordBatch {
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = self.columns(lines).into_iter().unzip();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        RecordBatch::try_new(schema, columns).expect("every column has its field and a value per line")
    }

    fn columns(&self, lines: &[Line]) -> Vec<(Field, ArrayRef)> {
        let answer = |of: &dyn Fn(&Answer) -> Option<String>| {
            text(lines.iter().map(|line| line.answer.as_ref().and_then(of)).collect())
        };
        let times = TimestampMicrosecondArray::from_iter_values(lines.iter().map(|line| line.cutoff.0));
        let sequences = lines.iter().map(|line| i64::try_from(line.sequence).ok());
        let whole = |of: &dyn Fn(&Answer) -> Option<u32>| {
            let values = lines.iter().map(|line| line.answer.as_ref().and_then(of));
            Arc::new(values.map(|value| value.and_then(|value| i32::try_from(value).ok())).collect::<Int32Array>())
        };
        let mut columns = vec![
            named("entity", text(lines.iter().map(|line| Some(line.entity.clone())).collect())),
            named("cutoff", Arc::new(times.with_timezone("UTC"))),
            named("sequence", Arc::new(sequences.collect::<Int64Array>())),
            named("history", whole(&|answer| answer.history)),
        ];
        for (place, segment) in self.segments.iter().enumerate() {
            let values = lines.iter().map(|line| line.segments[place].clone()).collect();
            columns.push(named(&format!("segment_{segment}"), text(values)));
        }
        for timeframe in 0..self.timeframes {
            let suffix = self.suffix(timeframe);
            let labels: Vec<&Label> = lines.iter().map(|line| &line.labels[timeframe]).collect();
            let states = labels.iter().map(|label| Some(state(label).to_owned())).collect();
            columns.push(named(&format!("label_state{suffix}"), text(states)));
            columns.push(named(&format!("label{suffix}"), self.labels(&labels)));
        }
        columns.push(named("model", answer(&|answer| Some(answer.model.to_string()))));
        columns.push(named("fallback", answer(&|answer| answer.fallback.as_ref().map(ToString::to_string))));
        columns.push(named("context", answer(&|answer| Some(answer.context.clone()))));
        columns.push(named("examples", whole(&|answer| Some(answer.examples))));
        for member in 0..self.members.len() {
            for timeframe in 0..self.timeframes {
                let (prefix, suffix) = (self.prefix(member), self.suffix(timeframe));
                let of_line = |line: &Line| of_timeframe(&line.answer.as_ref()?.scored[member], timeframe);
                let predictions: Vec<Option<Prediction>> = lines.iter().map(of_line).collect();
                let of_member = self.predictions(&predictions).into_iter();
                columns.extend(of_member.map(|(name, values)| named(&format!("{prefix}{name}{suffix}"), values)));
            }
        }
        columns
    }

    fn labels(&self, labels: &[&Label]) -> ArrayRef {
        let labels = labels.iter().map(|label| label.value());
        match self.kind {
            TaskKind::Binary => {
                let truth = |label: &Value| label.as_f64().map(|number| i32::from(number > 0.5));
                Arc::new(labels.map(|label| label.and_then(truth)).collect::<Int32Array>())
            }
            TaskKind::Regression | TaskKind::Forecast => {
                Arc::new(labels.map(|label| label.and_then(Value::as_f64)).collect::<Float64Array>())
            }
            TaskKind::Multiclass | TaskKind::Ranking => text(labels.map(|label| label.map(label_text)).collect()),
        }
    }

    fn predictions(&self, predictions: &[Option<Prediction>]) -> Vec<(&'static str, ArrayRef)> {
        let numbers = |of: &dyn Fn(&Prediction) -> f64| -> ArrayRef {
            Arc::new(predictions.iter().map(|prediction| prediction.as_ref().map(of)).collect::<Float64Array>())
        };
        let point = numbers(&Prediction::point);
        match self.kind {
            TaskKind::Binary => vec![("prediction", point)],
            TaskKind::Regression | TaskKind::Forecast => {
                let quantile = |place: usize| {
                    move |prediction: &Prediction| match prediction {
                        Prediction::Quantiles(values) => values[place],
                        _ => f64::NAN,
                    }
                };
                let quantiles = QUANTILES.iter().enumerate();
                let quantiles = quantiles.map(|(place, name)| (*name, numbers(&quantile(place))));
                std::iter::once(("prediction", point)).chain(quantiles).collect()
            }
            TaskKind::Multiclass => {
                let shares = predictions.iter().map(|prediction| prediction.as_ref().map(shares_text));
                let likeliest = predictions.iter().map(|prediction| prediction.as_ref().and_then(likeliest));
                vec![("prediction", text(likeliest.collect())), ("probabilities", text(shares.collect()))]
            }
            TaskKind::Ranking => {
                let ranked = predictions.iter().map(|prediction| prediction.as_ref().map(ranked_text));
                vec![("prediction", text(ranked.collect()))]
            }
        }
    }
}

fn state(label: &Label) -> &'static str {
    match label {
        Label::Known(_) => "known",
        Label::Open => "open",
        Label::Undefined => "undefined",
    }
}

fn of_timeframe(scored: &Scored, timeframe: usize) -> Option<Prediction> {
    match &scored.prediction {
        Prediction::Forecast(windows) => windows.get(timeframe).map(|(_, prediction)| prediction.clone()),
        prediction => Some(prediction.clone()),
    }
}

/// The first of equally likely classes.
fn likeliest(prediction: &Prediction) -> Option<String> {
    let Prediction::Multiclass(shares) = prediction else { return None };
    let best = shares.iter().rev().max_by(|left, right| left.1.total_cmp(&right.1));
    best.map(|(class, _)| class.to_string())
}

/// `{"class": probability, ..}`
fn shares_text(prediction: &Prediction) -> String {
    let Prediction::Multiclass(shares) = prediction else { return String::new() };
    let object = shares.iter().map(|(class, share)| (class.to_string(), json!(share))).collect();
    serde_json::Value::Object(object).to_string()
}

/// `[["key", probability], ..]`, the likeliest first.
fn ranked_text(prediction: &Prediction) -> String {
    let Prediction::Ranking(rows) = prediction else { return String::new() };
    let pairs: Vec<_> = rows.iter().map(|(key, share)| json!([key.to_string(), share])).collect();
    serde_json::Value::Array(pairs).to_string()
}

fn text(values: Vec<Option<String>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

fn named(name: &str, values: ArrayRef) -> (Field, ArrayRef) {
    let data_type = match values.data_type() {
        DataType::Timestamp(..) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        other => other.clone(),
    };
    (Field::new(name, data_type, true), values)
}
