//! The scores that have left, made once more: as of what their records say, and, where a row scored itself, as a backtest
//! asks about the past.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use graph_store::Store;
use pipeline::audit::{AsOfWhat, Finding, again};
use pipeline::world::World;
use sinks::{Memory, Outgoing};

pub(crate) fn audited(world: &World, store: &Arc<Store>, sink: &Memory) -> String {
    let scorers: BTreeMap<String, _> =
        world.scorers(store).into_iter().map(|scorer| (scorer.plan().task.name.clone(), scorer)).collect();
    let (mut same, mut text) = (0, String::new());
    for (_, outgoing) in sink.records() {
        let Outgoing::Score(record) = outgoing else { continue };
        let Some(value) = &record.value else { continue };
        let value: serde_json::Value = serde_json::from_str(value).expect("a score is JSON");
        let mut ways = vec![AsOfWhat::Recorded];
        ways.extend((value["reason"] == "trigger").then_some(AsOfWhat::Past));
        for way in ways {
            let finding = again(world, &scorers[&record.task], &value, way);
            match finding.unwrap_or_else(|error| panic!("{error}")) {
                Finding::Equal => same += 1,
                other => writeln!(text, "{way:?}: {} {}: {other:?}", record.task, record.key).expect("text"),
            }
        }
    }
    writeln!(text, "made again: {same} the same").expect("text");
    text
}
