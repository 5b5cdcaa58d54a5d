//! `foreshore audit`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::audit::{AsOfWhat, Finding, again};
use crate::cli::{Audit, Format};
use crate::config::SinkSettings;
use crate::output::{self, count};
use crate::scorer::{Bounds, Scorer};
use crate::world::{Failure, World, sink_settings};

/// Scores that differ, or that cannot be made again, which are shown.
const SHOWN: usize = 10;

pub(super) fn audit(arguments: &Audit) -> Result<(), Failure> {
    let world = World::load(&arguments.common)?;
    let lines = sample(&world, arguments)?;
    let store = match world.open_store(false) {
        Err(Failure::Store(error @ graph_store::Error::InUse(_))) => {
            return Err(Failure::Usage(format!(
                "{error}, and an audit cannot read beside it: stop that process, copy the directory, start it again, and \
                 audit the copy with --store COPY"
            )));
        }
        opened => opened?,
    };
    let scorer = |plan| Scorer::new(Arc::clone(&store), Arc::clone(plan), Bounds::default());
    let scorers: BTreeMap<&str, Scorer> =
        world.plans.iter().map(|plan| (plan.task.name.as_str(), scorer(plan))).collect();
    let bar = output::progress("scoring again", Some(lines.len() as u64));
    let mut findings = Vec::with_capacity(lines.len());
    for line in lines {
        let scorer = line["task"].as_str().and_then(|task| scorers.get(task));
        let finding = match scorer {
            Some(scorer) => again(&world, scorer, &line["value"], AsOfWhat::Recorded)?,
            None => Finding::Missing("the config has no such task"),
        };
        findings.push((line, finding));
        bar.inc(1);
    }
    bar.finish_and_clear();
    report(arguments, &findings)
}

/// Published scores as lines of a JSON-lines sink, from the file that is asked for or from where the config's sink wrote
/// them; in their order there, so that each context is fitted once.
fn sample(world: &World, arguments: &Audit) -> Result<Vec<Json>, Failure> {
    let mut lot = Lot { arguments, lowest: BTreeMap::new(), offered: 0 };
    match (&arguments.scores, &world.settings.sink) {
        (Some(file), _) => read_file(file, &mut lot)?,
        (None, SinkSettings::JsonLines(file)) if file != Path::new("-") => read_file(file, &mut lot)?,
        (None, SinkSettings::Kafka(output)) => read_topics(&sink_settings(&world.settings, output), &mut lot)?,
        _ => {
            return Err(Failure::Usage(
                "--scores: the sink's scores cannot be read back; name a file of JSON lines".into(),
            ));
        }
    }
    Ok(lot.drawn())
}

fn read_file(file: &Path, lot: &mut Lot<'_>) -> Result<(), Failure> {
    let named = |error: &dyn std::fmt::Display| std::io::Error::other(format!("{}: {error}", file.display()));
    for (number, line) in (1_u64..).zip(BufReader::new(File::open(file).map_err(|error| named(&error))?).lines()) {
        let line = line.map_err(|error| named(&error))?;
        let json: Json = serde_json::from_str(&line).map_err(|error| named(&format!("line {number}: {error}")))?;
        lot.offer(json);
    }
    Ok(())
}

fn read_topics(settings: &sinks::KafkaSettings, lot: &mut Lot<'_>) -> Result<(), Failure> {
    let asked = |task: &String| lot.arguments.task.as_ref().is_none_or(|asked| asked == task);
    let topics = settings.topics.scores.iter().filter(|(task, _)| asked(task));
    let topics = topics.map(|(task, topic)| (task.clone(), topic.clone())).collect();
    let mut unreadable = None;
    sinks::read_scores(settings, &topics, |stored| {
        let Some(value) = &stored.value else { return };
        let read = |bytes: &[u8]| serde_json::from_slice::<Json>(bytes);
        match (read(&stored.key), read(value)) {
            (Ok(key), Ok(value)) => {
                lot.offer(json!({ "id": stored.id, "task": stored.task, "key": key, "value": value }));
            }
            (Err(error), _) | (_, Err(error)) => {
                unreadable.get_or_insert_with(|| format!("{}: no score: {error}", stored.position));
            }
        }
    })?;
    unreadable.map_or(Ok(()), |reason| Err(std::io::Error::other(reason).into()))
}

/// The same scores whatever their order: those whose ids hash lowest.
struct Lot<'a> {
    arguments: &'a Audit,
    /// By the hash of the id and the place in their order.
    lowest: BTreeMap<(u64, u64), Json>,
    offered: u64,
}

impl Lot<'_> {
    fn offer(&mut self, line: Json) {
        let is_asked = self.arguments.task.as_ref().is_none_or(|task| line["task"] == **task);
        if !is_asked || line["value"].is_null() {
            return;
        }
        self.offered += 1;
        let place = xxh3_64_with_seed(line["id"].as_str().unwrap_or_default().as_bytes(), self.arguments.seed);
        self.lowest.insert((place, self.offered), line);
        if self.lowest.len() > self.arguments.sample {
            self.lowest.pop_last();
        }
    }

    fn drawn(self) -> Vec<Json> {
        let in_order: BTreeMap<u64, Json> = self.lowest.into_iter().map(|((_, number), line)| (number, line)).collect();
        in_order.into_values().collect()
    }
}

fn report(arguments: &Audit, findings: &[(Json, Finding)]) -> Result<(), Failure> {
    let number = |wanted: fn(&Finding) -> bool| findings.iter().filter(|(_, finding)| wanted(finding)).count() as u64;
    let equal = number(|finding| matches!(finding, Finding::Equal));
    let different = number(|finding| matches!(finding, Finding::Different(..)));
    let missing = number(|finding| matches!(finding, Finding::Missing(_)));
    let faults = || findings.iter().filter(|(_, finding)| !matches!(finding, Finding::Equal)).take(SHOWN);
    let what = |line: &Json| {
        format!("{} {} at {}", line["task"].as_str().unwrap_or("?"), line["key"], line["value"]["cutoff"])
    };
    match arguments.format {
        Format::Json => {
            let shown = faults().map(|(line, finding)| match finding {
                Finding::Different(was, is) => json!({ "score": what(line), "published": was, "now": is }),
                Finding::Missing(why) => json!({ "score": what(line), "missing": why }),
                Finding::Equal => Json::Null,
            });
            output::print_json(&json!({
                "equal": equal, "different": different, "missing": missing, "faults": shown.collect::<Vec<_>>(),
            }))?;
        }
        Format::Table => {
            let rows = [("equal, bit for bit", equal), ("different", different), ("cannot be made again", missing)];
            output::print_table(
                &["scores", "number"],
                rows.map(|(what, number)| vec![what.to_owned(), count(number)]),
            )?;
            for (line, finding) in faults() {
                let said = match finding {
                    Finding::Different(was, is) => format!("{was} was published, and now it is {is}"),
                    Finding::Missing(why) => (*why).to_owned(),
                    Finding::Equal => String::new(),
                };
                output::print_line(&format!("{}: {said}", what(line)))?;
            }
        }
    }
    if different > 0 {
        return Err(Failure::Differs(format!("{different} of {} scores are not what was published", findings.len())));
    }
    Ok(())
}
