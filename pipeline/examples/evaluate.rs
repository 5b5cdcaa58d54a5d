//! How good files of scores are, as `foreshore score --out` writes them.
//!
//! Arguments: the column with what came true, then `NAME=FILE` for each model. The first one is what the others are
//! compared with, row by row. Intervals are of 95 %, by 1,000 resamples of the rows.
//!
//! Of a ranking (columns `rank1` to `rank<k>`) the column holds a JSON array of what came true; rows where nothing did are
//! left out. Of a forecast the column of a timeframe is named: `label_2` is compared with `prediction_2`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;

use pipeline::output::print_line;
use predictor::learn::metrics;
use relational::Prediction;
use serde_json::Value as Json;

type Measure = fn(&[f64], &[f64]) -> Option<f64>;

const RESAMPLES: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let truth = arguments.next().ok_or("which column holds what came true?")?;
    let mut models = Vec::new();
    for argument in arguments {
        let (name, file) = argument.split_once('=').ok_or("a model is given as NAME=FILE")?;
        models.push((name.to_owned(), read(file, &truth)?));
    }
    let Some((_, reference)) = models.first() else { return Err("no model is given".into()) };
    if reference.rankings.is_some() {
        return rankings(&models);
    }
    let is_number = reference.number;
    let measures: Vec<(&str, Measure)> = if is_number {
        vec![("MAE", |scores, truths| metrics::mean_absolute_error(scores, truths))]
    } else {
        vec![
            ("AUROC", |scores, truths| metrics::auroc(scores, &happened(truths))),
            ("AP", |scores, truths| metrics::average_precision(scores, &happened(truths))),
            ("log loss", |scores, truths| metrics::log_loss(scores, &happened(truths))),
            ("ECE", |scores, truths| metrics::calibration_error(scores, &happened(truths), 10)),
        ]
    };
    for (name, scored) in &models {
        print_line(&format!("{name}: {} rows, {} without a score", scored.rows.len(), scored.missing))?;
        for (measure_name, measure) in &measures {
            report(measure_name, *measure, &scored.rows, &reference.rows)?;
        }
        if is_number {
            report("pinball", mean, &scored.pinball, &reference.pinball)?;
        }
    }
    Ok(())
}

/// Of figures that belong to one row each.
fn mean(figures: &[f64], _: &[f64]) -> Option<f64> {
    let rows = figures.iter().map(|_| 1.0).sum::<f64>();
    (rows > 0.0).then(|| figures.iter().sum::<f64>() / rows)
}

/// The figures are means over the rankings.
fn rankings(models: &[(String, Scored)]) -> Result<(), Box<dyn Error>> {
    for (name, scored) in models {
        let Some((k, _)) = &scored.rankings else { return Err(format!("{name} ranks nothing").into()) };
        print_line(&format!("{name}: {} rankings of something, {} without", scored.figures(0).len(), scored.missing))?;
        for (measure, title) in ["MAP", "NDCG", "MRR", "recall"].into_iter().enumerate() {
            let title = if title == "MRR" { title.to_owned() } else { format!("{title}@{k}") };
            report(&title, mean, &scored.figures(measure), &models[0].1.figures(measure))?;
        }
    }
    Ok(())
}

fn report(title: &str, measure: Measure, own: &Rows, reference: &Rows) -> Result<(), Box<dyn Error>> {
    let show = |found: Option<(f64, f64, f64)>| {
        found.map_or_else(|| "-".to_owned(), |(at, low, high)| format!("{at:.4} [{low:.4}, {high:.4}]"))
    };
    let (difference, own) = (interval(measure, own, Some(reference)), interval(measure, own, None));
    Ok(print_line(&format!("  {title:<10}{:<28}difference {}", show(own), show(difference)))?)
}

/// By place in the file: score and truth.
type Rows = BTreeMap<usize, (f64, f64)>;

/// How many were ranked, and by place in the file whether each ranked row came true, and how many came true in all.
type Rankings = (usize, BTreeMap<usize, (Vec<bool>, usize)>);

struct Scored {
    rows: Rows,
    missing: usize,
    number: bool,
    /// By place in the file the pinball loss over the quantiles; nothing where there are none.
    pinball: Rows,
    rankings: Option<Rankings>,
}

impl Scored {
    /// One measure of each ranking.
    fn figures(&self, measure: usize) -> Rows {
        let Some((k, rankings)) = &self.rankings else { return Rows::new() };
        let figure = |ranked: &[bool], all: usize| match measure {
            0 => metrics::ranking::average_precision_at(*k, ranked, all),
            1 => metrics::ranking::gain_at(*k, ranked, all),
            2 => metrics::ranking::reciprocal_rank(ranked, all),
            _ => metrics::ranking::recall_at(*k, ranked, all),
        };
        rankings.iter().filter_map(|(place, (ranked, all))| Some((*place, (figure(ranked, *all)?, 0.0)))).collect()
    }
}

