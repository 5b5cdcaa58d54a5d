//! What the network is watched on: synthetic tasks that it never learns from, by family and size of context.

use std::path::Path;

use predictor::learn::metrics::{auroc, mean_absolute_error};
use predictor::learn::{self, Estimate, Member, Targets};
use predictor::small::{Compared, Episode, Pair, Prepared, Scores, Weights, evaluate, prepare};
use serde_json::{Value as Json, json};

use crate::Error;
use crate::dice::{Dice, float};
use crate::family::Family;
use crate::recipe::Recipe;
use crate::stream::{DEVELOPMENT, banks};

/// Sizes of contexts that are watched.
const CONTEXTS: [usize; 4] = [10, 30, 100, 300];

/// One task that is not learned from.
#[derive(Debug)]
struct Watched {
    family: Family,
    context: usize,
    prepared: Prepared,
    /// How good the closed-form members are: AUROC, for numbers the error in standard deviations.
    closed: Option<Closed>,
}

/// The quality of the closed-form members.
#[derive(Debug, Clone, Copy)]
struct Closed {
    baseline: f64,
    last_k: f64,
}

/// Tasks that are not learned from.
#[derive(Debug)]
pub(crate) struct Development {
    watched: Vec<Watched>,
}

/// Scores over some of the tasks.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which family; `None` for all.
    pub family: Option<Family>,
    /// Size of the contexts; `None` for all.
    pub context: Option<usize>,
    binary: Option<Line>,
    numbers: Option<Line>,
}

/// The members side by side, in means over episodes.
#[derive(Debug, Clone)]
struct Line {
    episodes: usize,
    loss: Pair,
    /// Over the episodes on which every member can be judged.
    quality: Option<(usize, Pair, Closed)>,
}

impl Development {
    /// Tasks of `databases` databases of each family, each with a context of every size.
    ///
    /// # Errors
    ///
    /// When the scratch folder cannot be used.
    pub(crate) fn draw(recipe: &Recipe, databases: usize, scratch: &Path) -> Result<Self, Error> {
        let mut watched = Vec::new();
        for (number, family) in (0..).zip(Family::ALL) {
            for place in 0..databases {
                let mut dice = Dice::new(recipe.seed, &[DEVELOPMENT, number, place as u64]);
                for bank in banks(recipe, &mut dice, family, scratch)? {
                    for context in CONTEXTS {
                        let Some(episode) = bank.episode(&mut dice, context, recipe.data.queries) else { continue };
                        let Some(prepared) = prepare(&episode, &recipe.config(), dice.bits()) else { continue };
                        watched.push(Watched { family, context, prepared, closed: closed(&episode) });
                    }
                }
            }
        }
        Ok(Self { watched })
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.watched.len()
    }

    /// All together, by size, and by family and size.
    ///
    /// # Errors
    ///
    /// When the network fails.
    pub(crate) fn reports(&self, weights: &Weights) -> Result<Vec<Report>, Error> {
        let score = |watched: &Watched| evaluate(weights, std::slice::from_ref(&watched.prepared));
        let scores = self.watched.iter().map(score).collect::<Result<Vec<Scores>, _>>()?;
        let mut wanted = vec![(None, None)];
        wanted.extend(CONTEXTS.map(|context| (None, Some(context))));
        wanted.extend(Family::ALL.iter().flat_map(|family| CONTEXTS.map(|context| (Some(*family), Some(context)))));
        Ok(wanted.into_iter().map(|(family, context)| self.report(&scores, family, context)).collect())
    }

    fn report(&self, scores: &[Scores], family: Option<Family>, context: Option<usize>) -> Report {
        let chosen = self.watched.iter().zip(scores).filter(|(watched, _)| {
            family.is_none_or(|family| family == watched.family) && context.is_none_or(|size| size == watched.context)
        });
        let line = |of: fn(&Scores) -> Option<Compared>| {
            Line::mean(chosen.clone().filter_map(|(watched, scores)| Some((of(scores)?, watched.closed))).collect())
        };
        Report { family, context, binary: line(|scores| scores.binary), numbers: line(|scores| scores.numbers) }
    }
}

