//! The labelled examples of one task of one database, made once by the production code: many episodes are drawn from
//! them.

use std::sync::Arc;

use predictor::context::{ContextSpec, Example, Policy, select};
use predictor::executor::Executor;
use predictor::features::{FeatureOptions, Featuriser, Query};
use predictor::learn::{Examples, Matrix, Past, Targets};
use relational::{AsOf, EventTime, RowKey, Task, TaskKind, Value};

use crate::database::Database;
use crate::dice::{Dice, float};
use crate::family::Family;
use crate::question::{Question, Side};
use crate::{Error, World};

/// The examples of one task.
#[derive(Debug, Clone)]
pub struct Bank {
    /// The family of the database.
    pub family: Family,
    /// The query as it was compiled.
    pub query: String,
    /// What kind of task it is.
    pub kind: TaskKind,
    /// Names of the features.
    pub names: Vec<String>,
    /// The examples, oldest first.
    pub examples: Examples,
    /// How long after its anchor an example's label is known, in microseconds; 0 where the table has no time.
    pub matures_after: i64,
    /// Whether rows have a time at all.
    pub timed: bool,
    /// No query may be asked before: the features' category statistics were taken then.
    pub from: EventTime,
}

/// Examples below which a task is not worth its database.
const EXAMPLES_MIN: usize = 60;

/// Where in the order of anchors the category statistics are taken.
const STATISTICS_AT: f64 = 0.4;

/// A question that became a task.
struct Asked {
    query: String,
    executor: Arc<Executor>,
    labelled: Vec<Example>,
}

impl Bank {
    /// Up to `tasks` different tasks of a world, each with up to `size` examples; fewer where a question has too few
    /// labels or only one.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn fill(
        world: &World,
        database: &Database,
        dice: &mut Dice,
        tasks: usize,
        size: usize,
    ) -> Result<Vec<Self>, Error> {
        let mut weights: Vec<f64> = world.questions.iter().map(|question| question.weight).collect();
        let mut banks = Vec::new();
        for _ in 0..2 * tasks {
            if banks.len() == tasks || weights.iter().sum::<f64>() <= 0.0 {
                break;
            }
            let place = dice.weighted(&weights);
            weights[place] = 0.0;
            if let Some(asked) = ask(&world.questions[place], database, dice, size)? {
                banks.push(Self::of(world.family, database, asked)?);
            }
        }
        Ok(banks)
    }

    fn of(family: Family, database: &Database, asked: Asked) -> Result<Self, Error> {
        let Asked { query, executor, mut labelled } = asked;
        labelled.reverse();
        let task = executor.task();
        let timed = !task.is_static() || database.schema().table(task.entity).time.is_some();
        let matures_after = if timed { task.matures_after(database.schema()) } else { 0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
        let from = labelled[(float(labelled.len()) * STATISTICS_AT) as usize].anchor;
        let featuriser = Featuriser::new(Arc::clone(&executor), &FeatureOptions::default());
        let (features, past) = features(database, &featuriser, &labelled, from)?;
        let anchors = labelled.iter().map(|example| example.anchor).collect();
        let group = labelled.iter().map(|example| digest(&example.entity)).collect();
        let examples = Examples { features, past, targets: targets(task.kind, &labelled), prior: None, anchors, group };
        let (kind, names) = (task.kind, featuriser.names().to_vec());
        Ok(Self { family, query, kind, names, examples, matures_after, timed, from })
    }
}

/// The features of examples, with category statistics as of `from`.
fn features(
    database: &Database,
    featuriser: &Featuriser,
    labelled: &[Example],
    from: EventTime,
) -> Result<(Matrix, Vec<Past>), Error> {
    let store = &database.store;
    let vocabulary = featuriser.vocabulary(store, AsOf::historical(from, store.sequence()))?;
    let mut features = Matrix::new(featuriser.names().len());
    let (mut past, mut row) = (Vec::with_capacity(labelled.len()), Vec::new());
    for example in labelled {
        let as_of = bounds(database, featuriser.executor(), example)?;
        row.clear();
        past.push(featuriser.row(store, &vocabulary, &Query { entity: example.entity.clone(), as_of }, &mut row)?.past);
        features.push_row(&row);
    }
    Ok((features, past))
}

