//! What becomes of the main figure, from the rows of `stress.parquet`.

use indexmap::IndexMap;
use relational::{EventTime, TaskKind};
use serde::{Deserialize, Serialize};

use super::bootstrap::{BLOCKS_MIN, Blocks};
use super::evaluation::{FEW, Figure, with_intervals};
use super::levels::{CURVES, Kind, Level};
use super::measures::{Measure, Wanted, measures};
use super::read::Scores;
use super::run::Run;
use super::stress::Sample;

/// A stress test.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stress {
    /// The figure that is followed.
    pub figure: String,
    /// Decided the sample, every draw and the resamples.
    pub seed: u64,
    /// Rows that were asked again, of how many with a known label, and how many contexts answer them.
    pub rows: usize,
    pub of: usize,
    pub contexts: usize,
    /// Of a yes or no, how many of the rows came true.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub positives: Option<usize>,
    /// Whether the rows were drawn class by class, so that more of them came true than of all.
    pub drawn_by_class: bool,
    /// What makes these curves say less than they seem to.
    pub warnings: Vec<String>,
    pub curves: Vec<StressCurve>,
}

/// One way to disturb, more and more.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StressCurve {
    pub name: String,
    pub levels: Vec<StressLevel>,
}

/// The figure at one level.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StressLevel {
    pub level: String,
    /// Examples, columns of noise for each real one, a share, or seconds; none for a whole context.
    pub value: Option<f64>,
    /// Rows that every member has answered at this level.
    pub rows: usize,
    pub members: IndexMap<String, StressFigure>,
}

/// The figure of a member.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct StressFigure {
    pub figure: Figure,
    /// How much more it is than undisturbed, on the same rows.
    pub difference: Figure,
}

/// The figure that says most of a kind of task.
fn main_figure(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Binary => "auroc",
        TaskKind::Multiclass => "accuracy",
        TaskKind::Regression | TaskKind::Forecast => "mae",
        TaskKind::Ranking => "map",
    }
}

pub(super) fn figures(run: &Run, all: &Scores, sample: &Sample, levels: &[Level]) -> Stress {
    let figure = main_figure(all.layout().kind);
    let of_level = |level: &Level| all.of_level(level.kind.name(), &level.name);
    let undisturbed = of_level(&levels[0]);
    let at = |level: &Level, kind: Kind| {
        let is_nothing = level.kind == Kind::Undisturbed;
        let value = if is_nothing && kind == Kind::ColdStart { None } else { Some(level.value) };
        let name = if is_nothing { kind.nothing().to_owned() } else { level.name.clone() };
        let (rows, members) = compared(run, figure, &of_level(level), &undisturbed);
        StressLevel { level: name, value, rows, members }
    };
    let curve = |kind: &Kind| {
        let own = levels.iter().filter(|level| level.kind == *kind);
        let nothing = std::iter::once(&levels[0]);
        // The more examples the less is disturbed.
        let in_order: Vec<&Level> = match kind {
            Kind::ColdStart => own.chain(nothing).collect(),
            _ => nothing.chain(own).collect(),
        };
        let levels: Vec<StressLevel> = in_order.into_iter().map(|level| at(level, *kind)).collect();
        StressCurve { name: kind.name().to_owned(), levels }
    };
    let has_levels = |kind: &&Kind| levels.iter().any(|level| level.kind == **kind);
    let curves: Vec<StressCurve> = CURVES.iter().filter(has_levels).map(curve).collect();
    let rows = sample.rows().len();
    let positives = positives(&undisturbed);
    let mut stress = Stress {
        figure: figure.to_owned(),
        seed: run.seed,
        rows,
        of: sample.of,
        contexts: sample.groups.len(),
        positives,
        drawn_by_class: sample.apart,
        warnings: Vec::new(),
        curves,
    };
    stress.warnings = warnings(&stress, &blocks(run, &undisturbed, &undisturbed.evaluated(0)));
    stress
}

fn positives(scores: &Scores) -> Option<usize> {
    match scores.truths(0, &scores.evaluated(0)) {
        super::read::Truths::Binary(truths) => Some(truths.iter().filter(|truth| **truth).count()),
        _ => None,
    }
}

fn blocks(run: &Run, scores: &Scores, rows: &[usize]) -> Blocks {
    let cutoffs = scores.cutoffs();
    let cutoffs: Vec<EventTime> = rows.iter().map(|row| cutoffs[*row]).collect();
    Blocks::new(&cutoffs, run.plan().timeframes[0].task().horizon())
}

/// How many rows were answered, and the figure of each member, beside what it is undisturbed.
fn compared(run: &Run, figure: &str, level: &Scores, undisturbed: &Scores) -> (usize, IndexMap<String, StressFigure>) {
    // The rows of all levels are the same, in the same order.
    let rows = level.evaluated(0);
    let truths = level.truths(0, &rows);
    let blocks = blocks(run, level, &rows);
    let of_member = |(member, name): (usize, &String)| {
        let measure = |scores: &Scores| -> Vec<Measure> {
            let all = measures(&truths, &scores.answers(member, 0, &rows), &Wanted::default());
            all.into_iter().filter(|measure| measure.name == figure).collect()
        };
        let (own, differences) = with_intervals(&[measure(level), measure(undisturbed)], &blocks, run.seed);
        (name.clone(), StressFigure { figure: own[0][figure], difference: differences[0][figure] })
    };
    (rows.len(), level.layout().members.iter().enumerate().map(of_member).collect())
}

fn warnings(stress: &Stress, blocks: &Blocks) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(positives) = stress.positives {
        let rarer = positives.min(stress.rows - positives);
        if rarer < FEW {
            all.push(format!("only {rarer} rows of the rarer label: every curve may be chance"));
        }
    } else if stress.rows < FEW {
        all.push(format!("only {} rows: every curve may be chance", stress.rows));
    }
    if blocks.days.is_none() {
        all.push(format!("the rows lie on fewer than {BLOCKS_MIN} independent days: intervals resample rows"));
    }
    for curve in &stress.curves {
        for level in curve.levels.iter().filter(|level| level.rows < stress.rows) {
            let missing = stress.rows - level.rows;
            let (name, level) = (curve.name.replace('_', " "), &level.level);
            all.push(format!("{name}, {level}: {missing} rows had no labelled past to be scored from"));
        }
    }
    all
}
