//! Published scores, made once more.

use std::sync::Arc;

use ingest::coerce;
use relational::{AsOf, EventTime, Key, Reason, RowKey, Sequence, TableId, Value};
use serde_json::{Value as Json, json};
use sinks::ScoreRecord;

use crate::scorer::Scorer;
use crate::world::{Failure, World, now};

/// What came of one score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The same bits.
    Equal,
    /// What was published, and what is said now.
    Different(String, String),
    /// Why there is no score now.
    Missing(&'static str),
}

/// What a score is made again as of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOfWhat {
    /// What the record says that it had seen: its cutoff, and how many changes had arrived.
    Recorded,
    /// What a question about the past sees at the cutoff, as a backtest asks it.
    Past,
}

/// Makes a published score once more; `value` is that of its record.
///
/// # Errors
///
/// When the store cannot be read.
pub fn again(world: &World, scorer: &Scorer, value: &Json, what: AsOfWhat) -> Result<Finding, Failure> {
    let plan = scorer.plan();
    let seen = value["cutoff"].as_str().and_then(EventTime::parse).zip(value["known_as_of"].as_u64());
    let (Some(entity), Some((cutoff, sequence))) = (key(world, plan.task.entity, &value["entity"]["key"]), seen) else {
        return Ok(Finding::Missing("key, cutoff or known_as_of cannot be read"));
    };
    if sequence > scorer.store().sequence().0 {
        return Ok(Finding::Missing("the store has not come as far"));
    }
    let as_of = match what {
        AsOfWhat::Recorded => Some(AsOf::live(cutoff, Sequence(sequence))),
        AsOfWhat::Past => scorer.historical(&entity, cutoff)?,
    };
    let Some(as_of) = as_of else { return Ok(Finding::Missing("the row is not in the store")) };
    let Some(context) = scorer.context(as_of)? else { return Ok(Finding::Missing("there is no labelled past")) };
    if !scorer.wanted(&entity, as_of)? {
        return Ok(Finding::Missing("the entity was not in the population"));
    }
    let scored = scorer.score(&context, &entity, as_of)?;
    let score = relational::Score {
        task: Arc::from(plan.task.name.as_str()),
        entity: RowKey { table: plan.task.entity, key: entity },
        prediction: Some(scored.prediction),
        cutoff,
        sequence: as_of.sequence,
        model: context.model(),
        fallback: context.fallback().map(Arc::from),
        context: context.id,
        examples: context.examples,
        revision: 0,
        reason: Reason::Request,
        trigger: None,
        truncated: scored.truncated,
    };
    let record = ScoreRecord::new(&score, &world.schema, &world.origin(), now(), None);
    let made: Json = serde_json::from_str(&record.value.unwrap_or_default()).map_err(std::io::Error::from)?;
    // Numbers are compared as their text: every bit counts.
    let told = |of: &Json| json!([of["prediction"], of["model"], of["context"], of["truncated"]]).to_string();
    let (was, is) = (told(value), told(&made));
    Ok(if was == is { Finding::Equal } else { Finding::Different(was, is) })
}

fn key(world: &World, table: TableId, json: &Json) -> Option<Key> {
    let of = world.schema.table(table);
    // A key of one column is the value itself.
    let values = json.as_array().map_or(std::slice::from_ref(json), Vec::as_slice);
    let typed = values.iter().zip(&of.key).map(|(value, column)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        coerce::from_text(&text, of.columns[usize::from(column.0)].data_type).ok()
    });
    let typed: Vec<Value> = typed.collect::<Option<_>>()?;
    (typed.len() == of.key.len().max(1)).then(|| Key::new(typed))
}
