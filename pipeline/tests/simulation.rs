//! The engine with a simulated source, disk, broker and clock: thousands of lives with faults between every two steps.
//!
//! What is simulated ends at the traits that the program itself uses: [`ingest::Source`], [`sinks::Transactions`] and the
//! store's disk. The engine, the loop around it, the store and the exactly-once protocol are the program's own.
//!
//! Everything follows from the seed. To see one again, step by step:
//!
//! ```sh
//! SEED=4711 cargo test --release --workspace --test simulation -- --nocapture one_seed
//! ```
//!
//! With `SEEDS=100000` there are more of them than the tests run.

#[path = "simulation/broker.rs"]
mod broker;
#[path = "simulation/dice.rs"]
mod dice;
#[path = "simulation/lives.rs"]
mod lives;
#[path = "simulation/shop.rs"]
mod shop;

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lives::{Plant, Told, live};
use shop::Shops;

/// Seeds of one run of the tests, unless the variable `SEEDS` says otherwise.
const SEEDS: u64 = 10_000;

/// Faults that are planted are found within so many seeds.
const PLANTED_SEEDS: u64 = 1_000;

/// Runs seeds on every core until one fails. Returns the first that did, with what was wrong.
fn first_failure(seeds: u64, plant: Plant) -> Option<(u64, String)> {
    let (shops, next) = (Shops::new(), AtomicU64::new(0));
    let failed_before = AtomicU64::new(u64::MAX);
    let work = || {
        let mut failure = None;
        while failure.is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds || seed > failed_before.load(Ordering::Relaxed) {
                return None;
            }
            failure = live(&shops, seed, plant).verdict.err().map(|wrong| (seed, wrong));
        }
        if let Some((seed, _)) = &failure {
            failed_before.fetch_min(*seed, Ordering::Relaxed);
        }
        failure
    };
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no life panics")).min()
    })
}

#[test]
fn every_seed_publishes_each_score_once() {
    let seeds = std::env::var("SEEDS").map_or(SEEDS, |text| text.parse().expect("SEEDS is a number"));
    if let Some((seed, wrong)) = first_failure(seeds, Plant::Nothing) {
        panic!("seed {seed}: {wrong}");
    }
}

#[test]
fn one_seed_twice_gives_the_same_bytes() {
    let shops = Shops::new();
    let asked = std::env::var("SEED").ok().map(|text| text.parse::<u64>().expect("SEED is a number"));
    for seed in asked.map_or(0..50, |seed| seed..seed + 1) {
        let (Told { trace, verdict, .. }, again) =
            (live(&shops, seed, Plant::Nothing), live(&shops, seed, Plant::Nothing));
        if asked.is_some() {
            println!("{trace}{verdict:?}");
        }
        assert_eq!(again.trace, trace, "seed {seed}");
        assert_eq!(verdict, Ok(()), "seed {seed}");
    }
}

/// The simulation would see it if it were wrong: each of these is a known way to lose scores.
#[test]
fn planted_faults_are_found() {
    for plant in [Plant::PositionsFirst, Plant::EntryOutside] {
        let found = first_failure(PLANTED_SEEDS, plant);
        println!("{plant:?}: found by seed {found:?}");
        assert!(found.is_some(), "{plant:?} is not found within {PLANTED_SEEDS} seeds");
    }
}

/// The seeds do what they are for: every kind of fault happens, and often.
#[test]
fn every_kind_of_fault_happens() {
    let shops = Shops::new();
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for seed in 0..600 {
        for (fault, count) in live(&shops, seed, Plant::Nothing).faults {
            *counts.entry(fault).or_default() += count;
        }
    }
    println!("{counts:?}");
    let rare: Vec<_> = lives::FAULTS.iter().filter(|fault| counts.get(**fault).copied().unwrap_or(0) < 10).collect();
    assert!(rare.is_empty(), "{rare:?} hardly happen: {counts:?}");
}
