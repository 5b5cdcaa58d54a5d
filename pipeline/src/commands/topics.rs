//! `foreshore topics`

use sinks::Retention;

use crate::cli::{Topics, TopicsWhat};
use crate::config::{self, SinkSettings};
use crate::output;
use crate::world::{Failure, sink_settings, sink_topics};

/// Days after which it is forgotten what left.
const COMMITS_DAYS: i64 = 30;

pub(super) fn topics(arguments: &Topics) -> Result<(), Failure> {
    let TopicsWhat::Create { common, partitions, replication } = &arguments.what;
    // The schema is not asked for: the topics are there before anything can be learnt from the source.
    let settings = config::load(&common.config)?;
    let SinkSettings::Kafka(output) = &settings.sink else {
        return Err(Failure::Usage("the config's sink is not \"kafka\", so there are no topics to create; those of Fluvio are made with `fluvio topic create`".into()));
    };
    let scores: Vec<String> = settings.tasks.iter().map(|task| task.topic.clone()).collect();
    sink_topics(&settings, output)?;
    let sink = sink_settings(&settings, output);
    // Scores are compacted by entity; dead letters are all kept. What left is one log, kept as long as a store may have
    // to be brought back.
    let kinds = [
        (scores, *partitions, Retention::Compacted),
        (vec![sink.topics.dead_letters()], *partitions, Retention::All),
        (vec![sink.topics.commits()], 1, Retention::Days(COMMITS_DAYS)),
    ];
    for (names, partitions, retention) in kinds {
        let created = sinks::create_topics(&sink, &names, partitions, *replication, retention)?;
        for name in names {
            output::print_line(&format!("{name}: {}", if created.contains(&name) { "created" } else { "exists" }))?;
        }
    }
    Ok(())
}
