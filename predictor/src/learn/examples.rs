//! What the members are fitted on.

use std::cmp::Ordering;
use std::ops::Range;

use relational::EventTime;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::FitError;
use super::matrix::Matrix;

/// An entity's own past at an example's anchor, newest first. Values that are not finite count as absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Past {
    /// The defined targets of earlier windows: 0 or 1, a class's number, or a number, as the task's own target is.
    pub labels: Vec<f64>,
    /// The target's per-row expression over the newest child rows, such as `statusId != 1` or an amount.
    pub atoms: Vec<f64>,
    /// Rows around the entity, the same tables in the same order for every example.
    pub rows: Vec<CodedRows>,
}

/// Rows of one table, newest first, each cell as a small number that stands for its value or the range it lies in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodedRows {
    /// Cells per row.
    pub width: usize,
    /// Row by row: [`CodedRows::MISSING`], a code from 1 to 15, or [`CodedRows::OTHER`].
    pub cells: Vec<u8>,
}

impl CodedRows {
    /// The code of a missing value.
    pub const MISSING: u8 = 0;
    /// The code of a value that has none of its own.
    pub const OTHER: u8 = u8::MAX;
    /// Codes below this are told apart.
    pub const CODES: usize = 16;

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.cells.chunks_exact(self.width.max(1))
    }

    /// Forgets what one column holds.
    pub(crate) fn blank(&mut self, column: usize) {
        self.cells.iter_mut().skip(column).step_by(self.width.max(1)).for_each(|cell| *cell = Self::MISSING);
    }
}

/// The targets of a context, one per example.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// Yes or no.
    Binary(Vec<bool>),
    /// One of several classes.
    Classes {
        /// How many classes there are, seen in the context or not.
        classes: u32,
        /// Class numbers, from 0.
        labels: Vec<u32>,
    },
    /// Numbers. They are held at ±1e100, so that no square overflows.
    Numbers(Vec<f64>),
}

/// Labelled past examples: a context. All parts have one entry per example.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    /// As of each example's anchor.
    pub features: Matrix,
    /// The entity's own past as of the anchor.
    pub past: Vec<Past>,
    /// What happened in the window after the anchor.
    pub targets: Targets,
    /// Where sampling changed the shares of the classes: the share of each class in the population that the examples
    /// were drawn from, for binary targets the share of true alone.
    pub prior: Option<Vec<f64>>,
    /// When each example was taken.
    pub anchors: Vec<EventTime>,
    /// A digest of each example's entity.
    pub group: Vec<u64>,
}

impl Targets {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Binary(truths) => truths.len(),
            Self::Classes { labels, .. } => labels.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn compare(&self, left: usize, right: usize) -> Ordering {
        match self {
            Self::Binary(truths) => truths[left].cmp(&truths[right]),
            Self::Classes { labels, .. } => labels[left].cmp(&labels[right]),
            Self::Numbers(numbers) => numbers[left].total_cmp(&numbers[right]),
        }
    }

    pub(super) fn select(&self, order: &[usize]) -> Self {
        match self {
            Self::Binary(truths) => Self::Binary(order.iter().map(|index| truths[*index]).collect()),
            Self::Classes { classes, labels } => {
                Self::Classes { classes: *classes, labels: order.iter().map(|index| labels[*index]).collect() }
            }
            Self::Numbers(numbers) => {
                Self::Numbers(order.iter().map(|index| numbers[*index].clamp(-1e100, 1e100)).collect())
            }
        }
    }
}

impl Examples {
    /// Checks that the parts fit together.
    pub(crate) fn check(&self) -> Result<(), FitError> {
        let wanted = self.features.rows();
        if wanted == 0 {
            return Err(FitError::Empty);
        }
        let lengths = [
            ("pasts", self.past.len()),
            ("targets", self.targets.len()),
            ("anchors", self.anchors.len()),
            ("groups", self.group.len()),
        ];
        for (part, found) in lengths {
            if found != wanted {
                return Err(FitError::Length { part, found, wanted });
            }
        }
        let shares = match &self.targets {
            Targets::Binary(_) => 1,
            Targets::Numbers(numbers) => match numbers.iter().position(|number| number.is_nan()) {
                Some(index) => return Err(FitError::Target { index, what: "not a number".into() }),
                None => 0,
            },
            Targets::Classes { classes, labels } => match labels.iter().position(|label| label >= classes) {
                Some(index) => {
                    let what = format!("class {} of {classes}", labels[index]);
                    return Err(FitError::Target { index, what });
                }
                None => *classes as usize,
            },
        };
        match &self.prior {
            // Shares that were added up may pass 1 by rounding.
            Some(prior) if prior.len() != shares || prior.iter().any(|share| !(0.0..=1.0 + 1e-9).contains(share)) => {
                Err(FitError::Prior { wanted: shares })
            }
            _ => Ok(()),
        }
    }

    /// The same examples in an order that depends on nothing but themselves and the seed: oldest first, ties by a hash
    /// of the entity.
    pub(crate) fn canonical(&self, seed: u64) -> Self {
        let hashes: Vec<u64> = self.group.iter().map(|group| xxh3_64_with_seed(&group.to_le_bytes(), seed)).collect();
        let mut order: Vec<usize> = (0..self.features.rows()).collect();
        order.sort_by(|left, right| {
            let key = |index: usize| (self.anchors[index], hashes[index]);
            key(*left).cmp(&key(*right)).then_with(|| self.compare(*left, *right))
        });
        self.select(&order)
    }

    /// The examples at these places, in their order.
    pub(crate) fn select(&self, places: &[usize]) -> Self {
        let mut features = Matrix::new(self.features.columns());
        places.iter().for_each(|place| features.push_row(self.features.row(*place)));
        Self {
            features,
            past: places.iter().map(|place| self.past[*place].clone()).collect(),
            targets: self.targets.select(places),
            prior: self.prior.clone(),
            anchors: places.iter().map(|place| self.anchors[*place]).collect(),
            group: places.iter().map(|place| self.group[*place]).collect(),
        }
    }

    /// The examples of these rows.
    pub(crate) fn part(&self, rows: Range<usize>) -> Self {
        let order: Vec<usize> = rows.clone().collect();
        let mut features = Matrix::new(self.features.columns());
        order.iter().for_each(|index| features.push_row(self.features.row(*index)));
        Self {
            features,
            past: self.past[rows.clone()].to_vec(),
            targets: self.targets.select(&order),
            prior: self.prior.clone(),
            anchors: self.anchors[rows.clone()].to_vec(),
            group: self.group[rows].to_vec(),
        }
    }

    /// Orders examples of equal anchor and entity by their content; what is left equal is the same example.
    fn compare(&self, left: usize, right: usize) -> Ordering {
        let features = |index: usize| self.features.row(index).iter();
        let by_features = features(left).zip(features(right)).map(|(left, right)| left.total_cmp(right));
        let by_features = by_features.fold(Ordering::Equal, Ordering::then);
        let numbers = |left: &[f64], right: &[f64]| {
            let pairs = left.iter().zip(right).map(|(left, right)| left.total_cmp(right));
            left.len().cmp(&right.len()).then(pairs.fold(Ordering::Equal, Ordering::then))
        };
        let cells = |index: usize| self.past[index].rows.iter().map(|rows| &rows.cells);
        by_features
            .then_with(|| self.targets.compare(left, right))
            .then_with(|| numbers(&self.past[left].labels, &self.past[right].labels))
            .then_with(|| numbers(&self.past[left].atoms, &self.past[right].atoms))
            .then_with(|| cells(left).cmp(cells(right)))
    }
}
