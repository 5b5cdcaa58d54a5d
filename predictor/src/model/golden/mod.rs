//! The model against the reference package, on golden files that `scripts/golden/make.py` made from it.

mod case;
mod disk;
mod weights;

use super::dice::{Dice, Seeded};
use super::member;
use super::network::Rows;
use super::recipe::{RelativeTime, TableRecipe, Target};
use super::sample::Sample;
use case::Case;

/// What the issue asks of logits and of quantiles.
const TOLERANCE: f32 = 1e-4;

/// Where a power transform takes part.
const POWER_TOLERANCE: f32 = 2e-3;

fn distance(made: &[Vec<f32>], wanted: &[Vec<f32>]) -> f32 {
    assert_eq!(made.len(), wanted.len());
    let pairs = made.iter().zip(wanted).flat_map(|(made, wanted)| {
        assert_eq!(made.len(), wanted.len());
        made.iter().zip(wanted)
    });
    pairs.map(|(made, wanted)| (made - wanted).abs()).fold(0.0, f32::max)
}

/// The network alone, on the tables that the reference's recipe made.
fn network(name: &str, case: &Case) {
    let (relationships, hops) = (&case.options.relationships, case.options.hops);
    let mut draws = case.draws();
    let recipes = Recipes::fit(case, &mut draws);
    for estimator in 0..case.options.estimators {
        let labels = recipes.target.apply(&case.labels, estimator);
        let rows = recipes.rows(case, &case.context, estimator, "context");
        let context =
            case.model.network.fit(&rows, relationships, &labels, hops, &mut draws).expect("it can be fitted");
        let rows = recipes.rows(case, &case.asked, estimator, "query");
        let made = case.model.network.predict(&context, &[rows]).expect("it answers");
        let apart = distance(&made, &case.tensor(&format!("member.{estimator}.out")));
        println!("{name}: estimator {estimator}: {apart}");
        assert!(apart < TOLERANCE, "{name}: estimator {estimator}: {apart}");
    }
}

/// The recipe alone. Estimators with the power transform are compared more loosely: the reference searches the exponent
/// in 32 bits, where the likelihood is flat.
fn recipe(name: &str, case: &Case) {
    let recipes = Recipes::fit(case, &mut case.draws());
    for estimator in 0..case.options.estimators {
        for side in ["context", "query"] {
            let sample = if side == "context" { &case.context } else { &case.asked };
            let tables = recipes.tables.iter().zip(&sample.tables).zip(case::TABLES);
            let tables = tables.chain([((&recipes.task, &sample.task), "task")]);
            for ((recipe, rows), table) in tables {
                let (columns, wanted) = case.made(estimator, side, table);
                assert_eq!(recipe.columns(), columns, "{name}: {table}");
                let apart = distance(&[recipe.apply(rows, estimator)], &[wanted]);
                let tolerance = if estimator % 2 == 0 { 1e-5 } else { 2e-3 };
                println!("{name}: estimator {estimator}: {side} {table}: {apart}");
                assert!(apart < tolerance, "{name}: estimator {estimator}: {side} {table}: {apart}");
            }
        }
    }
}

struct Recipes {
    target: Target,
    tables: Vec<TableRecipe>,
    task: TableRecipe,
}

impl Recipes {
    /// Draws as a fit does, before the network does.
    fn fit(case: &Case, draws: &mut dyn Dice) -> Self {
        let count = case.options.estimators;
        let target = Target::fit(&case.labels, count, draws);
        let tables = case.context.tables.iter().map(|rows| TableRecipe::fit(rows, true, count, draws)).collect();
        Self { target, tables, task: TableRecipe::fit(&case.context.task, false, count, draws) }
    }

    /// The rows that the reference's recipe made, with the relative times of ours.
    fn rows(&self, case: &Case, sample: &Sample, estimator: usize, side: &str) -> Rows {
        let anchors = |sample: &Sample| member::anchors(sample, &case.options.relationships, case.options.hops);
        let all = |sample: &Sample| -> Vec<_> {
            sample.tables.iter().map(|rows| rows.times.clone()).zip(anchors(sample)).collect()
        };
        let fitted = all(&case.context).into_iter().map(|(times, anchors)| RelativeTime::fit(&times, &anchors));
        let pairs = fitted.zip(all(sample));
        let relative: Vec<Vec<Vec<f32>>> = pairs
            .map(
                |((recipe, own), (times, anchors))| {
                    if side == "context" { own } else { recipe.apply(&times, &anchors) }
                },
            )
            .collect();
        let task = case.made(estimator, side, "task").1;
        member::assemble(sample, &case.made_of_all(estimator, side), &task, &relative).expect("tables fit together")
    }
}

