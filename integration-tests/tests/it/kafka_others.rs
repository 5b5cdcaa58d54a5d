//! What a run does when another process publishes for its application, and when its broker is away for long.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::broker::{Broker, free_port, shared};
use crate::kafka_shop::{CHUNK, Shop, program_of, scores};
use crate::program::Program;

#[test]
fn two_processes_of_one_application_do_not_both_publish() {
    let broker = shared();
    let mut shop = Shop::named(broker, "twice");
    let app = program_of(broker, "twice", "twice");
    second_ends_first(broker, &mut shop, &app, "twice");
    as_if_undisturbed(broker, "twice", "once");
}

#[test]
fn without_transactions_too_the_second_process_ends_the_first() {
    let broker = shared();
    let mut shop = Shop::named(broker, "least");
    let app = program_of(broker, "least", "least");
    let config = fs::read_to_string(app.folder().join("foreshore.toml")).expect("the config");
    app.configure(&config.replace("exactly_once", "at_least_once"));
    second_ends_first(broker, &mut shop, &app, "least");
}

/// Starts a run and a second one on another store. Returns once the first has ended and the second has done its work.
fn second_ends_first(broker: &Broker, shop: &mut Shop<'_>, app: &Program, name: &str) {
    app.succeeds(&["topics", "create", "--partitions", "3"]);
    for _ in 0..4 {
        shop.chunk();
    }
    let mut first = app.start(&["run"]);
    while broker.written(&format!("{name}.fraud"), 3) == 0 {
        thread::sleep(Duration::from_millis(100));
    }
    let message = app.fails(&["run"]);
    assert!(message.contains(&format!("{name}-store is in use by another process")), "{message}");

    let config = fs::read_to_string(app.folder().join("foreshore.toml")).expect("the config");
    let other = Program::new(&config);
    let mut second = other.start(&["run"]);
    for _ in 0..200 {
        if first.try_wait().expect("a child").is_some() {
            break;
        }
        thread::sleep(Duration::from_millis(300));
    }
    assert!(first.try_wait().expect("a child").is_some(), "the first goes on: {}", app.said());
    let (ended, message) = (first.wait().expect("a child"), app.said());
    assert_eq!(ended.code(), Some(1), "{message}");
    assert!(message.contains(&format!("another process publishes as application `{name}`")), "{message}");
    assert!(message.contains("app.name"), "{message}");
    shop.chunk();
    let ended = second.try_wait().expect("a child");
    assert_eq!(ended, None, "the second ended by itself: {}", other.said());
    second.kill().expect("a running child");
    second.wait().expect("a killed child");
    other.succeeds(&["run", "--until-caught-up"]);
}

/// A broker that is away for long is waited for: not ready, and then as if nothing had been.
#[test]
fn an_outage_of_the_broker_is_waited_for() {
    let broker = &Broker::start();
    let mut shop = Shop::named(broker, "outage");
    let app = program_of(broker, "outage", "outage");
    let port = free_port();
    let config = fs::read_to_string(app.folder().join("foreshore.toml")).expect("the config");
    app.configure(&format!("{config}\n[http]\nlisten = \"127.0.0.1:{port}\"\n"));
    app.succeeds(&["topics", "create", "--partitions", "3"]);
    for _ in 0..4 {
        shop.chunk();
    }
    let mut run = app.start(&["run"]);
    wait_until_ready(port, "ready", &app);
    broker.kill();
    wait_until_ready(port, "waiting: ", &app);
    thread::sleep(OUTAGE);
    assert_eq!(run.try_wait().expect("a child"), None, "the run ended by itself: {}", app.said());
    broker.resume();
    let before = broker.written("outage.fraud", 3);
    shop.chunk();
    wait_until_ready(port, "ready", &app);
    for _ in 0..300 {
        if broker.written("outage.fraud", 3) >= before + i64::try_from(CHUNK).expect("few") {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    run.kill().expect("a running child");
    run.wait().expect("a killed child");
    app.succeeds(&["run", "--until-caught-up"]);
    as_if_undisturbed(broker, "outage", "steady");
}

/// No score stands there twice, and there are as many of payments as from another application that nothing disturbs.
#[track_caller]
fn as_if_undisturbed(broker: &Broker, name: &str, undisturbed: &str) {
    let whole = program_of(broker, name, undisturbed);
    whole.succeeds(&["topics", "create", "--partitions", "3"]);
    whole.succeeds(&["run", "--until-caught-up"]);
    let count = |app| scores(broker, app, "fraud").len();
    assert_eq!(count(name), count(undisturbed), "each payment once");
    scores(broker, name, "churn");
}

/// How long the broker stays away once the run has told of it: longer than one call of the client takes.
const OUTAGE: Duration = Duration::from_secs(15);

fn wait_until_ready(port: u16, expected: &str, app: &Program) {
    let ask = || {
        let answer = ureq::get(format!("http://127.0.0.1:{port}/readyz")).config().http_status_as_error(false).build();
        answer.call().ok()?.body_mut().read_to_string().ok()
    };
    let mut last = None;
    for _ in 0..600 {
        last = ask();
        if last.as_ref().is_some_and(|text| text.starts_with(expected)) {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("/readyz says {last:?}, not {expected}: {}", app.said());
}