impl Line {
    fn mean(all: Vec<(Compared, Option<Closed>)>) -> Option<Self> {
        let pair = |pairs: &[Pair]| Pair {
            network: mean(&pairs.iter().map(|pair| pair.network).collect::<Vec<_>>()),
            anchor: mean(&pairs.iter().map(|pair| pair.anchor).collect::<Vec<_>>()),
        };
        let losses: Vec<Pair> = all.iter().map(|(compared, _)| compared.loss).collect();
        let judged = all.iter().filter_map(|(compared, closed)| Some((compared.quality?, (*closed)?)));
        let (qualities, closed): (Vec<Pair>, Vec<Closed>) = judged.unzip();
        let closed = Closed {
            baseline: mean(&closed.iter().map(|closed| closed.baseline).collect::<Vec<_>>()),
            last_k: mean(&closed.iter().map(|closed| closed.last_k).collect::<Vec<_>>()),
        };
        let quality = (!qualities.is_empty()).then(|| (qualities.len(), pair(&qualities), closed));
        (!losses.is_empty()).then(|| Self { episodes: losses.len(), loss: pair(&losses), quality })
    }

    fn json(&self, quality: &str) -> Json {
        json!({
            "episodes": self.episodes,
            "loss": {"network": self.loss.network, "anchor": self.loss.anchor},
            quality: self.quality.map(|(episodes, pair, closed)| json!({
                "episodes": episodes, "network": pair.network, "anchor": pair.anchor,
                "baseline": closed.baseline, "last_k": closed.last_k,
            })),
        })
    }

    fn text(&self, kind: &str, quality: &str) -> String {
        let Self { episodes, loss, .. } = self;
        let mut text = format!("  | {episodes:>4} {kind}: loss {:.4} (anchor {:.4})", loss.network, loss.anchor);
        if let Some((_, pair, closed)) = self.quality {
            text += &format!(
                ", {quality} {:.4} (anchor {:.4}, baseline {:.4}, last-k {:.4})",
                pair.network, pair.anchor, closed.baseline, closed.last_k
            );
        }
        text
    }
}

impl Report {
    /// As one entry of a log.
    #[must_use]
    pub fn json(&self) -> Json {
        json!({
            "family": self.family.map_or("all", Family::name),
            "context": self.context,
            "binary": self.binary.as_ref().map(|line| line.json("auroc")),
            "numbers": self.numbers.as_ref().map(|line| line.json("mean_absolute_error")),
        })
    }

    /// As a line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let context = self.context.map_or("all".to_owned(), |size| size.to_string());
        let mut line = format!("{:<9} n {context:>4}", self.family.map_or("all", Family::name));
        line += &self.binary.as_ref().map_or(String::new(), |line| line.text("binary", "AUROC"));
        line += &self.numbers.as_ref().map_or(String::new(), |line| line.text("numbers", "error"));
        line
    }
}

/// The closed-form members on one episode; `None` where they cannot be judged by one number.
fn closed(episode: &Episode) -> Option<Closed> {
    let quality = |member| {
        let fitted = learn::fit(member, &episode.context, 0).ok()?;
        let queries = &episode.queries;
        let answer = |place: usize| fitted.predict(queries.features.row(place), &queries.past[place]);
        let answers: Vec<f64> = (0..queries.targets.len())
            .map(|place| match answer(place) {
                Estimate::Binary(probability) => probability,
                Estimate::Quantiles(values) => values[4],
                Estimate::Classes(_) => 0.0,
            })
            .collect();
        match &queries.targets {
            Targets::Binary(truths) => auroc(&answers, truths),
            Targets::Numbers(truths) => {
                let scale = spread(truths);
                mean_absolute_error(&answers, truths).map(|error| error / scale)
            }
            Targets::Classes { .. } => None,
        }
    };
    Some(Closed { baseline: quality(Member::Baseline)?, last_k: quality(Member::LastK)? })
}

fn spread(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (squares / float(values.len().max(1))).sqrt().max(1e-9)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(values.len().max(1))
}
