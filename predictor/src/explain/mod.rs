//! Why a score is what it is: what each part of the model says, and how the score changes when something that it reads
//! is taken away.
//!
//! Columns and rows are taken away one at a time, and the very same model is asked again. Of a column, every feature
//! that comes from it is set to the mean over the context's examples (for `kumo-relational` its values are missing from
//! the query's rows). A row is left out of the snapshot ([`graph_store::Snapshot::without`]), so that nothing leads to
//! it, and a row further back may take its place. What two columns tell together is lost with either of them, and what
//! they tell twice with neither: the numbers need not add up to the score.

mod features;
mod rows;
mod sentence;
#[cfg(test)]
mod tests;

use relational::limits::{EXPLAINED_COLUMNS_MAX, EXPLAINED_ROWS_MAX};
use relational::{EventTime, Key, Prediction, RowKey, Schema, TableId, Task, Value};

use crate::learn::log_odds;

pub use features::{Asked, of_features};
pub use rows::of_rows;

/// What explains a score. Equal questions have equal explanations, bit for bit.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What of the prediction is explained.
    pub measure: Measure,
    /// The prediction's own number, bit for bit.
    pub score: f64,
    /// What the model's parts say; their shares add up to the score on the scale of [`Measure::scale`].
    pub parts: Vec<Share>,
    /// The columns that were taken away, the most telling first.
    pub columns: Vec<ColumnEffect>,
    /// Columns that were not taken away, for there are too many.
    pub columns_left_out: usize,
    /// The rows that were taken away, the most telling first.
    pub rows: Vec<RowEffect>,
    /// Rows further away that were not taken away.
    pub rows_left_out: usize,
    /// The same in words.
    pub sentence: String,
}

/// What of a prediction is explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// The probability of true.
    Probability,
    /// The probability of the likeliest class.
    Class(Value),
    /// The median.
    Median,
}

/// What one part of the model says.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The member; `correction` for what a network adds to it, `mixing` for what the mean of several
    /// answers is more or less than the mean of their log-odds.
    pub name: String,
    /// How much it counts; 1 where nothing is weighed.
    pub weight: f64,
    /// What it says alone, in the score's measure; `None` for what is added to others.
    pub answer: Option<f64>,
    /// Its share of the score, in log-odds or in the target's units.
    pub share: f64,
}

/// What a column is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnEffect {
    /// `table.column`, `calendar` or `past targets`; the time column of a table stands for how many rows there are, too.
    pub column: String,
    /// What it tells of this query, as a clause; empty where that cannot be said in a few words.
    pub says: String,
    /// The score without it.
    pub without: f64,
    /// The score less that without it: above 0 where it makes the score higher.
    pub adds: f64,
}

/// What a row is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct RowEffect {
    /// The row.
    pub row: RowKey,
    /// Its own time; [`EventTime::MIN`] for a table without one.
    pub time: EventTime,
    /// The score without it.
    pub without: f64,
    /// The score less that without it: above 0 where it makes the score higher.
    pub adds: f64,
}

impl Measure {
    /// What is explained of a prediction: of a list its first entry, as [`Prediction::point`] reads it.
    #[must_use]
    pub fn of(prediction: &Prediction) -> Self {
        match prediction {
            Prediction::Binary(_) | Prediction::Ranking(_) => Self::Probability,
            Prediction::Forecast(windows) => windows.first().map_or(Self::Median, |(_, first)| Self::of(first)),
            Prediction::Quantiles(_) => Self::Median,
            Prediction::Multiclass(shares) => {
                let likeliest = shares.iter().max_by(|a, b| a.1.total_cmp(&b.1));
                Self::Class(likeliest.map_or(Value::Null, |(class, _)| class.clone()))
            }
        }
    }

    /// Its value in a prediction of the same task; 0 for a class that the prediction does not know.
    #[must_use]
    pub fn read(&self, prediction: &Prediction) -> f64 {
        match (self, prediction) {
            (Self::Class(class), Prediction::Multiclass(shares)) => {
                shares.iter().find(|(of, _)| of == class).map_or(0.0, |(_, share)| *share)
            }
            _ => prediction.point(),
        }
    }

    /// The scale on which shares add up.
    #[must_use]
    pub fn scale(&self) -> &'static str {
        match self {
            Self::Probability | Self::Class(_) => "log-odds",
            Self::Median => "the target's units",
        }
    }

    fn scaled(&self, value: f64) -> f64 {
        match self {
            Self::Probability | Self::Class(_) => log_odds(value),
            Self::Median => value,
        }
    }
}

impl RowEffect {
    /// `orders 4711 (2011-03-02)`
    #[must_use]
    pub fn name(&self, schema: &Schema) -> String {
        let of = format!("{} {}", schema.table(self.row.table).name, self.row.key);
        match self.time.civil().filter(|_| self.time > EventTime::MIN) {
            Some(civil) => format!("{of} ({})", civil.date()),
            None => of,
        }
    }
}

/// Whose score is explained.
struct Subject<'a> {
    task: &'a Task,
    schema: &'a Schema,
    entity: &'a Key,
}

/// An explanation in the making: the score, and what it is compared with.
struct Comparison {
    measure: Measure,
    score: f64,
}

impl Comparison {
    fn new(prediction: &Prediction) -> Self {
        let measure = Measure::of(prediction);
        Self { score: measure.read(prediction), measure }
    }

    fn share(&self, name: String, weight: f64, prediction: &Prediction) -> Share {
        let answer = self.measure.read(prediction);
        Share { name, weight, answer: Some(answer), share: weight * self.measure.scaled(answer) }
    }

    /// What the others leave to be explained.
    fn rest(&self, name: &str, others: &[Share]) -> Share {
        let share = self.measure.scaled(self.score) - others.iter().map(|other| other.share).sum::<f64>();
        Share { name: name.to_owned(), weight: 1.0, answer: None, share }
    }

    fn column(&self, (column, says): (String, String), prediction: &Prediction) -> ColumnEffect {
        let without = self.measure.read(prediction);
        ColumnEffect { column, says, without, adds: self.score - without }
    }

    fn row(&self, (row, time): (RowKey, EventTime), prediction: &Prediction) -> RowEffect {
        let without = self.measure.read(prediction);
        RowEffect { row, time, without, adds: self.score - without }
    }

    fn explanation(
        self,
        of: &Subject<'_>,
        parts: Vec<Share>,
        (mut columns, columns_left_out): (Vec<ColumnEffect>, usize),
        (mut rows, rows_left_out): (Vec<RowEffect>, usize),
    ) -> Explanation {
        // Stable: of equals the nearer comes first.
        columns.sort_by(|a, b| b.adds.abs().total_cmp(&a.adds.abs()));
        rows.sort_by(|a, b| b.adds.abs().total_cmp(&a.adds.abs()));
        let Self { measure, score } = self;
        let sentence = String::new();
        let mut explanation =
            Explanation { measure, score, parts, columns, columns_left_out, rows, rows_left_out, sentence };
        explanation.sentence = sentence::sentence(&explanation, of);
        explanation
    }
}

/// The first of them, and how many are left out.
fn limited<T>(mut all: Vec<T>, most: usize) -> (Vec<T>, usize) {
    let left_out = all.len().saturating_sub(most);
    all.truncate(most);
    (all, left_out)
}

fn table_name(schema: &Schema, table: TableId) -> &str {
    &schema.table(table).name
}
