//! What the network is watched on: synthetic tasks that it never learns from, by family and size of context.

use std::path::Path;

use predictor::learn::metrics::auroc;
use predictor::learn::{self, Estimate, Member, Targets};
use predictor::small::{Compared, Config, Episode, Pair, Prepared, Scores, Weights, evaluate, prepare};
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
    closed: Option<Closed>,
}

/// Areas under the ROC curve of the closed-form members.
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
    loss: Means,
    /// Areas under the ROC curve over the yes-or-no episodes on which every member can be judged; for numbers the
    /// errors in standard deviations, of network and anchor only.
    quality: Option<(usize, Means, Option<Closed>)>,
}

/// Means of network and anchor.
#[derive(Debug, Clone, Copy)]
struct Means {
    network: f64,
    anchor: f64,
    /// Standard error of their difference, which is taken episode by episode.
    error: f64,
}

impl Means {
    fn of(pairs: &[Pair]) -> Self {
        let each = |of: fn(&Pair) -> f64| pairs.iter().map(of).collect::<Vec<f64>>();
        let differences = each(|pair| pair.network - pair.anchor);
        let middle = mean(&differences);
        let squares = differences.iter().map(|difference| (difference - middle).powi(2)).sum::<f64>();
        let count = float(pairs.len());
        let error = (squares / (count - 1.0).max(1.0) / count.max(1.0)).sqrt();
        Self { network: mean(&each(|pair| pair.network)), anchor: mean(&each(|pair| pair.anchor)), error }
    }

    fn json(&self) -> Json {
        json!({"network": self.network, "anchor": self.anchor, "standard_error_of_difference": self.error})
    }
}

impl Development {
    /// Tasks of `databases` databases of each family, each with a context of every size, for a network of these
    /// dimensions.
    ///
    /// # Errors
    ///
    /// When the scratch folder cannot be used.
    pub(crate) fn draw(recipe: &Recipe, config: &Config, databases: usize, scratch: &Path) -> Result<Self, Error> {
        let mut watched = Vec::new();
        for (number, family) in (0..).zip(Family::ALL) {
            for place in 0..databases {
                let mut dice = Dice::new(recipe.seed, &[DEVELOPMENT, number, place as u64]);
                for bank in banks(recipe, &mut dice, family, scratch)? {
                    for context in CONTEXTS {
                        let Some(episode) = bank.episode(&mut dice, context, recipe.data.queries) else { continue };
                        let Some(prepared) = prepare(&episode, config, dice.bits()) else { continue };
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
        let line = |number: bool| {
            let of = |scores: &Scores| if number { scores.numbers } else { scores.binary };
            let all = chosen.clone().filter_map(|(watched, scores)| Some((of(scores)?, watched.closed)));
            Line::mean(&all.collect::<Vec<_>>(), number)
        };
        Report { family, context, binary: line(false), numbers: line(true) }
    }
}

impl Line {
    fn mean(all: &[(Compared, Option<Closed>)], number: bool) -> Option<Self> {
        let losses: Vec<Pair> = all.iter().map(|(compared, _)| compared.loss).collect();
        let closed: Vec<Closed> =
            all.iter().filter(|(compared, _)| compared.quality.is_some()).filter_map(|(_, closed)| *closed).collect();
        // Where the closed-form members were judged at all, only the episodes where they were.
        let judged = |closed: &Option<Closed>| closed.is_some() || number;
        let qualities = all.iter().filter(|(_, closed)| judged(closed)).filter_map(|(compared, _)| compared.quality);
        let qualities: Vec<Pair> = qualities.collect();
        let closed = (!closed.is_empty()).then(|| Closed {
            baseline: mean(&closed.iter().map(|closed| closed.baseline).collect::<Vec<_>>()),
            last_k: mean(&closed.iter().map(|closed| closed.last_k).collect::<Vec<_>>()),
        });
        let quality = (!qualities.is_empty()).then(|| (qualities.len(), Means::of(&qualities), closed));
        (!losses.is_empty()).then(|| Self { episodes: losses.len(), loss: Means::of(&losses), quality })
    }

    fn json(&self, quality: &str) -> Json {
        let judged = self.quality.map(|(episodes, means, closed)| {
            let mut judged = means.json();
            judged["episodes"] = json!(episodes);
            if let Some(Closed { baseline, last_k }) = closed {
                judged["baseline"] = json!(baseline);
                judged["last_k"] = json!(last_k);
            }
            judged
        });
        json!({"episodes": self.episodes, "loss": self.loss.json(), quality: judged})
    }

    fn text(&self, kind: &str, quality: &str) -> String {
        let Self { episodes, loss, .. } = self;
        let mut text = format!("  | {episodes:>4} {kind}: loss {:.4} (anchor {:.4})", loss.network, loss.anchor);
        if let Some((_, means, closed)) = self.quality {
            let Means { network, anchor, error } = means;
            text += &format!(", {quality} {network:.4} (anchor {anchor:.4}, difference ± {:.4}", 1.96 * error);
            if let Some(Closed { baseline, last_k }) = closed {
                text += &format!(", baseline {baseline:.4}, last-k {last_k:.4}");
            }
            text.push(')');
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

/// The closed-form members on one yes-or-no episode. (The errors of numbers are on scales of their own.)
fn closed(episode: &Episode) -> Option<Closed> {
    let Targets::Binary(truths) = &episode.queries.targets else { return None };
    let quality = |member| {
        let fitted = learn::fit(member, &episode.context, 0).ok()?;
        let answer =
            |place: usize| match fitted.predict(episode.queries.features.row(place), &episode.queries.past[place]) {
                Estimate::Binary(probability) => probability,
                Estimate::Classes(_) | Estimate::Quantiles(_) => unreachable!("the targets are yes or no"),
            };
        auroc(&(0..truths.len()).map(answer).collect::<Vec<_>>(), truths)
    };
    Some(Closed { baseline: quality(Member::Baseline)?, last_k: quality(Member::LastK)? })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(values.len().max(1))
}
