//! What a plan reads, as ways from the entity: the source of the read set, so that the two cannot drift apart.

use std::collections::BTreeSet;

use relational::Condition;

use crate::executor::Executor;
use crate::read_set::{Path, Reach, Step};

use super::FeatureOptions;
use super::plan::{Anchor, Detail, Feature, Plan, Span, Stream};
use super::subject::Subject;

/// Every way by which a feature row reads something, in order.
pub(crate) fn paths(plan: &Plan, subject: &Subject, executor: &Executor, options: &FeatureOptions) -> Vec<Path> {
    let mut paths: BTreeSet<Path> = BTreeSet::from([Path { steps: Vec::new() }]);
    let own = |anchor: usize| {
        plan.features.iter().any(|feature| matches!(feature, Feature::Own { anchor: of, .. } if *of == anchor))
    };
    for anchor in (1..plan.anchors.len()).filter(|anchor| own(*anchor)) {
        paths.insert(Path { steps: anchor_steps(plan, anchor) });
    }
    for stream in plan.streams.iter().filter(|stream| stream.read) {
        let before = anchor_steps(plan, stream.anchor);
        for link in &stream.via {
            let with = |steps: &[Step]| Path { steps: [&before, steps].concat() };
            paths.insert(with(&[Step::Down(*link, reach(plan, stream, subject, options))]));
            for rollup in stream.rollups.iter().filter(|_| stream.rolled) {
                // Where the row itself is left out by its key, one more is read.
                let child =
                    Step::Down(*link, Reach::Newest(options.rolled_rows + usize::from(by_key(plan, stream, subject))));
                paths.insert(with(&[child, Step::Down(rollup.foreign_key, Reach::All)]));
            }
        }
    }
    if !subject.is_static {
        let assumed = executor.task().assuming.iter().flat_map(Condition::aggregates);
        for aggregate in executor.task().target_aggregates().into_iter().chain(assumed) {
            paths.extend(aggregate.via.iter().map(|link| Path { steps: vec![Step::Down(*link, Reach::All)] }));
        }
    }
    paths.into_iter().collect()
}

fn anchor_steps(plan: &Plan, anchor: usize) -> Vec<Step> {
    match plan.anchors[anchor] {
        Anchor::Entity => Vec::new(),
        Anchor::Parent(foreign_key) => vec![Step::Up(foreign_key)],
        Anchor::LastParent { stream, foreign_key } => {
            let stream = &plan.streams[stream];
            let mut steps = anchor_steps(plan, stream.anchor);
            steps.extend([Step::Down(stream.via[0], Reach::Newest(1)), Step::Up(foreign_key)]);
            steps
        }
    }
}

fn reach(plan: &Plan, stream: &Stream, subject: &Subject, options: &FeatureOptions) -> Reach {
    if by_key(plan, stream, subject) {
        return Reach::Newest(options.rows + 1);
    }
    match (stream.detail, Span::Twelve.micros(subject.unit_micros)) {
        (Detail::Brief, Some(micros)) => Reach::Recent { rows: options.brief_rows, micros },
        _ => Reach::All,
    }
}

/// Whether the row itself is among the stream's rows and left out by its key: siblings without a time.
fn by_key(plan: &Plan, stream: &Stream, subject: &Subject) -> bool {
    subject.is_static && stream.child == plan.entity && stream.detail == Detail::Untimed
}
