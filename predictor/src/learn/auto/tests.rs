use relational::EventTime;

use super::super::metrics::{self, auroc};
use super::super::tests::{binary, classes, same_sign, sample, shuffled};
use super::super::{Examples, Targets, fit};
use super::*;

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
    Mix::learn(context, MATURES_AFTER, 5).unwrap().fit(context, 5).unwrap()
}

#[test]
fn the_mix_is_not_worse_than_its_best_expert() {
    let problems: [fn(usize, u64) -> Examples; 3] = [
        |rows, seed| binary(rows, 12, seed, 1.0),
        same_sign,
        // Almost nothing to learn.
        |rows, seed| binary(rows, 12, seed, 30.0),
    ];
    for (number, problem) in problems.iter().enumerate() {
        // With sixty examples the mix is worse than its best expert (docs/predictor.md): this bounds it for one draw.
        for (rows, tolerance) in [(60, 0.03), (800, 0.02)] {
            let (context, fresh) = (problem(rows, 1), problem(1_000, 2));
            let loss = |fitted: &Fitted| metrics::log_loss(&probabilities(fitted, &fresh), truths(&fresh)).unwrap();
            let ours = auto(&context);
            let alone =
                [Member::LastK, Member::Baseline, Member::Trees].map(|member| fit(member, &context, 5).unwrap());
            let best = alone.iter().map(loss).fold(f64::INFINITY, f64::min);
            let found = loss(&ours);
            assert!(found < best + tolerance, "problem {number}, {rows} rows: {found} for {best} by {}", ours.name());
        }
    }
}

#[test]
fn shuffled_outcomes_give_even_chances() {
    let context = binary(800, 10, 1, 1e6);
    let fresh = binary(2_000, 10, 2, 1.0);
    let found = probabilities(&auto(&context), &fresh);
    let area = auroc(&found, truths(&fresh)).unwrap();
    assert!((0.42..0.58).contains(&area), "{area}");
    assert!(metrics::log_loss(&found, truths(&fresh)).unwrap() < 2f64.ln() + 0.02);
}

#[test]
fn experts_that_see_more_get_the_weight() {
    let name = auto(&same_sign(2_000, 1)).name();
    assert!(name.starts_with("auto (trees 0.9"), "{name}");
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
    let fitted = auto(&classes(800, 1));
    let Estimate::Classes(shares) = fitted.predict(&[0.9, -0.5, -0.5, 0.0, 0.0, 0.0], &Past::default()) else {
        panic!("classes")
    };
    assert!(shares[0] > 0.8 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
}

#[test]
fn the_order_of_examples_changes_no_bit() {
    let examples = binary(500, 10, 1, 1.0);
    let (one, other) = (auto(&examples), auto(&shuffled(&examples)));
    let bits = |fitted: &Fitted| probabilities(fitted, &examples).iter().map(|p| p.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&one), bits(&other));
    let mix = |examples| Mix::learn(examples, MATURES_AFTER, 5).unwrap().fingerprint();
    assert_eq!(mix(&examples), mix(&shuffled(&examples)));
}

#[test]
fn few_examples_leave_the_safe_mix() {
    let mix = |rows| Mix::learn(&binary(rows, 5, 1, 0.5), MATURES_AFTER, 5).unwrap().fingerprint();
    assert_eq!(mix(40), Mix::safe().fingerprint());
    assert_ne!(mix(400), Mix::safe().fingerprint());
}

#[test]
fn no_expert_is_asked_before_its_examples_had_matured() {
    let examples = binary(1_000, 2, 1, 1.0).canonical(1);
    let folds = folds(&examples, MATURES_AFTER);
    assert_eq!(folds.len(), 4);
    for fold in &folds {
        let first = examples.anchors[fold.asked.start];
        let newest = examples.anchors[fold.matured.end - 1];
        assert!(newest.plus(MATURES_AFTER) <= first && first.since(newest) == MATURES_AFTER);
        assert!(fold.asked.start == 0 || examples.anchors[fold.asked.start - 1] < first);
    }
    assert!(folds.windows(2).all(|pair| pair[1].asked.end == pair[0].asked.start));
    let never = super::folds(&examples, EventTime::DAY);
    assert!(never.is_empty());
}