/// Each part, and recipe, network and averaging together. With the power transform the answers differ as far as its
/// exponents do.
fn check(name: &str, tolerance: f32) {
    let case = Case::read(name);
    network(name, &case);
    recipe(name, &case);
    let fitted =
        case.model.fit(&case.context, &case.labels, &case.options, &mut case.draws()).expect("it can be fitted");
    let made = case.model.predict(&fitted, &case.queries).expect("it answers");
    let apart = distance(&made, &case.out());
    println!("{name}: {apart}");
    assert!(apart < tolerance, "{name}: {apart}");
}

#[test]
fn one_table() {
    check("one-table", POWER_TOLERANCE);
}

#[test]
fn two_tables_and_numbers() {
    check("two-tables-numbers", POWER_TOLERANCE);
}

#[test]
fn three_tables_and_two_hops() {
    check("three-tables", POWER_TOLERANCE);
}

#[test]
fn more_classes_than_the_head_has() {
    check("many-classes", POWER_TOLERANCE);
}

#[test]
fn released_dimensions_with_classes() {
    check("released-classes", TOLERANCE);
}

#[test]
fn released_dimensions_with_numbers() {
    check("released-numbers", TOLERANCE);
}

/// The answers, as bits, to thirty-two queries in batches of `size` on `threads` threads.
fn bits(case: &Case, size: usize, threads: usize) -> Vec<u32> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    let queries: Vec<_> = case.queries.iter().cycle().take(32).cloned().collect();
    let answers = pool.install(|| {
        let fitted = case.model.fit(&case.context, &case.labels, &case.options, &mut case.draws());
        let fitted = fitted.expect("it can be fitted");
        let batches = queries.chunks(size).map(|batch| case.model.predict(&fitted, batch).expect("it answers"));
        batches.flatten().flatten().collect::<Vec<f32>>()
    });
    answers.into_iter().map(f32::to_bits).collect()
}

#[test]
fn answers_are_the_same_bits_in_every_batch_and_on_any_number_of_threads() {
    for name in ["three-tables", "many-classes", "two-tables-numbers"] {
        let case = Case::read(name);
        let alone = bits(&case, 1, 1);
        for (size, threads) in [(1, 2), (3, 1), (3, 2), (32, 1), (32, 2)] {
            assert!(bits(&case, size, threads) == alone, "{name}: batches of {size} on {threads} threads");
        }
    }
}

#[test]
fn released_dimensions_give_the_same_bits_in_every_batch() {
    let mut case = Case::read("released-classes");
    let fitted =
        case.model.fit(&case.context, &case.labels, &case.options, &mut case.draws()).expect("it can be fitted");
    let together = case.model.predict(&fitted, &case.queries).expect("it answers");
    case.queries.reverse();
    for (query, wanted) in case.queries.iter().zip(together.iter().rev()) {
        let alone = case.model.predict(&fitted, std::slice::from_ref(query)).expect("it answers");
        assert!(alone[0].iter().map(|share| share.to_bits()).eq(wanted.iter().map(|share| share.to_bits())));
    }
}

#[test]
fn an_encoded_context_has_a_size_and_a_limit() {
    let mut case = Case::read("three-tables");
    let fitted =
        case.model.fit(&case.context, &case.labels, &case.options, &mut case.draws()).expect("it can be fitted");
    // Per estimator: eight points of sixteen channels for each column, and thirty examples of thirty-two in two layers.
    assert!(fitted.bytes() > 4 * 2 * 30 * 32 * 2 * 4, "{}", fitted.bytes());
    case.options.bytes_max = fitted.bytes() - 1;
    let error = case.model.fit(&case.context, &case.labels, &case.options, &mut case.draws()).expect_err("too large");
    assert!(error.to_string().contains("take a smaller context"), "{error}");
}

/// The reference's attention over no keys is nought; a table of which the context has no row is no reason to fail.
#[test]
fn a_table_that_is_empty_in_the_context_is_read_in_a_query() {
    let mut case = Case::read("three-tables");
    case.context.graph.links.retain(|link| link.relationship == 0);
    let items = &mut case.context.tables[2];
    items.count = 0;
    items.numbers.iter_mut().for_each(Vec::clear);
    case.context.graph.counts[2] = 0;
    let fitted =
        case.model.fit(&case.context, &case.labels, &case.options, &mut Seeded::new(1)).expect("it can be fitted");
    let answers = case.model.predict(&fitted, &case.queries).expect("it answers");
    assert!(answers.iter().flatten().all(|share| share.is_finite()));
}
