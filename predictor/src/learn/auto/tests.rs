use relational::EventTime;

use super::super::metrics::{self, auroc, count};
use super::super::tests::{binary, classes, same_sign, sample, shuffled};
use super::super::{Examples, Targets, fit};
use super::*;
use crate::small::fixture::TINY;
use crate::small::{Schedule, Trainer};

/// Ten examples have the same anchor; an outcome is known three anchors later.
const MATURES_AFTER: i64 = 3;

fn truths(examples: &Examples) -> &[bool] {
    match &examples.targets {
        Targets::Binary(truths) => truths,
        other => panic!("{other:?}"),
    }
}

fn probabilities(fitted: &Fitted, of: &Examples) -> Vec<f64> {
    let rows = 0..of.features.rows();
    let answers = rows.map(|row| match fitted.predict(of.features.row(row), &of.past[row]) {
        Estimate::Binary(probability) => probability,
        other => panic!("{other:?}"),
    });
    answers.collect()
}

fn auto(context: &Examples) -> Fitted {
    let network = Corrector::shipped();
    Mix::learn(context, MATURES_AFTER, 5, &network).unwrap().fit(context, 5, &network).unwrap()
}

/// The log loss on fresh examples of `auto`, and of each other member, as means over so many draws.
fn losses(problem: fn(usize, u64) -> Examples, rows: usize, draws: u32) -> (f64, Vec<f64>) {
    let others = [Member::LastK, Member::Baseline, Member::Small, Member::Trees];
    let (mut ours, mut alone) = (0.0, vec![0.0; others.len()]);
    for draw in 1..=u64::from(draws) {
        let (context, fresh) = (problem(rows, draw), problem(400, 100 + draw));
        let loss = |fitted: &Fitted| {
            metrics::log_loss(&probabilities(fitted, &fresh), truths(&fresh)).unwrap() / f64::from(draws)
        };
        ours += loss(&auto(&context));
        alone.iter_mut().zip(others).for_each(|(sum, member)| *sum += loss(&fit(member, &context, 5).unwrap()));
    }
    (ours, alone)
}

const PROBLEMS: [fn(usize, u64) -> Examples; 3] = [
    |rows, seed| binary(rows, 12, seed, 1.0),
    same_sign,
    // Almost nothing to learn.
    |rows, seed| binary(rows, 12, seed, 30.0),
];

#[test]
fn with_few_labels_the_mix_is_hardly_worse_than_the_best_member() {
    for (number, problem) in PROBLEMS.into_iter().enumerate() {
        for rows in [20, 60] {
            let (ours, alone) = losses(problem, rows, 8);
            let best = alone.iter().copied().fold(f64::INFINITY, f64::min);
            assert!(ours < best + 0.02, "problem {number}, {rows} rows: {ours} for {alone:?}");
        }
    }
}

#[test]
fn with_many_labels_the_mix_is_not_worse_than_the_best_member() {
    for (number, problem) in PROBLEMS.into_iter().enumerate() {
        let (ours, alone) = losses(problem, 1_200, 2);
        let best = alone.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(ours < best + 0.01, "problem {number}: {ours} for {alone:?}");
    }
}

/// Examples whose truths are drawn again from a rule that is told the place of the row.
fn by_rule(rows: usize, seed: u64, rule: fn(&[f32], usize) -> bool) -> Examples {
    let (examples, _) = sample(rows, 10, seed);
    let truths = (0..rows).map(|row| rule(examples.features.row(row), row)).collect();
    Examples { targets: Targets::Binary(truths), ..examples }
}

#[test]
fn one_in_a_hundred_is_calibrated() {
    let rare = |rows, seed| by_rule(rows, seed, |row, _| row[0] + row[1] + 0.6 * row[2] > 1.95);
    let (context, fresh) = (rare(4_000, 1), rare(8_000, 2));
    let happened = count(truths(&fresh).iter().filter(|truth| **truth).count()) / 8_000.0;
    assert!((0.004..0.02).contains(&happened), "{happened}");
    let given = probabilities(&auto(&context), &fresh);
    let mean = given.iter().sum::<f64>() / 8_000.0;
    assert!((0.6..1.6).contains(&(mean / happened)), "{mean} for {happened}");
    let alone = probabilities(&fit(Member::Baseline, &context, 5).unwrap(), &fresh);
    let loss = |given: &[f64]| metrics::log_loss(given, truths(&fresh)).unwrap();
    // 80 outcomes: two standard errors of the difference.
    assert!(loss(&given) < loss(&alone) + 0.004, "{} for {}", loss(&given), loss(&alone));
    // A quarter of the same examples, by preference of the true ones.
    let kept: Vec<usize> = (0..4_000).filter(|row| truths(&context)[*row] || row % 40 == 0).collect();
    let prior = count(truths(&context).iter().filter(|truth| **truth).count()) / 4_000.0;
    let chosen = Examples { prior: Some(vec![prior]), ..context.select(&kept) };
    let mean = probabilities(&auto(&chosen), &fresh).iter().sum::<f64>() / 8_000.0;
    assert!((0.5..2.0).contains(&(mean / happened)), "{mean} for {happened}");
}

