//! Facts about the members as a whole.

use proptest::prelude::*;
use relational::EventTime;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::metrics::{auroc, count};
use super::*;

/// Numbers that look random, from -1 to 1, the same on every run.
pub(super) struct Noise(pub(super) u64);

impl Noise {
    pub(super) fn next(&mut self) -> f64 {
        self.0 += 1;
        let bits = xxh3_64_with_seed(&self.0.to_le_bytes(), 7) >> 12;
        f64::from_bits(0x3ff0_0000_0000_0000 | bits) * 2.0 - 3.0
    }
}

/// `rows` examples of `columns` features; the hidden number is the sum of the first two.
pub(super) fn sample(rows: usize, columns: usize, seed: u64) -> (Examples, Vec<f64>) {
    let mut noise = Noise(seed << 32);
    let mut features = Matrix::new(columns);
    let mut hidden = Vec::new();
    for _ in 0..rows {
        #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
        let row: Vec<f32> = (0..columns).map(|_| noise.next() as f32).collect();
        hidden.push(f64::from(row[0]) + f64::from(row[1]));
        features.push_row(&row);
    }
    let examples = Examples {
        features,
        past: vec![Past::default(); rows],
        targets: Targets::Numbers(hidden.clone()),
        prior: None,
        anchors: (0..rows).map(|row| EventTime(i64::try_from(row / 10).unwrap())).collect(),
        group: (0..rows).map(|row| row as u64 % 10).collect(),
    };
    (examples, hidden)
}

pub(super) fn binary(rows: usize, columns: usize, seed: u64, noise: f64) -> Examples {
    let (examples, hidden) = sample(rows, columns, seed);
    let mut random = Noise(seed << 32 | 1 << 31);
    let truths = hidden.iter().map(|value| value + noise * random.next() > 0.0).collect();
    Examples { targets: Targets::Binary(truths), ..examples }
}

/// The class is the place of the greatest of the first three features.
pub(super) fn classes(rows: usize, seed: u64) -> Examples {
    let (examples, _) = sample(rows, 6, seed);
    let greatest = |row: &[f32]| (0..3u32).max_by(|left, right| row[*left as usize].total_cmp(&row[*right as usize]));
    let labels = (0..rows).map(|row| greatest(examples.features.row(row)).unwrap()).collect();
    Examples { targets: Targets::Classes { classes: 4, labels }, ..examples }
}

fn probability(fitted: &Fitted, features: &[f32], past: &Past) -> f64 {
    match fitted.predict(features, past) {
        Estimate::Binary(probability) => probability,
        other => panic!("{other:?}"),
    }
}

fn bits(estimate: &Estimate) -> Vec<u64> {
    match estimate {
        Estimate::Binary(probability) => vec![probability.to_bits()],
        Estimate::Classes(values) => values.iter().map(|value| value.to_bits()).collect(),
        Estimate::Quantiles(values) => values.iter().map(|value| value.to_bits()).collect(),
    }
}

/// The examples in another order.
pub(super) fn shuffled(examples: &Examples) -> Examples {
    let mut order: Vec<usize> = (0..examples.features.rows()).collect();
    order.sort_by_key(|index| xxh3_64_with_seed(&index.to_le_bytes(), 99));
    let mut features = Matrix::new(examples.features.columns());
    order.iter().for_each(|index| features.push_row(examples.features.row(*index)));
    let targets = match &examples.targets {
        Targets::Binary(truths) => Targets::Binary(order.iter().map(|index| truths[*index]).collect()),
        Targets::Numbers(numbers) => Targets::Numbers(order.iter().map(|index| numbers[*index]).collect()),
        Targets::Classes { classes, labels } => {
            Targets::Classes { classes: *classes, labels: order.iter().map(|index| labels[*index]).collect() }
        }
    };
    Examples {
        features,
        past: order.iter().map(|index| examples.past[*index].clone()).collect(),
        targets,
        prior: examples.prior.clone(),
        anchors: order.iter().map(|index| examples.anchors[*index]).collect(),
        group: order.iter().map(|index| examples.group[*index]).collect(),
    }
}

