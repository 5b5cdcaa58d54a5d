use predictor::learn::metrics::auroc;
use predictor::learn::{self, Estimate, Member};
use predictor::small::Episode;
use relational::DataType;

use super::*;
use crate::columns::Clutter;
use crate::family::pairs;

fn scratch() -> std::path::PathBuf {
    std::env::temp_dir()
}

fn banks(family: Family, seed: u64, tasks: usize, size: usize) -> Vec<Bank> {
    let mut dice = Dice::new(seed, &[9]);
    let world = family.draw(&mut dice);
    let database = Database::fill(&world, &scratch()).unwrap();
    Bank::fill(&world, &database, &mut dice, tasks, size).unwrap()
}

/// How well the closed form tells an episode's queries apart.
fn quality(episode: &Episode) -> Option<f64> {
    let Targets::Binary(truths) = &episode.queries.targets else { return None };
    let fitted = learn::fit(Member::Baseline, &episode.context, 0).ok()?;
    let answer = |place: usize| match fitted.predict(episode.queries.features.row(place), &episode.queries.past[place])
    {
        Estimate::Binary(probability) => probability,
        Estimate::Classes(_) | Estimate::Quantiles(_) => unreachable!("the task is a yes or no"),
    };
    auroc(&(0..truths.len()).map(answer).collect::<Vec<_>>(), truths)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / float(values.len())
}

#[test]
fn every_family_can_be_asked() {
    for family in Family::ALL {
        for seed in 0..3 {
            let banks = banks(family, seed, 50, 80);
            assert!(!banks.is_empty(), "{} with seed {seed}", family.name());
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_examples() {
    let text = |seed| format!("{:?}", banks(Family::Activity, seed, 2, 80));
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}

#[test]
fn a_conjunction_is_seen_row_by_row_alone() {
    let mut dice = Dice::new(1, &[]);
    let tables = pairs::tables(&mut dice, (700, 4), 0.0, DataType::Int, Clutter { copies: 0, noise: 1 });
    let world = World { family: Family::Pairs, tables, questions: pairs::questions() };
    let database = Database::fill(&world, &scratch()).unwrap();
    let mut bank = Bank::fill(&world, &database, &mut dice, 1, 700).unwrap().remove(0);
    let mut all =
        |bank: &Bank| -> Vec<f64> { (0..8).filter_map(|_| quality(&bank.episode(&mut dice, 300, 200)?)).collect() };
    let seen = all(&bank);
    assert!(!seen.is_empty() && mean(&seen) > 0.95, "AUROC {seen:?}");
    bank.examples.past.iter_mut().for_each(|past| past.rows.clear());
    let blind = all(&bank);
    assert!(!blind.is_empty() && (mean(&blind) - 0.5).abs() < 0.08, "AUROC {blind:?}");
}

#[test]
fn shuffled_labels_teach_nothing() {
    let mut all = Vec::new();
    for seed in 0..12 {
        for mut bank in banks(Family::Loans, seed, 2, 400) {
            let mut dice = Dice::new(seed, &[10]);
            let Targets::Binary(truths) = &mut bank.examples.targets else { continue };
            *truths = dice.shuffled(truths.len()).into_iter().map(|place| truths[place]).collect();
            all.extend(bank.episode(&mut dice, 150, 100).as_ref().and_then(quality));
        }
    }
    assert!(all.len() > 5 && (mean(&all) - 0.5).abs() < 0.06, "AUROC {all:?}");
}

#[test]
fn class_balances_span_what_was_wanted() {
    let mut shares = Vec::new();
    for seed in 0..10 {
        for bank in banks(Family::Activity, seed, 3, 200).into_iter().chain(banks(Family::Events, seed, 2, 200)) {
            if let Targets::Binary(truths) = &bank.examples.targets {
                shares.push(float(truths.iter().filter(|truth| **truth).count()) / float(truths.len()));
            }
        }
    }
    shares.sort_by(f64::total_cmp);
    assert!(shares[0] < 0.06 && shares[shares.len() / 2] < 0.6 && shares[shares.len() - 1] > 0.3, "{shares:?}");
}

/// A world without what happens after a moment gives the examples of before the very same features.
#[test]
fn nothing_after_the_cutoff_changes_a_feature() {
    for family in [Family::Rounds, Family::Activity, Family::Events, Family::Loans] {
        let mut dice = Dice::new(3, &[9]);
        let world = family.draw(&mut dice);
        let database = Database::fill(&world, &scratch()).unwrap();
        let question = &world.questions[0];
        let asked = ask(question, &database, &mut dice, 60).unwrap().expect("labels");
        let cutoff = asked.labelled[asked.labelled.len() / 2].anchor;
        let earlier: Vec<Example> = asked.labelled.into_iter().filter(|example| example.anchor <= cutoff).collect();
        let from = earlier[earlier.len() - 1].anchor;
        let short = World { tables: world.tables.iter().map(|table| table.until(cutoff)).collect(), ..world };
        let cut = Database::fill(&short, &scratch()).unwrap();
        let make = |database: &Database| {
            let task = Arc::new(compile(&asked.query, database));
            let executor = Arc::new(Executor::new(task, Arc::clone(database.schema())));
            let featuriser = Featuriser::new(executor, &FeatureOptions::default());
            format!("{:?}", features(database, &featuriser, &earlier, from).unwrap())
        };
        assert!(cut.store.sequence() < database.store.sequence(), "{}: nothing was cut", family.name());
        assert_eq!(make(&database), make(&cut), "{}", family.name());
    }
}
