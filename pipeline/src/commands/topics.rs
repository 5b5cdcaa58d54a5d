//! `foreshore topics`

use crate::cli::{Topics, TopicsWhat};
use crate::config::{self, SinkSettings};
use crate::output;
use crate::world::{Failure, sink_settings};

pub(super) fn topics(arguments: &Topics) -> Result<(), Failure> {
    let TopicsWhat::Create { common, partitions, replication } = &arguments.what;
    // The schema is not asked for: the topics are there before anything can be learnt from the source.
    let settings = config::load(&common.config)?;
    let SinkSettings::Kafka { brokers, options } = &settings.sink else {
        return Err(Failure::Usage("the config's sink is not \"kafka\", so there are no topics to create".into()));
    };
    let scores: Vec<String> = settings.tasks.iter().map(|task| task.topic.clone()).collect();
    // Scores are compacted by entity; dead letters are all kept.
    let letters = vec![format!("{}.dlq", settings.app.name)];
    let sink = sink_settings(&settings, brokers, options);
    for (names, compacted) in [(scores, true), (letters, false)] {
        let created = sinks::create_topics(&sink, &names, *partitions, *replication, compacted)?;
        for name in names {
            output::print_line(&format!("{name}: {}", if created.contains(&name) { "created" } else { "exists" }))?;
        }
    }
    Ok(())
}
