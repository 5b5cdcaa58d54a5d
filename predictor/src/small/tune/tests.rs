use relational::EventTime;

use super::episodes::Moments;
use super::splits::known;
use super::*;
use crate::learn::{Matrix, Past, Targets};
use crate::small::fixture::{Noise, TINY};
use crate::small::{Schedule, Trainer};

/// Rows of one anchor.
const TOGETHER: i64 = 40;
/// An outcome is known so many anchors later.
const MATURES_AFTER: i64 = 2;

/// What comes true is `truth` of the first of three columns, and of noise.
fn examples(rows: i64, truth: fn(f64, f64) -> bool) -> Examples {
    let mut noise = Noise(3 << 32);
    let mut features = Matrix::new(3);
    let mut truths = Vec::new();
    for _ in 0..rows {
        let values: Vec<f64> = (0..3).map(|_| noise.next()).collect();
        truths.push(truth(values[0], noise.next()));
        #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
        features.push_row(&values.iter().map(|value| *value as f32).collect::<Vec<f32>>());
    }
    let many = truths.len();
    Examples {
        features,
        past: vec![Past::default(); many],
        targets: Targets::Binary(truths),
        prior: None,
        anchors: (0..rows).map(|row| EventTime(row / TOGETHER)).collect(),
        group: (0..many as u64).collect(),
    }
}

/// Far from the middle on either side: a straight line sees nothing of it.
fn far(value: f64, noise: f64) -> bool {
    value.abs() + 0.2 * noise > 0.7
}

fn chance(_: f64, noise: f64) -> bool {
    noise > 0.0
}

/// A network that adds nothing yet.
fn blind() -> Weights {
    Trainer::new(&TINY, &Schedule::default(), 1).expect("it can be built").weights()
}

fn tuned_in(examples: &Examples, folds: usize) -> Tuned {
    let tuning = Tuning { seed: 5, rate: 4e-3, folds, ..Tuning::default() };
    fine_tune(&blind(), examples, MATURES_AFTER, 300, &tuning, &mut |_, _| ()).expect("it trains")
}

fn tuned(examples: &Examples) -> Tuned {
    tuned_in(examples, 3)
}

#[test]
fn what_the_network_is_blind_to_is_learned_and_shows_on_the_folds() {
    let tuned = tuned(&examples(3_000, far));
    assert_eq!(tuned.folds.len(), 3);
    for fold in &tuned.folds {
        assert!(fold.steps > 0 && fold.tuned < 0.9 * fold.shipped, "{fold:?}");
        assert_eq!(fold.shipped.to_bits(), fold.anchor.to_bits(), "it added nothing: {fold:?}");
    }
    assert!(tuned.steps > 0 && tuned.weights.is_ok_and(|weights| weights != blind()));
}

#[test]
fn noise_is_declined_with_figures() {
    let tuned = tuned(&examples(3_000, chance));
    let reason = tuned.weights.expect_err("there is nothing to learn");
    assert!(reason.contains("standard error") || reason.contains("no step of training"), "{reason}");
    assert_eq!(tuned.steps, 0);
}

#[test]
fn too_few_labels_are_declined() {
    let tuned = tuned(&examples(150, far));
    assert!(tuned.folds.is_empty() && tuned.gains.is_none());
    assert!(tuned.weights.expect_err("too few").contains("too few matured labels"));
}

#[test]
fn equal_arguments_give_equal_bytes() {
    let examples = examples(1_500, far);
    let bytes = || tuned_in(&examples, 1).weights.expect("it helps").to_bytes();
    assert_eq!(bytes(), bytes());
}

#[test]
fn a_course_sees_nothing_but_its_rows() {
    let past = examples(1_500, far);
    let mut other = past.clone();
    let Targets::Binary(truths) = &mut other.targets else { panic!("yes or no") };
    truths[1_200..].iter_mut().for_each(|truth| *truth = !*truth);
    let (base, tuning) = (blind(), Tuning { rate: 4e-3, ..Tuning::default() });
    let hold = |examples: &Examples, end: usize| {
        let course = Course { base: &base, examples, matures_after: MATURES_AFTER, tuning: &tuning };
        course.hold(0..end, &mut |_| ()).expect("it trains").expect("enough")
    };
    assert_eq!(hold(&past, 1_200), hold(&other, 1_200));
    assert_ne!(hold(&past, 1_500).0, hold(&other, 1_500).0);
}

#[test]
fn every_label_of_an_episode_was_known_when_its_first_query_was_taken() {
    let examples = examples(1_000, far);
    let moments = Moments { examples: &examples, matures_after: MATURES_AFTER, asked: 300..900 };
    for seed in 0..50 {
        let Some(episode) = moments.episode(100, seed) else { panic!("there is enough") };
        let newest = episode.context.anchors.iter().max().expect("a context");
        let first = episode.queries.anchors.iter().min().expect("queries");
        assert!(newest.plus(MATURES_AFTER) <= *first, "{newest} {first}");
        let asked = &episode.queries.group;
        assert!(asked.iter().all(|row| (300..900).contains(row)), "{asked:?}");
    }
}

#[test]
fn folds_follow_each_other_and_what_is_before_them_had_matured() {
    let examples = examples(3_000, chance);
    let folds = folds(&examples, MATURES_AFTER, 3);
    assert_eq!(folds.last().map(|fold| fold.asked.end), Some(3_000));
    for pair in folds.windows(2) {
        assert_eq!(pair[0].asked.end, pair[1].asked.start);
    }
    for fold in folds {
        assert_eq!(fold.matured, 0..known(&examples, MATURES_AFTER, fold.asked.start));
        let newest = examples.anchors[fold.matured.end - 1];
        assert!(newest.plus(MATURES_AFTER) <= examples.anchors[fold.asked.start]);
    }
}