/// Compiles a question and labels its examples. A threshold is taken from the values of the target itself, so that the
/// share of positives is what was drawn. `None` when there is too little to learn or to tell apart.
fn ask(question: &Question, database: &Database, dice: &mut Dice, size: usize) -> Result<Option<Asked>, Error> {
    // Rows that are their own examples are each at a time of their own.
    let own = compile(&question.text(None), database).is_static();
    let policy = if own || dice.chance(0.2) { Policy::Random } else { Policy::Spread { cutoffs: dice.within(6, 40) } };
    let spec = ContextSpec { policy, size, seed: dice.bits(), ..ContextSpec::default() };
    let share = dice.beta(1.2, 2.0).clamp(0.01, 0.9);
    let text = match question.threshold {
        None => question.text(None),
        Some(side) => {
            let values = labels(&question.text(None), database, &spec)?.labelled;
            match threshold(&values, side, share) {
                None => return Ok(None),
                Some(compared) => question.text(Some(&compared)),
            }
        }
    };
    let asked = labels(&text, database, &spec)?;
    Ok((asked.labelled.len() >= EXAMPLES_MIN && varies(&asked)).then_some(asked))
}

fn labels(text: &str, database: &Database, spec: &ContextSpec) -> Result<Asked, Error> {
    let task = compile(text, database);
    let executor = Arc::new(Executor::new(Arc::new(task), Arc::clone(database.schema())));
    let at = AsOf::historical(database.end(), database.store.sequence());
    let labelled = select(&database.store, &executor, at, spec)?.examples;
    Ok(Asked { query: text.to_owned(), executor, labelled })
}

fn compile(text: &str, database: &Database) -> Task {
    pql::compile("synthetic", text, database.schema())
        .unwrap_or_else(|error| panic!("the prior asks only what its databases can answer: {error}"))
}

/// The comparison that so large a share of the values passes.
fn threshold(labelled: &[Example], side: Side, share: f64) -> Option<String> {
    let mut values: Vec<f64> = labelled.iter().filter_map(|example| example.label.as_f64()).collect();
    values.sort_by(f64::total_cmp);
    let share = if side == Side::Above { 1.0 - share } else { share };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
    let value = *values.get((float(values.len()) * share) as usize)?;
    // A decimal constant: the language has no exponents beyond what is printed here.
    let value = crate::columns::round(value);
    Some(if side == Side::Above { format!("> {value}") } else { format!("<= {value}") })
}

fn varies(asked: &Asked) -> bool {
    let mut values: Vec<&Value> = asked.labelled.iter().map(|example| &example.label).collect();
    values.sort();
    let most = values.chunk_by(|left, right| left == right).map(<[&Value]>::len).max().unwrap_or(0);
    // At least three examples are not of the most frequent label.
    most + 3 <= values.len()
}

/// What the features of an example may see, as a live run would have seen it: a row that is its own example is read
/// with what had arrived with it.
fn bounds(database: &Database, executor: &Executor, example: &Example) -> Result<AsOf, Error> {
    let store = &database.store;
    let (task, sequence) = (executor.task(), store.sequence());
    let at = AsOf::historical(database.end(), sequence);
    if !task.is_static() || database.schema().table(task.entity).time.is_none() {
        return Ok(executor.example_bounds(at, example.anchor));
    }
    let row_key = RowKey { table: task.entity, key: example.entity.clone() };
    let row = store.as_of(AsOf::live(EventTime::MAX, sequence)).row(&row_key)?.expect("an example's row is there");
    Ok(AsOf { cutoff: row.time, sequence: row.born, known: EventTime::MAX })
}

fn targets(kind: TaskKind, labelled: &[Example]) -> Targets {
    let numbers = labelled.iter().map(|example| example.label.as_f64());
    match kind {
        TaskKind::Binary => Targets::Binary(numbers.map(|number| number.is_some_and(|number| number > 0.5)).collect()),
        TaskKind::Multiclass => {
            let mut classes: Vec<&Value> = labelled.iter().map(|example| &example.label).collect();
            classes.sort();
            classes.dedup();
            let class = |example: &Example| {
                let place = classes.binary_search(&&example.label).expect("every label is among the classes");
                u32::try_from(place).expect("few classes")
            };
            let count = u32::try_from(classes.len()).expect("few classes");
            Targets::Classes { classes: count, labels: labelled.iter().map(class).collect() }
        }
        TaskKind::Regression | TaskKind::Ranking | TaskKind::Forecast => {
            Targets::Numbers(numbers.map(|number| number.expect("the label of a regression is a number")).collect())
        }
    }
}

/// Entities of one database are told apart by their number.
fn digest(entity: &relational::Key) -> u64 {
    match entity.values() {
        [Value::Int(number)] => number.unsigned_abs(),
        _ => unreachable!("synthetic tables have one whole number as their key"),
    }
}

#[cfg(test)]
mod tests;
