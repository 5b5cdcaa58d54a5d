//! What the network is watched on: synthetic tasks that it never learns from, by family and size of context.

use std::path::Path;

use predictor::learn::metrics::{auroc, mean_absolute_error};
use predictor::learn::{self, Estimate, Member, Targets};
use predictor::small::{Compared, Episode, Prepared, Weights, evaluate, prepare};
use serde_json::{Value as Json, json};

use crate::Error;
use crate::dice::{Dice, float};
use crate::family::Family;
use crate::recipe::Recipe;
use crate::stream::{DEVELOPMENT, banks};

/// Sizes of contexts that are watched.
const CONTEXTS: [usize; 4] = [10, 30, 100, 300];

/// Episodes of one family and size.
#[derive(Debug)]
struct Group {
    family: Family,
    context: usize,
    episodes: Vec<Prepared>,
    /// Areas under the ROC curve of the closed-form members, one per episode of a yes-or-no task.
    closed: Vec<Closed>,
}

/// How good the closed-form members are on one episode.
#[derive(Debug, Clone, Copy)]
enum Closed {
    Binary { baseline: f64, last_k: f64 },
    Numbers { baseline: f64, last_k: f64 },
}

/// Tasks that are not learned from.
#[derive(Debug)]
pub(crate) struct Development {
    groups: Vec<Group>,
}

/// Scores over some groups.
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
#[derive(Debug, Clone, Copy)]
struct Line {
    compared: Compared,
    baseline: f64,
    last_k: f64,
}

impl Development {
    /// Tasks of `databases` databases of each family, each with a context of every size.
    ///
    /// # Errors
    ///
    /// When the scratch folder cannot be used.
    pub(crate) fn draw(recipe: &Recipe, databases: usize, scratch: &Path) -> Result<Self, Error> {
        let config = recipe.config();
        let mut groups: Vec<Group> = Vec::new();
        for (number, family) in (0..).zip(Family::ALL) {
            let new = |context| Group { family, context, episodes: Vec::new(), closed: Vec::new() };
            let mut of_family: Vec<Group> = CONTEXTS.map(new).into();
            for place in 0..databases {
                let mut dice = Dice::new(recipe.seed, &[DEVELOPMENT, number, place as u64]);
                for bank in banks(recipe, &mut dice, family, scratch)? {
                    for group in &mut of_family {
                        let Some(episode) = bank.episode(&mut dice, group.context, recipe.data.queries) else {
                            continue;
                        };
                        if let Some(prepared) = prepare(&episode, &config, dice.bits()) {
                            group.episodes.push(prepared);
                            group.closed.extend(closed(&episode));
                        }
                    }
                }
            }
            groups.extend(of_family);
        }
        Ok(Self { groups })
    }

    /// How many episodes there are.
    pub(crate) fn len(&self) -> usize {
        self.groups.iter().map(|group| group.episodes.len()).sum()
    }

    /// All together, by size, and by family and size.
    ///
    /// # Errors
    ///
    /// When the network fails.
    pub(crate) fn reports(&self, weights: &Weights) -> Result<Vec<Report>, Error> {
        let mut reports = vec![self.report(weights, None, None)?];
        for context in CONTEXTS {
            reports.push(self.report(weights, None, Some(context))?);
        }
        for family in Family::ALL {
            for context in CONTEXTS {
                reports.push(self.report(weights, Some(family), Some(context))?);
            }
        }
        Ok(reports)
    }

    fn report(&self, weights: &Weights, family: Option<Family>, context: Option<usize>) -> Result<Report, Error> {
        let of = |group: &&Group| {
            family.is_none_or(|family| family == group.family) && context.is_none_or(|size| size == group.context)
        };
        let groups: Vec<&Group> = self.groups.iter().filter(of).collect();
        let episodes: Vec<Prepared> = groups.iter().flat_map(|group| group.episodes.iter().cloned()).collect();
        let scores = evaluate(weights, &episodes)?;
        let closed: Vec<Closed> = groups.iter().flat_map(|group| group.closed.iter().copied()).collect();
        let line = |compared: Option<Compared>, binary: bool| {
            let pairs = closed.iter().filter_map(|closed| match *closed {
                Closed::Binary { baseline, last_k } if binary => Some((baseline, last_k)),
                Closed::Numbers { baseline, last_k } if !binary => Some((baseline, last_k)),
                Closed::Binary { .. } | Closed::Numbers { .. } => None,
            });
            let (baselines, lasts): (Vec<f64>, Vec<f64>) = pairs.unzip();
            compared.map(|compared| Line { compared, baseline: mean(&baselines), last_k: mean(&lasts) })
        };
        Ok(Report { family, context, binary: line(scores.binary, true), numbers: line(scores.numbers, false) })
    }
}

impl Report {
    /// As one entry of a log.
    #[must_use]
    pub fn json(&self) -> Json {
        let side = |line: &Option<Line>, quality: &str| {
            line.as_ref().map(|line| {
                json!({
                    "episodes": line.compared.episodes,
                    "loss": {"network": line.compared.loss.network, "anchor": line.compared.loss.anchor},
                    quality: line.compared.quality.as_ref().map(|pair| json!({
                        "network": pair.network, "anchor": pair.anchor,
                        "baseline": line.baseline, "last_k": line.last_k,
                    })),
                })
            })
        };
        json!({
            "family": self.family.map_or("all", Family::name),
            "context": self.context,
            "binary": side(&self.binary, "auroc"),
            "numbers": side(&self.numbers, "mean_absolute_error"),
        })
    }

    /// As a line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let context = self.context.map_or("all".to_owned(), |size| size.to_string());
        let mut line = format!("{:<9} n {context:>4}", self.family.map_or("all", Family::name));
        if let Some(Line { compared, baseline, last_k }) = &self.binary {
            let Compared { episodes, loss, quality } = compared;
            line += &format!("  | {episodes:>4} binary: loss {:.4} (anchor {:.4})", loss.network, loss.anchor);
            if let Some(quality) = quality {
                line += &format!(
                    ", AUROC {:.4} (anchor {:.4}, baseline {baseline:.4}, last-k {last_k:.4})",
                    quality.network, quality.anchor
                );
            }
        }
        if let Some(Line { compared, .. }) = &self.numbers {
            let Compared { episodes, loss, .. } = compared;
            line += &format!("  | {episodes:>4} numbers: loss {:.4} (anchor {:.4})", loss.network, loss.anchor);
        }
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
    let (baseline, last_k) = (quality(Member::Baseline)?, quality(Member::LastK)?);
    Some(match episode.queries.targets {
        Targets::Numbers(_) => Closed::Numbers { baseline, last_k },
        Targets::Binary(_) | Targets::Classes { .. } => Closed::Binary { baseline, last_k },
    })
}

fn spread(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (squares / float(values.len().max(1))).sqrt().max(1e-9)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(values.len().max(1))
}