#[test]
fn shuffled_outcomes_give_even_chances() {
    let context = binary(800, 10, 1, 1e6);
    let fresh = binary(2_000, 10, 2, 1e6);
    let found = probabilities(&auto(&context), &fresh);
    let area = auroc(&found, truths(&fresh)).unwrap();
    assert!((0.46..0.54).contains(&area), "{area}");
    assert!(metrics::log_loss(&found, truths(&fresh)).unwrap() < 2f64.ln() + 0.02);
}

#[test]
fn experts_that_see_more_get_the_weight() {
    let name = auto(&same_sign(2_000, 1)).name();
    assert!(name.starts_with("auto (trees "), "{name}");
}

#[test]
fn numbers_and_classes_are_mixed_too() {
    let (context, _) = sample(800, 10, 1);
    let (fresh, hidden) = sample(300, 10, 2);
    let fitted = auto(&context);
    let medians: Vec<f64> = (0..300)
        .map(|row| match fitted.predict(fresh.features.row(row), &Past::default()) {
            Estimate::Quantiles(values) => {
                assert!(values.is_sorted());
                values[4]
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(metrics::mean_absolute_error(&medians, &hidden).unwrap() < 0.1, "{}", fitted.name());
    let fitted = auto(&classes(1_200, 1));
    let Estimate::Classes(shares) = fitted.predict(&[0.9, -0.5, -0.5, 0.0, 0.0, 0.0], &Past::default()) else {
        panic!("classes")
    };
    assert!(shares[0] > 0.8 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
}

#[test]
fn the_order_of_examples_and_the_number_of_threads_change_no_bit() {
    let examples = binary(1_050, 10, 1, 1.0);
    let again = shuffled(&examples);
    let made = |from: &Examples| {
        let mix = Mix::learn(from, MATURES_AFTER, 5, &Corrector::shipped()).unwrap();
        let given = probabilities(&mix.fit(from, 5, &Corrector::shipped()).unwrap(), &examples);
        (mix.fingerprint(), given.into_iter().map(f64::to_bits).collect::<Vec<_>>())
    };
    let alone = made(&examples);
    let together = std::thread::scope(|scope| {
        let threads = [scope.spawn(|| made(&examples)), scope.spawn(|| made(&again))];
        threads.map(|thread| thread.join().unwrap())
    });
    assert!(together.iter().all(|made| *made == alone));
}

#[test]
fn a_network_of_the_tasks_own_is_not_asked_about_what_it_learned_from() {
    let examples = binary(400, 5, 1, 0.5);
    // It corrects nothing.
    let untrained = Trainer::new(&TINY, &Schedule::default(), 1).unwrap().weights();
    let learn = |network: &Corrector| Mix::learn(&examples, MATURES_AFTER, 5, network).unwrap();
    let own = |until: EventTime| Corrector::fine_tuned(&untrained, until);
    let shipped = learn(&Corrector::shipped()).fingerprint();
    assert_eq!(learn(&own(EventTime::MAX)).fingerprint(), shipped);
    assert_ne!(learn(&own(EventTime::MIN)).fingerprint(), shipped);
    let named = Mix::safe().fit(&examples, 5, &own(EventTime::MAX)).unwrap();
    assert_eq!(named.name(), "auto (foreshore-small (fine-tuned) 1.00)");
}

#[test]
fn few_examples_leave_the_safe_mix() {
    let mix = |rows| {
        let examples = binary(rows, 5, 1, 0.5);
        Mix::learn(&examples, MATURES_AFTER, 5, &Corrector::shipped()).unwrap().fingerprint()
    };
    assert_eq!(mix(40), Mix::safe().fingerprint());
    assert_ne!(mix(400), Mix::safe().fingerprint());
}

#[test]
fn no_expert_is_asked_before_its_examples_had_matured() {
    let examples = binary(1_000, 2, 1, 1.0).canonical(1);
    let folds = folds(&examples, MATURES_AFTER);
    assert_eq!(folds.len(), 4);
    for fold in &folds {
        let first = examples.anchors[fold.asked[0]];
        let newest = examples.anchors[fold.matured.end - 1];
        assert!(newest.plus(MATURES_AFTER) <= first && first.since(newest) == MATURES_AFTER);
        assert!(fold.asked.is_sorted_by(|one, next| one < next));
        assert!(fold.asked[0] == 0 || examples.anchors[fold.asked[0] - 1] < first);
    }
    assert!(folds.windows(2).all(|pair| pair[1].asked.last() < pair[0].asked.first()));
    let never = super::folds(&examples, EventTime::DAY);
    assert!(never.is_empty());
}
