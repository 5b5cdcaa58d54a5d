//! `foreshore run` against a real broker, both killed at any moment. `scripts/kill-test` runs it for longer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::broker::{Broker, shared};
use crate::kafka_shop::{CHUNK, CUSTOMERS, Numbers, Shop, asked, program_of, scores};
use crate::program::Program;

/// Kills of the run, and of the broker, unless the environment says otherwise.
const KILLS: u64 = 20;
const BROKER_KILLS: u64 = 2;
fn program(broker: &Broker, app: &str) -> Program {
    program_of(broker, "kills", app)
}

/// The last score of each key.
fn last_of(scores: &[(String, String, String)]) -> BTreeMap<&str, &str> {
    scores.iter().map(|(_, key, value)| (key.as_str(), value.as_str())).collect()
}

/// Waits until more has been published, or for some seconds.
fn wait_for_scores(broker: &Broker, topic: &str) {
    let published = broker.written(topic, 3);
    for _ in 0..50 {
        if broker.written(topic, 3) > published {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Starts the run again and again while the shop goes on, and kills it; now and then the broker too. Returns the log.
fn kill_again_and_again(broker: &Broker, shop: &mut Shop<'_>, program: &Program, topic: &str) -> String {
    let (kills, broker_kills) = (asked("KILLS", KILLS), asked("BROKER_KILLS", BROKER_KILLS));
    let seed = asked("SEED", 20_240_101);
    let mut log = format!("seed {seed}\n");
    let mut moments = Numbers(seed);
    for kill in 0..kills {
        shop.chunk();
        let mut run = program.start(&["run"]);
        // Half of the kills hit the start, half the work: however slow the machine is, something has been published then.
        let early = kill % 2 == 0;
        let first = 20 + moments.below(if early { 500 } else { 300 });
        thread::sleep(Duration::from_millis(first));
        if !early {
            wait_for_scores(broker, topic);
        }
        if (kill + 1) * broker_kills / kills > kill * broker_kills / kills {
            shop.chunk();
            let moment = moments.below(900);
            thread::sleep(Duration::from_millis(moment));
            broker.kill();
            thread::sleep(Duration::from_millis(moments.below(2_000)));
            broker.resume();
            writeln!(log, "the broker {moment} ms after more came").expect("text");
            wait_for_scores(broker, topic);
        }
        shop.chunk();
        let second = moments.below(if early { 200 } else { 900 });
        thread::sleep(Duration::from_millis(second));
        let ended = run.try_wait().expect("a child");
        assert_eq!(ended, None, "the run ended by itself\n{log}{}", program.said());
        run.kill().expect("a running child");
        run.wait().expect("a killed child");
        writeln!(log, "kill {kill} after {first} + {second} ms").expect("text");
    }
    log
}

#[test]
fn kills_of_a_run_and_of_the_broker_lose_repeat_and_change_nothing() {
    let broker = &Broker::start();
    let mut shop = Shop::named(broker, "kills");
    let (killed, whole) = (program(broker, "killed"), program(broker, "whole"));
    for program in [&killed, &whole] {
        program.succeeds(&["topics", "create", "--partitions", "3"]);
    }
    let log = kill_again_and_again(broker, &mut shop, &killed, "killed.fraud");
    let before_the_end = broker.kcat("killed.fraud", "%k\\n").lines().count();
    // The rest, and once more a start with nothing left to do.
    killed.succeeds(&["run", "--until-caught-up"]);
    shop.last();
    killed.succeeds(&["run", "--until-caught-up"]);
    killed.succeeds(&["run", "--until-caught-up"]);
    whole.succeeds(&["run", "--until-caught-up"]);

    let sorted = |app| {
        let mut scores = scores(broker, app, "fraud");
        scores.sort();
        scores
    };
    let (found, expected) = (sorted("killed"), sorted("whole"));
    let differs = found.iter().zip(&expected).find(|(one, other)| one != other);
    assert_eq!((found.len(), differs), (expected.len(), None), "fraud\n{log}");
    let (churn, expected) = (scores(broker, "killed", "churn"), scores(broker, "whole", "churn"));
    assert_eq!(last_of(&churn), last_of(&expected), "churn\n{log}");
    assert_eq!(last_of(&expected).len(), usize::try_from(CUSTOMERS).expect("few"));
    for app in ["killed", "whole"] {
        assert_eq!(broker.kcat(&format!("{app}.dlq"), "%s\\n"), "not a record\n", "the planted record, once");
        let read = (0..4).map(|place| broker.committed(app, "kills.public.payments", place).unwrap_or(0)).sum::<i64>();
        assert_eq!(read, broker.written("kills.public.payments", 4), "the group of {app} stands at the end");
    }
    println!(
        "{log}{} changes of payments; {} fraud and {} churn scores, each once; {before_the_end} fraud scores before the end",
        broker.written("kills.public.payments", 4),
        found.len(),
        churn.len(),
    );
    assert!(before_the_end > 0, "the kills came before the work\n{log}");
}

/// An older copy of the store goes back in the topics and comes to scores that have left, and so does a new store.
#[test]
fn a_store_that_is_brought_back_repeats_nothing() {
    let broker = shared();
    let mut shop = Shop::named(broker, "restored");
    let app = program_of(broker, "restored", "restored");
    app.succeeds(&["topics", "create", "--partitions", "3"]);
    for _ in 0..6 {
        shop.chunk();
    }
    app.succeeds(&["run", "--until-caught-up"]);
    copy(&app.folder().join("restored-store"), &app.folder().join("copy"));
    for _ in 0..6 {
        shop.chunk();
    }
    app.succeeds(&["run", "--until-caught-up"]);
    let (fraud, churn) = (scores(broker, "restored", "fraud").len(), scores(broker, "restored", "churn").len());
    assert!(fraud > 100 && churn > 10, "{fraud} and {churn} scores");
    for store in ["copy", "new"] {
        app.succeeds(&["run", "--until-caught-up", "--store", store]);
        assert_eq!(scores(broker, "restored", "fraud").len(), fraud, "all had left, {store}");
        scores(broker, "restored", "churn");
    }
    shop.chunk();
    app.succeeds(&["run", "--until-caught-up", "--store", "copy"]);
    assert_eq!(scores(broker, "restored", "fraud").len(), fraud + usize::try_from(CHUNK).expect("few"), "the new ones");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}
