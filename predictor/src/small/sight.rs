//! How the network sees a context and a row: numbers of one scale, whatever the database.

use super::Config;
use super::own::{OWN, Own};
use super::screen::{Column, STATISTICS, VALUES, single};
use crate::learn::anchor::{Kind, Question, Reading};
use crate::learn::{Examples, Past, count, log_odds};

/// Numbers that describe a row beside its cells: the anchor's reading, the context's summary, the row's own past.
pub(super) const FACTS: usize = READING + SUMMARY + OWN;
const READING: usize = 5;
const SUMMARY: usize = 9;
/// Readings are held at these distances from their centre, log-odds and standard deviations.
const LOG_ODDS_MAX: f64 = 12.0;
const PLACE_MAX: f64 = 8.0;

/// A context as the network sees it, for one question.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) columns: Vec<Column>,
    /// How many columns the network has room for.
    wanted: usize,
    own: Own,
    summary: [f32; SUMMARY],
    /// Of the held-out points.
    mean: f64,
    deviation: f64,
    pub(super) number: bool,
    /// Where a reading that knows nothing lies.
    pub(super) centre: f64,
    /// How far truths lie from held-out points; 1 for log-odds.
    pub(super) sigma: f64,
    /// The rows of the context that the network sees: the newest.
    pub(super) rows: Vec<usize>,
}

impl Sight {
    /// Looks at examples in canonical order. `None` where all numbers are equal, or nothing is there.
    pub(super) fn fit(config: &Config, examples: &Examples, question: &Question, learned: bool) -> Option<Self> {
        let all = examples.features.rows();
        let rows: Vec<usize> = (all.saturating_sub(config.context)..all).collect();
        let number = match &question.kind {
            Kind::Number(scale) if !scale.varies() => return None,
            Kind::Number(_) => true,
            Kind::Binary | Kind::Class(_) => false,
        };
        let truths = &question.truths;
        let share = truths.iter().sum::<f64>() / count(truths.len()).max(1.0);
        let seen: Vec<f64> = rows.iter().map(|row| truths[*row]).collect();
        let (mean, deviation) = moments(&seen);
        let targets: Vec<f64> =
            seen.iter().map(|truth| ((truth - mean) / (deviation + 1e-6)).clamp(-4.0, 4.0)).collect();
        let columns = Column::choose(&examples.features, &rows, &targets, config.columns);
        let points: Vec<f64> = question.held_out.iter().map(|reading| reading.point).collect();
        let floors: Vec<f64> = question.held_out.iter().map(|reading| reading.floor).collect();
        let centre = if number { 0.0 } else { log_odds(smoothed(share, truths.len())) };
        let sigma = if number { distance(&points, truths) } else { 1.0 };
        let own = Own::fit(question.kind.clone(), mean, rows.iter().map(|row| &examples.past[*row]));
        let held = if number { PLACE_MAX } else { LOG_ODDS_MAX };
        let (mean, deviation) = moments(&points.iter().map(|point| point.clamp(-held, held)).collect::<Vec<f64>>());
        let mut sight = Self {
            columns,
            wanted: config.columns,
            own,
            summary: [0.0; SUMMARY],
            mean,
            deviation: deviation + 1e-6,
            number,
            centre,
            sigma,
            rows,
        };
        let used = count(examples.features.columns()).ln_1p() / 6.0;
        let pasts: Vec<[f32; OWN]> = sight.rows.iter().map(|row| sight.own.read(&examples.past[*row])).collect();
        let of_past = |place: usize| {
            let values: Vec<f64> = pasts.iter().map(|past| f64::from(past[place])).collect();
            let (mean, deviation) = moments(&values);
            let products = values.iter().zip(&targets).map(|(value, target)| (value - mean) * target);
            products.sum::<f64>() / count(values.len()) / (deviation + 1e-6)
        };
        let flag = f64::from(learned);
        let quality = [worth(number, centre, &points, truths), worth(number, centre, &floors, truths)];
        let size = count(sight.rows.len()).ln() / 128f64.ln() - 1.0;
        let rare = if number { 0.0 } else { centre / 3.0 };
        sight.summary =
            [size, quality[0], quality[1], flag, rare, used, of_past(2), of_past(10), deviation.min(3.0)].map(single);
        Some(sight)
    }

    /// What is known of each column; nothing of those that are not there.
    pub(super) fn statistics(&self) -> Vec<[f32; STATISTICS]> {
        let absent = [0.0, 0.0, 1.0, 1.0];
        let columns = self.columns.iter().map(|column| column.statistics);
        columns.chain(std::iter::repeat(absent)).take(self.wanted).collect()
    }

    /// The values of a row; those of columns that are not there are missing.
    pub(super) fn values(&self, features: &[f32]) -> impl Iterator<Item = [f32; VALUES]> {
        let columns = self.columns.iter().map(|column| column.read(features));
        columns.chain(std::iter::repeat([0.0, 0.0, 1.0])).take(self.wanted)
    }

    /// A reading, held where the network can work with it.
    pub(super) fn hold(&self, reading: &Reading) -> Reading {
        let held = |value: f64| {
            if self.number { value.clamp(-PLACE_MAX, PLACE_MAX) } else { value.clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX) }
        };
        Reading { point: held(reading.point), floor: held(reading.floor), offsets: reading.offsets }
    }

    /// What describes a row beside its cells.
    pub(super) fn facts(&self, past: &Past, reading: &Reading) -> [f32; FACTS] {
        let Reading { point, floor, offsets } = self.hold(reading);
        let unit = if self.number { 1.0 } else { 2.0 };
        let score = ((point - self.mean) / self.deviation).clamp(-5.0, 5.0);
        let width = (offsets[6] - offsets[2]).min(8.0);
        let reading =
            [score, (point - self.centre) / unit, (floor - self.centre) / unit, (point - floor) / unit, width]
                .map(single);
        let mut facts = [0.0; FACTS];
        facts[..READING].copy_from_slice(&reading);
        facts[READING..READING + SUMMARY].copy_from_slice(&self.summary);
        facts[READING + SUMMARY..].copy_from_slice(&self.own.read(past));
        facts
    }
}

/// Mean and standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let rows = count(values.len()).max(1.0);
    let mean = values.iter().sum::<f64>() / rows;
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / rows).sqrt())
}

/// A share, held off both ends by half an example.
fn smoothed(share: f64, examples: usize) -> f64 {
    (share * count(examples) + 0.5) / (count(examples) + 1.0)
}

fn distance(points: &[f64], truths: &[f64]) -> f64 {
    let squares = points.iter().zip(truths).map(|(point, truth)| (truth - point).clamp(-5.0, 5.0).powi(2));
    (squares.sum::<f64>() / count(truths.len()).max(1.0)).sqrt().max(0.05)
}

/// How much of the loss of a guess that knows nothing the readings save, from -1 to 1.
fn worth(number: bool, centre: f64, points: &[f64], truths: &[f64]) -> f64 {
    let loss = |point: f64, truth: f64| {
        if number {
            (truth - point).abs()
        } else {
            let margin = if truth > 0.5 { -point } else { point };
            margin.max(0.0) + (-margin.abs()).exp().ln_1p()
        }
    };
    let own = points.iter().zip(truths).map(|(point, truth)| loss(*point, *truth)).sum::<f64>();
    let blind = truths.iter().map(|truth| loss(centre, *truth)).sum::<f64>();
    (1.0 - own / (blind + 1e-6)).clamp(-1.0, 1.0)
}