#[test]
fn the_order_of_examples_changes_no_bit() {
    let kinds = [binary(400, 20, 1, 0.5), classes(400, 2), sample(400, 20, 3).0];
    for (examples, member) in kinds.iter().flat_map(|kind| [(kind, Member::Baseline), (kind, Member::Trees)]) {
        let (one, other) = (fit(member, examples, 5).unwrap(), fit(member, &shuffled(examples), 5).unwrap());
        assert_eq!((one.fallback(), one.member()), (None, member));
        for row in 0..20 {
            let query = examples.features.row(row);
            let past = Past::default();
            assert_eq!(bits(&one.predict(query, &past)), bits(&other.predict(query, &past)));
        }
    }
}

#[test]
fn the_baseline_learns_and_is_calibrated() {
    let fitted = fit(Member::Baseline, &binary(800, 30, 1, 1.0), 5).unwrap();
    let fresh = binary(2000, 30, 2, 1.0);
    let Targets::Binary(truths) = &fresh.targets else { panic!("binary") };
    let scores: Vec<f64> =
        (0..2000).map(|row| probability(&fitted, fresh.features.row(row), &Past::default())).collect();
    let area = auroc(&scores, truths).unwrap();
    assert!(area > 0.85 && (area - fitted.diagnostics().auroc.unwrap()).abs() < 0.03, "{area} {fitted:?}");
    assert!(metrics::calibration_error(&scores, truths, 10).unwrap() < 0.05);
    assert!(fitted.weights()[0] > 5.0 * fitted.weights()[5].abs());
}

/// True where the first two features have the same sign: no weighted sum of them tells.
pub(super) fn same_sign(rows: usize, seed: u64) -> Examples {
    let (examples, _) = sample(rows, 10, seed);
    let truths = (0..rows).map(|row| examples.features.row(row)).map(|row| row[0] * row[1] > 0.0).collect();
    Examples { targets: Targets::Binary(truths), ..examples }
}

#[test]
fn trees_see_what_no_weighted_sum_does() {
    let context = same_sign(3_000, 1);
    let fresh = same_sign(1_000, 2);
    let Targets::Binary(truths) = &fresh.targets else { panic!("binary") };
    let probabilities = |member| {
        let fitted = fit(member, &context, 5).unwrap();
        let rows = (0..1_000).map(|row| probability(&fitted, fresh.features.row(row), &Past::default()));
        rows.collect::<Vec<f64>>()
    };
    let (linear, trees) = (probabilities(Member::Baseline), probabilities(Member::Trees));
    assert!(auroc(&linear, truths).unwrap() < 0.6);
    assert!(auroc(&trees, truths).unwrap() > 0.95, "{:?}", auroc(&trees, truths));
    assert!(metrics::calibration_error(&trees, truths, 10).unwrap() < 0.06);
}

#[test]
fn with_few_examples_baseline_answers_for_trees() {
    let fitted = fit(Member::Trees, &binary(200, 5, 1, 0.3), 5).unwrap();
    assert_eq!(fitted.member(), Member::Baseline);
    assert!(fitted.fallback().unwrap().contains("200 examples"));
    let nothing = fit(Member::Trees, &binary(9, 5, 1, 0.3), 5).unwrap();
    assert_eq!(nothing.member(), Member::LastK);
    assert!(nothing.fallback().unwrap().contains("baseline: 9 examples"));
}

#[test]
fn a_learned_number_beats_its_median() {
    let (examples, _) = sample(1_000, 10, 1);
    let (fresh, hidden) = sample(500, 10, 2);
    for (member, error) in [(Member::Baseline, 0.1), (Member::Trees, 0.2)] {
        let fitted = fit(member, &examples, 5).unwrap();
        let medians: Vec<f64> = (0..500)
            .map(|row| match fitted.predict(fresh.features.row(row), &Past::default()) {
                Estimate::Quantiles(quantiles) => quantiles[4],
                other => panic!("{other:?}"),
            })
            .collect();
        let found = metrics::mean_absolute_error(&medians, &hidden).unwrap();
        assert!(found < error, "{member:?}: {found}");
    }
}

