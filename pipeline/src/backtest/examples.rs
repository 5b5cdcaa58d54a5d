//! Single rows that show what the scores do: hits, false alarms and misses, each with its explanation.

use relational::{AsOf, Key};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::asked::Asked;
use super::read::{Answers, Scores, Truths};
use crate::explanation;
use crate::scorer::Scorer;
use crate::world::Failure;

/// A row, its score, and why it is what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Example {
    pub sort: Sort,
    pub entity: String,
    pub cutoff: String,
    pub score: f64,
    pub label: f64,
    /// As `score --explain` says it.
    pub explanation: Json,
}

/// What an example shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// A high score that came true.
    Hit,
    /// A high score that did not.
    FalseAlarm,
    /// A low score that came true.
    Miss,
    /// A number that was predicted too high, or too low.
    TooHigh,
    TooLow,
}

/// Examples of each sort.
const EACH: usize = 3;

/// The plainest examples of each sort; none for classes, rankings and forecasts, whose scores are no single number.
///
/// # Errors
///
/// When the store cannot be read.
pub(super) fn examples(scores: &Scores, asked: &[Asked], scorer: &Scorer) -> Result<Vec<Example>, Failure> {
    if scores.layout().timeframes > 1 || scorer.plan().relational.is_some() {
        return Ok(Vec::new());
    }
    let rows = scores.evaluated(0);
    let (said, truths) = match (scores.answers(0, 0, &rows), scores.truths(0, &rows)) {
        (Answers::Binary(said), Truths::Binary(truths)) => (said, truths.into_iter().map(f64::from).collect()),
        (Answers::Quantiles(said), Truths::Numbers(truths)) => {
            (said.iter().map(|quantiles| quantiles[4]).collect(), truths)
        }
        _ => return Ok(Vec::new()),
    };
    let entities = scores.texts("entity");
    let mut examples = Vec::new();
    for (sort, place) in chosen(&said, &truths, scores.layout().kind == relational::TaskKind::Binary) {
        let row = rows[place];
        let Asked { entity, as_of } = &asked[row];
        let (entity, as_of): (&Key, AsOf) = (entity, *as_of);
        let Some(context) = scorer.context(as_of)? else { continue };
        let explained = scorer.explain(&context, entity, as_of)?;
        examples.push(Example {
            sort,
            entity: entities[row].unwrap_or_default().to_owned(),
            cutoff: as_of.cutoff.to_string(),
            score: said[place],
            label: truths[place],
            explanation: explanation::to_json(&explained, scorer.store().schema()),
        });
    }
    Ok(examples)
}

/// Places among the rows; the first of equals.
fn chosen(said: &[f64], truths: &[f64], is_binary: bool) -> Vec<(Sort, usize)> {
    let best = |sort: Sort, wanted: &dyn Fn(usize) -> bool, rank: &dyn Fn(usize) -> f64| {
        let mut places: Vec<usize> = (0..said.len()).filter(|place| wanted(*place)).collect();
        places.sort_by(|one, other| rank(*other).total_cmp(&rank(*one)));
        places.into_iter().take(EACH).map(move |place| (sort, place)).collect::<Vec<_>>()
    };
    let is_true = |place: usize| truths[place] > 0.5;
    if is_binary {
        [
            best(Sort::Hit, &is_true, &|place| said[place]),
            best(Sort::FalseAlarm, &|place| !is_true(place), &|place| said[place]),
            best(Sort::Miss, &is_true, &|place| -said[place]),
        ]
        .concat()
    } else {
        let above = |place: usize| said[place] - truths[place];
        [
            best(Sort::TooHigh, &|place| above(place) > 0.0, &above),
            best(Sort::TooLow, &|place| above(place) < 0.0, &|place| -above(place)),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plainest_are_chosen() {
        let said = [0.9, 0.8, 0.2, 0.1];
        let found = chosen(&said, &[1.0, 0.0, 1.0, 0.0], true);
        let hits: Vec<usize> = found.iter().filter(|(sort, _)| *sort == Sort::Hit).map(|(_, place)| *place).collect();
        let misses: Vec<usize> =
            found.iter().filter(|(sort, _)| *sort == Sort::Miss).map(|(_, place)| *place).collect();
        assert_eq!((hits, misses), (vec![0, 2], vec![2, 0]));
        let found = chosen(&[5.0, 1.0, 2.0], &[1.0, 9.0, 2.0], false);
        assert_eq!(found, [(Sort::TooHigh, 0), (Sort::TooLow, 1)]);
    }
}
