//! Classes in any number.

use super::tests::sample;
use super::*;

/// The class is where the hidden number falls among equal parts of its range, so that all are learnable and some are
/// rare; class `classes` is declared and has no example.
fn parted(classes: u32, rows: usize, seed: u64) -> Examples {
    let (examples, hidden) = sample(rows, 6, seed);
    let part = |number: &f64| {
        let place = ((number + 2.0) / 4.0 * f64::from(classes)).floor();
        (0..classes).rev().find(|class| f64::from(*class) <= place).unwrap_or(0)
    };
    let labels = hidden.iter().map(part).collect();
    Examples { targets: Targets::Classes { classes: classes + 1, labels }, ..examples }
}

fn shares(fitted: &Fitted, features: &[f32]) -> Vec<f64> {
    match fitted.predict(features, &Past::default()) {
        Estimate::Classes(shares) => shares,
        other => panic!("{other:?}"),
    }
}

/// Held-out log loss of what was learned, and of the shares of the classes among the examples.
fn losses(classes: u32, member: Member, rows: usize) -> (f64, f64) {
    let examples = parted(classes, rows, 1);
    let Targets::Classes { labels, .. } = &examples.targets else { panic!("classes") };
    let share = |class: u32| count(labels.iter().filter(|label| **label == class).count()) / count(rows);
    let fitted = fit(member, &examples, 5).unwrap();
    assert_eq!(fitted.fallback(), None, "{classes} classes");
    let fresh = parted(classes, 500, 2);
    let Targets::Classes { labels, .. } = &fresh.targets else { panic!("classes") };
    let (mut learned, mut base, mut asked) = (0.0, 0.0, 0.0);
    for (row, label) in labels.iter().enumerate() {
        let given = shares(&fitted, fresh.features.row(row));
        assert_eq!(given.len(), classes as usize + 1);
        assert!((given.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{classes} classes: {given:?}");
        assert!(given.iter().all(|share| (0.0..=1.0).contains(share)), "{classes} classes: {given:?}");
        let unseen = given[classes as usize];
        assert!(unseen < 1e-3, "a class without example has next to no share, not {unseen}");
        if share(*label) > 0.0 {
            learned -= given[*label as usize].ln();
            base -= share(*label).ln();
            asked += 1.0;
        }
    }
    (learned / asked, base / asked)
}

#[test]
fn shares_add_up_to_1_and_tell_classes_apart_however_many_there_are() {
    // With 300 classes there are ten examples of each, and little to learn.
    for (classes, most) in [(2, 0.9), (10, 0.9), (30, 0.9), (300, 0.97)] {
        let (learned, base) = losses(classes, Member::Baseline, 3_000);
        assert!(learned < most * base, "{classes} classes: {learned}, by their shares {base}");
    }
    let (learned, base) = losses(30, Member::Trees, 2_000);
    assert!(learned < 0.9 * base, "trees: {learned}, by their shares {base}");
}

#[test]
fn a_class_with_one_example_keeps_its_share() {
    let mut examples = parted(2, 500, 1);
    let Targets::Classes { labels, .. } = &mut examples.targets else { panic!("classes") };
    labels[7] = 2;
    let fitted = fit(Member::Baseline, &examples, 5).unwrap();
    let given = shares(&fitted, examples.features.row(3));
    assert!((0.0005..0.01).contains(&given[2]), "{given:?}");
}