#[test]
fn classes_are_learned_and_a_class_unseen_stays_possible() {
    let fitted = fit(Member::Baseline, &classes(600, 1), 5).unwrap();
    assert_eq!(fitted.fallback(), None);
    let fresh = classes(500, 2);
    let Targets::Classes { labels, .. } = &fresh.targets else { panic!("classes") };
    let right = (0..500).filter(|row| match fitted.predict(fresh.features.row(*row), &Past::default()) {
        Estimate::Classes(given) => {
            assert!((given.iter().sum::<f64>() - 1.0).abs() < 1e-12 && given[3] > 0.0);
            (0..4).max_by(|left, right| given[*left].total_cmp(&given[*right])).unwrap() == labels[*row] as usize
        }
        other => panic!("{other:?}"),
    });
    assert!(right.count() > 400);
}

#[test]
fn noise_falls_back_to_last_k_with_figures() {
    let mut fallen = 0;
    let mut areas = 0.0;
    for seed in 0..20 {
        let fitted = fit(Member::Baseline, &binary(300, 30, seed, 1e6), 5).unwrap();
        if let Some(reason) = fitted.fallback() {
            assert!(reason.contains("AUROC") && fitted.member() == Member::LastK, "{reason}");
            fallen += 1;
        } else {
            areas += fitted.diagnostics().auroc.unwrap();
        }
    }
    assert!(fallen >= 5 && areas / f64::from(20 - fallen) < 0.6, "{fallen} {areas}");
}

#[test]
fn few_examples_or_one_class_fall_back() {
    let few = fit(Member::Baseline, &binary(9, 5, 1, 0.1), 5).unwrap();
    assert!(few.fallback().unwrap().contains("9 examples"));
    let mut one = binary(50, 5, 1, 0.1);
    one.targets = Targets::Binary(vec![true; 50]);
    let one = fit(Member::Baseline, &one, 5).unwrap();
    assert!(one.fallback().unwrap().contains("0 of the rarer class"));
    assert!(probability(&one, &[0.0; 5], &Past::default()) > 0.95);
}

#[test]
fn the_floor_weighs_less_the_more_examples_there_are() {
    let weight = |rows| fit(Member::Baseline, &binary(rows, 5, 1, 0.3), 5).unwrap().diagnostics().floor_weight;
    assert!((weight(100) - 0.5).abs() < 1e-12 && weight(900) < 0.11);
}

#[test]
fn last_k_follows_the_past() {
    let mut examples = binary(200, 3, 1, 0.3);
    let Targets::Binary(truths) = examples.targets.clone() else { panic!("binary") };
    for (past, truth) in examples.past.iter_mut().zip(&truths) {
        past.atoms = vec![f64::from(*truth); 5];
    }
    let fitted = fit(Member::LastK, &examples, 5).unwrap();
    assert_eq!((fitted.member(), fitted.diagnostics().source), (Member::LastK, Source::Atoms));
    let past = |value: f64| Past { labels: vec![], atoms: vec![value; 5], ..Past::default() };
    let (high, low) = (probability(&fitted, &[0.0; 3], &past(1.0)), probability(&fitted, &[0.0; 3], &past(0.0)));
    let base = probability(&fitted, &[0.0; 3], &Past::default());
    assert!(high > 0.9 && low < 0.1 && (0.3..0.7).contains(&base), "{high} {low} {base}");
}

