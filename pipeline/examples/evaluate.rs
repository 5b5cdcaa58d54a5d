//! How good files of scores are, as `foreshore score --out` writes them.
//!
//! Arguments: the column with what came true, then `NAME=FILE` for each model. The first one is what the others are
//! compared with, row by row. Intervals are of 95 %, by 1,000 resamples of the rows.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;

use pipeline::output::print_line;
use predictor::learn::metrics;

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
            let difference = interval(*measure, &scored.rows, Some(&reference.rows));
            let own = interval(*measure, &scored.rows, None);
            let show = |found: Option<(f64, f64, f64)>| {
                found.map_or_else(|| "-".to_owned(), |(at, low, high)| format!("{at:.4} [{low:.4}, {high:.4}]"))
            };
            print_line(&format!("  {measure_name:<9}{:<28}difference {}", show(own), show(difference)))?;
        }
    }
    Ok(())
}

struct Scored {
    /// By place in the file: score and truth.
    rows: BTreeMap<usize, (f64, f64)>,
    missing: usize,
    number: bool,
}

fn read(file: &str, truth: &str) -> Result<Scored, Box<dyn Error>> {
    let mut reader = csv::Reader::from_reader(File::open(file)?);
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        // The scores come after the columns of the questions.
        let place = headers.iter().enumerate().filter(|(_, header)| *header == name).last();
        place.map(|(place, _)| place).ok_or_else(|| format!("{file} has no column {name}"))
    };
    let (score, truth) = (column("prediction")?, column(truth)?);
    let mut scored = Scored { rows: BTreeMap::new(), missing: 0, number: column("q50").is_ok() };
    for (place, record) in reader.records().enumerate() {
        let record = record?;
        match (record[score].parse(), record[truth].parse()) {
            (Ok(score), Ok(truth)) => {
                scored.rows.insert(place, (score, truth));
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
fn interval(
    measure: Measure,
    rows: &BTreeMap<usize, (f64, f64)>,
    reference: Option<&BTreeMap<usize, (f64, f64)>>,
) -> Option<(f64, f64, f64)> {
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