fn read(file: &str, truth: &str) -> Result<Scored, Box<dyn Error>> {
    let mut reader = csv::Reader::from_reader(File::open(file)?);
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        // The scores come after the columns of the questions.
        let place = headers.iter().enumerate().filter(|(_, header)| *header == name).last();
        place.map(|(place, _)| place).ok_or_else(|| format!("{file} has no column {name}"))
    };
    let ranks: Vec<usize> = (1..).map_while(|rank| column(&format!("rank{rank}")).ok()).collect();
    let timeframe = truth.rsplit_once('_').map_or("", |(_, number)| number);
    let score = column("prediction").or_else(|_| column(&format!("prediction_{timeframe}")))?;
    let quantile = |level: &f64| {
        let name = format!("q{:02.0}", level * 100.0);
        column(&name).or_else(|_| column(&format!("{name}_{timeframe}"))).ok()
    };
    let quantiles: Option<Vec<usize>> = Prediction::LEVELS.iter().map(quantile).collect();
    let number = quantiles.is_some();
    let truth = column(truth)?;
    let mut scored = Scored { rows: Rows::new(), missing: 0, number, pinball: Rows::new(), rankings: None };
    if !ranks.is_empty() {
        let mut rankings = BTreeMap::new();
        for (place, record) in reader.records().enumerate() {
            let record = record?;
            let Ok(happened) = serde_json::from_str::<Vec<Json>>(&record[truth]) else {
                scored.missing += 1;
                continue;
            };
            let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let happened: BTreeSet<String> = happened.iter().map(text).collect();
            let ranked = ranks.iter().map(|column| happened.contains(&record[*column])).collect();
            rankings.insert(place, (ranked, happened.len()));
        }
        scored.rankings = Some((ranks.len(), rankings));
        return Ok(scored);
    }
    for (place, record) in reader.records().enumerate() {
        let record = record?;
        match (record[score].parse(), record[truth].parse()) {
            (Ok(score), Ok(truth)) => {
                scored.rows.insert(place, (score, truth));
                let parse = |column: &usize| record[*column].parse::<f64>().ok();
                let values: Option<Vec<f64>> = quantiles.iter().flatten().map(parse).collect();
                let values: Option<[f64; 9]> = values.and_then(|values| values.try_into().ok());
                let loss = values.and_then(|values| metrics::pinball(&[values], &[truth]));
                scored.pinball.extend(loss.map(|loss| (place, (loss, 0.0))));
            }
            _ => scored.missing += 1,
        }
    }
    Ok(scored)
}

fn happened(truths: &[f64]) -> Vec<bool> {
    truths.iter().map(|truth| *truth > 0.5).collect()
}

/// The measure (or its difference to the reference on the rows of both), and the ends of its interval.
fn interval(measure: Measure, rows: &Rows, reference: Option<&Rows>) -> Option<(f64, f64, f64)> {
    let others = reference.unwrap_or(rows);
    let both: Vec<(f64, f64, f64)> = rows
        .iter()
        .filter_map(|(place, (score, truth))| others.get(place).map(|(other, _)| (*score, *other, *truth)))
        .collect();
    let of = |picked: &dyn Fn(usize) -> usize| {
        let rows = || (0..both.len()).map(|index| both[picked(index)]);
        let (scores, truths): (Vec<f64>, Vec<f64>) = rows().map(|(score, _, truth)| (score, truth)).unzip();
        let own = measure(&scores, &truths)?;
        if reference.is_none() {
            return Some(own);
        }
        let others: Vec<f64> = rows().map(|(_, other, _)| other).collect();
        Some(own - measure(&others, &truths)?)
    };
    let at = of(&|index| index)?;
    let mut resampled: Vec<f64> = (0..RESAMPLES)
        .filter_map(|resample| {
            let dice = |index: usize| {
                let bits = xxhash_rust::xxh3::xxh3_64_with_seed(&index.to_le_bytes(), resample);
                usize::try_from(bits % both.len() as u64).expect("a place among the rows")
            };
            of(&dice)
        })
        .collect();
    resampled.sort_by(f64::total_cmp);
    let low = *resampled.get(resampled.len() / 40)?;
    let high = *resampled.get(resampled.len() - 1 - resampled.len() / 40)?;
    Some((at, low, high))
}