#[test]
fn probabilities_follow_the_population_where_sampling_changed_it() {
    // In the population 5 % are true; the sample holds all of them and as many of the others.
    let population = |seed| {
        let (examples, hidden) = sample(20_000, 4, seed);
        let mut random = Noise(seed << 32 | 1 << 31);
        let truths: Vec<bool> = hidden.iter().map(|value| value + 0.7 * random.next() > 1.55).collect();
        (examples, truths)
    };
    let (all, truths) = population(1);
    let share = count(truths.iter().filter(|truth| **truth).count()) / 20_000.0;
    let mut others = 0;
    let wanted = truths.iter().filter(|truth| **truth).count();
    let kept: Vec<usize> = (0..20_000)
        .filter(|row| {
            others += usize::from(!truths[*row]);
            truths[*row] || others <= wanted
        })
        .collect();
    let mut features = Matrix::new(4);
    kept.iter().for_each(|row| features.push_row(all.features.row(*row)));
    let examples = Examples {
        features,
        past: vec![Past::default(); kept.len()],
        targets: Targets::Binary(kept.iter().map(|row| truths[*row]).collect()),
        prior: Some(vec![share]),
        anchors: vec![EventTime(0); kept.len()],
        group: kept.iter().map(|row| *row as u64).collect(),
    };
    let fitted = fit(Member::Baseline, &examples, 5).unwrap();
    let (fresh, fresh_truths) = population(2);
    let predicted: f64 =
        (0..20_000).map(|row| probability(&fitted, fresh.features.row(row), &Past::default())).sum::<f64>() / 20_000.0;
    let happened = count(fresh_truths.iter().filter(|truth| **truth).count()) / 20_000.0;
    assert!((predicted / happened - 1.0).abs() < 0.12, "{predicted} for {happened}");
}

#[test]
fn inconsistent_examples_are_refused() {
    let examples = binary(20, 3, 1, 0.3);
    let without = Examples { past: vec![], ..examples.clone() };
    assert_eq!(fit(Member::LastK, &without, 5).unwrap_err(), FitError::Length { part: "pasts", found: 0, wanted: 20 });
    let wrong = Examples { prior: Some(vec![0.5, 0.5]), ..examples };
    assert_eq!(fit(Member::LastK, &wrong, 5).unwrap_err(), FitError::Prior { wanted: 1 });
}

#[test]
fn names_are_read_back() {
    assert!(Member::ALL.into_iter().all(|member| Member::parse(member.name()) == Some(member)));
    assert_eq!(Member::parse("forest"), None);
}

/// Any features and pasts, usable or not.
fn wild() -> impl Strategy<Value = Vec<(Vec<f32>, Vec<f64>, f64)>> {
    let feature = prop_oneof![Just(f32::NAN), any::<f32>(), -1.0..1.0f32, Just(0.0)];
    let number = prop_oneof![any::<f64>().prop_filter("a number", |number| !number.is_nan()), -1.0..1.0f64, Just(0.0)];
    let row = (prop::collection::vec(feature, 4), prop::collection::vec(any::<f64>(), 0..4), number);
    prop::collection::vec(row, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn predictions_are_finite_and_ordered(rows in wild(), member in prop::sample::select(Member::ALL.to_vec())) {
        let mut features = Matrix::new(4);
        rows.iter().for_each(|(row, ..)| features.push_row(row));
        let past: Vec<Past> = rows.iter().map(|(_, past, _)| Past { labels: past.clone(), atoms: past.clone(), ..Past::default() }).collect();
        let numbers: Vec<f64> = rows.iter().map(|(.., number)| *number).collect();
        let labels = numbers.iter().map(|number| 1 + u32::from(*number > 0.0)).collect();
        for targets in [
            Targets::Binary(numbers.iter().map(|number| *number > 0.0).collect()),
            Targets::Classes { classes: 4, labels },
            Targets::Numbers(numbers.clone()),
        ] {
            let examples = Examples {
                features: features.clone(),
                past: past.clone(),
                targets,
                prior: None,
                anchors: vec![EventTime(0); rows.len()],
                group: vec![0; rows.len()],
            };
            let fitted = fit(member, &examples, 1).unwrap();
            for (row, past) in rows.iter().zip(&past) {
                match fitted.predict(&row.0, past) {
                    Estimate::Binary(given) => prop_assert!(given > 0.0 && given < 1.0),
                    Estimate::Classes(given) => {
                        prop_assert!((given.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                        prop_assert!(given.iter().all(|share| *share >= 0.0));
                    }
                    Estimate::Quantiles(given) => {
                        prop_assert!(given.iter().all(|value| value.is_finite()), "{given:?}");
                        prop_assert!(given.windows(2).all(|pair| pair[0] <= pair[1]), "{given:?}");
                    }
                }
            }
        }
    }
}
