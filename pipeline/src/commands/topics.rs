//! `foreshore topics`

use crate::cli::{Topics, TopicsWhat};
use crate::config::SinkSettings;
use crate::output;
use crate::world::{Failure, World};

pub(super) fn topics(arguments: &Topics) -> Result<(), Failure> {
    let TopicsWhat::Create { common, partitions, replication } = &arguments.what;
    let world = World::load(common)?;
    let SinkSettings::Kafka { brokers, options } = &world.settings.sink else {
        return Err(Failure::Usage("the config's sink is not \"kafka\", so there are no topics to create".into()));
    };
    let scores: Vec<String> = world.settings.tasks.iter().map(|task| task.topic.clone()).collect();
    // Scores are compacted by entity; dead letters are all kept.
    let letters = vec![format!("{}.dlq", world.settings.app.name)];
    let settings = world.sink_settings(brokers, options);
    for (names, compacted) in [(scores, true), (letters, false)] {
        let created = sinks::create_topics(&settings, &names, *partitions, *replication, compacted)?;
        for name in names {
            output::print_line(&format!("{name}: {}", if created.contains(&name) { "created" } else { "exists" }))?;
        }
    }
    Ok(())
}
