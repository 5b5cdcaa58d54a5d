//! A backtest from its questions to its report.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use graph_store::Store;
use relational::{AsOf, EventTime, Key, TaskKind};
use serde::{Deserialize, Serialize};
use sinks::key_text;
use xxhash_rust::xxh3::Xxh3;

use super::ahead::{Ahead, Drawn, with_contexts};
use super::asked::Asked;
use super::evaluation::{Budget, Costs, Evaluation, How, evaluate};
use super::examples::{Example, examples};
use super::latency::{Latency, Stopwatch};
use super::parts::{Parts, named, write_whole};
use super::read::Scores;
use super::segment::Segment;
use super::stress::stress;
use super::stress_figures::Stress;
use super::table::{Answer, Layout, Line};
use crate::labels::Labels;
use crate::output;
use crate::parallel;
use crate::plan::Plan;
use crate::scorer::{Bounds, FittedContext, Panel, Scorer};
use crate::world::{Failure, World, store_id};

/// Questions of a part: what a kill costs at most.
const PART: usize = 2_000;

/// What is asked, of whom.
#[derive(Debug)]
pub(crate) struct Run {
    /// Names and plans of the members, that which is asked about first; all of one task.
    pub members: Vec<(String, Arc<Plan>)>,
    pub asked: Vec<Asked>,
    pub bounds: Bounds,
    /// What came true is judged by what was known at this time; by everything that is known when absent.
    pub judged_at: Option<EventTime>,
    pub segments: Vec<Segment>,
    pub budget: Option<Budget>,
    pub costs: Option<Costs>,
    /// Decides the resamples.
    pub seed: u64,
    /// How many questions a stress test asks again, at most; none without one.
    pub stress: Option<usize>,
    /// The folder that is written to.
    pub out: PathBuf,
}

/// What `metrics.json` says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub version: String,
    pub task: String,
    pub query: String,
    pub kind: String,
    /// The member that is asked about, and the others.
    pub model: String,
    pub beside: Vec<String>,
    pub context_size: usize,
    pub regime: Regime,
    pub questions: usize,
    pub first_cutoff: Option<String>,
    pub last_cutoff: Option<String>,
    /// How long after its cutoff a label is known, in seconds.
    pub label_matures_after_s: i64,
    /// Rows of which another member than the one asked about answered, by its reason.
    pub fell_back: BTreeMap<String, usize>,
    pub budget: Option<Budget>,
    pub costs: Option<Costs>,
    pub seed: u64,
    /// One per timeframe.
    pub evaluations: Vec<Evaluation>,
    /// How long the stages of a score took, on the machine that made them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency: Option<Latency>,
    /// What becomes of the main figure when what is read gets worse.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stress: Option<Stress>,
    /// Single rows, explained.
    pub examples: Vec<Example>,
}

/// What the scores were kept from seeing, beside all that lay after their cutoffs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Regime {
    pub data_until: Option<String>,
    pub labels_until: Option<String>,
}

impl Run {
    /// Scores what is not scored yet, and evaluates all of it.
    ///
    /// # Errors
    ///
    /// When the store or the folder cannot be used.
    pub(crate) fn go(mut self, world: &World, store: &Arc<Store>) -> Result<Report, Failure> {
        self.asked.sort_by(|one, other| {
            one.as_of.cutoff.cmp(&other.as_of.cutoff).then_with(|| one.entity.cmp(&other.entity))
        });
        fs::create_dir_all(&self.out).map_err(|error| named(&self.out, &error))?;
        let layout = self.layout();
        let fingerprint = self.fingerprint(world, store)?;
        let file = self.out.join("scores.parquet");
        let finished = self.out.join("scores.of");
        let mut watch = Stopwatch::default();
        if fs::read_to_string(&finished).is_ok_and(|of| of == fingerprint) && file.exists() {
            // The very same questions have been answered before.
        } else if finished.exists() {
            return Err(Failure::Usage(format!(
                "{} holds a backtest of another question, config or store: choose another --out, or remove the folder",
                self.out.display()
            )));
        } else {
            let parts = Parts::open(&self.out, &fingerprint)?;
            self.score(store, &layout, &parts, &mut watch)?;
            parts.join(self.asked.len().div_ceil(PART), &layout.batch(&[]).schema(), &file)?;
            write_whole(&finished, |file| file.write_all(fingerprint.as_bytes()))?;
            parts.remove()?;
        }
        let scorer = Scorer::new(Arc::clone(store), Arc::clone(self.plan()), self.bounds);
        let scores = Scores::open(&file, layout)?;
        let mut report = self.report(world, &scores, &scorer)?;
        let again = |questions| stress(&self, &scorer, &scores, &fingerprint, questions);
        report.latency = self.latency(watch);
        report.stress = self.stress.map(again).transpose()?;
        let text = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
        write_whole(&self.out.join("metrics.json"), |file| file.write_all(text.as_bytes()))?;
        Ok(report)
    }

    /// How long the stages took: of the process that made the last scores, where this one has made none.
    fn latency(&self, watch: Stopwatch) -> Option<Latency> {
        let before = || fs::read_to_string(self.out.join("metrics.json")).ok();
        let read = |text: String| serde_json::from_str::<Report>(&text).ok()?.latency;
        watch.read().or_else(|| before().and_then(read))
    }

    /// What is asked about.
    pub(super) fn plan(&self) -> &Arc<Plan> {
        &self.members[0].1
    }

    fn layout(&self) -> Layout {
        let plan = self.plan();
        let timeframe = plan.timeframes[0].task();
        let kind = if plan.timeframes.len() > 1 { timeframe.kind } else { plan.task.kind };
        let kind = if kind == TaskKind::Forecast { timeframe.kind } else { kind };
        Layout {
            kind,
            timeframes: plan.timeframes.len(),
            members: self.members.iter().map(|(name, _)| name.clone()).collect(),
            segments: self.segments.iter().map(|segment| segment.name.clone()).collect(),
        }
    }

    /// Equal for equal scores of equal questions.
    fn fingerprint(&self, world: &World, store: &Store) -> Result<String, Failure> {
        let mut hasher = Xxh3::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(env!("CARGO_PKG_VERSION"));
        add(&format!("{:?} {:?}", store_id(store)?, store.sequence()));
        add(&format!("{:016x} {:?}", world.origin().config_hash, self.bounds));
        for (name, plan) in &self.members {
            let weights = plan.tuned.as_ref().map(|tuned| tuned.digest);
            add(&format!("{name} {} {} {:?} {weights:?}", plan.task.name, plan.model(), plan.context));
        }
        self.segments.iter().for_each(|segment| add(&segment.name));
        for Asked { entity, as_of } in &self.asked {
            add(&format!("{} {as_of:?}", key_text(entity)));
        }
        Ok(format!("{:032x}", hasher.digest128()))
    }

    /// Answers the questions of every part that is not there yet.
    fn score(&self, store: &Arc<Store>, layout: &Layout, parts: &Parts, watch: &mut Stopwatch) -> Result<(), Failure> {
        let plans: Vec<Arc<Plan>> = self.members.iter().map(|(_, plan)| Arc::clone(plan)).collect();
        let panel = Panel::new(store, &plans, self.bounds);
        let labels = Labels::matured(store, self.plan(), self.judged_at);
        let bar = output::progress("scoring", Some(self.asked.len() as u64));
        let missing = self.asked.chunks(PART).enumerate().filter(|(number, _)| !parts.has(*number));
        let wanted: Vec<AsOf> =
            missing.flat_map(|(_, asked)| groups(&panel, asked)).map(|group| group[0].as_of).collect();
        with_contexts(&panel, &wanted, |ahead| {
            for (number, asked) in self.asked.chunks(PART).enumerate() {
                if !parts.has(number) {
                    let answers = answers(&panel, asked, ahead, watch)?;
                    let lines = self.lines(store, &labels, asked, answers)?;
                    parts.write(number, &layout.batch(&lines))?;
                }
                bar.inc(asked.len() as u64);
                bar.set_message(asked.last().map_or_else(String::new, |asked| asked.as_of.cutoff.to_string()));
            }
            bar.finish_and_clear();
            Ok(())
        })
    }

    fn lines(
        &self,
        store: &Arc<Store>,
        labels: &Labels,
        asked: &[Asked],
        answers: Vec<Option<Answer>>,
    ) -> Result<Vec<Line>, Failure> {
        let pairs: Vec<(&Asked, Option<Answer>)> = asked.iter().zip(answers).collect();
        parallel::map(&pairs, |(Asked { entity, as_of }, answer)| {
            let snapshot = store.as_of(*as_of);
            let segments = self.segments.iter().map(|segment| segment.value(&snapshot, entity));
            Ok(Line {
                entity: key_text(entity),
                cutoff: as_of.cutoff,
                sequence: as_of.sequence.0,
                segments: segments.collect::<Result<_, Failure>>()?,
                labels: labels.of(entity, as_of.cutoff)?,
                answer: answer.clone(),
            })
        })
    }

    fn report(&self, world: &World, scores: &Scores, scorer: &Scorer) -> Result<Report, Failure> {
        let plan = self.plan();
        let how = |timeframe: usize| How {
            budget: self.budget.clone(),
            costs: self.costs,
            seed: self.seed,
            horizon: plan.timeframes[timeframe].task().horizon(),
        };
        let mut fell_back: BTreeMap<String, usize> = BTreeMap::new();
        for reason in scores.texts("fallback").into_iter().flatten() {
            *fell_back.entry(reason.to_owned()).or_default() += 1;
        }
        let text = |time: EventTime| time.to_string();
        Ok(Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            task: plan.task.name.clone(),
            query: pql::print(&plan.task, &world.schema),
            kind: plan.task.kind.name().to_owned(),
            model: scores.layout().members[0].clone(),
            beside: scores.layout().members[1..].to_vec(),
            context_size: plan.context.size,
            regime: Regime {
                data_until: self.bounds.data_until.map(text),
                labels_until: self.bounds.labels_until.map(text),
            },
            questions: self.asked.len(),
            first_cutoff: self.asked.first().map(|asked| text(asked.as_of.cutoff)),
            last_cutoff: self.asked.last().map(|asked| text(asked.as_of.cutoff)),
            label_matures_after_s: plan.task.matures_after(&world.schema) / EventTime::SECOND,
            fell_back,
            budget: self.budget.clone(),
            costs: self.costs,
            seed: self.seed,
            evaluations: (0..plan.timeframes.len())
                .map(|timeframe| evaluate(scores, timeframe, &how(timeframe)))
                .collect(),
            latency: None,
            stress: None,
            examples: examples(scores, &self.asked, scorer)?,
        })
    }
}

/// Questions of one context each.
fn groups<'a>(panel: &'a Panel, asked: &'a [Asked]) -> impl Iterator<Item = &'a [Asked]> {
    let moment = |asked: &Asked| panel.first().moment(asked.as_of);
    asked.chunk_by(move |one, other| moment(one) == moment(other))
}

/// The answers to the questions of a part, one context after the other, so that each is fitted once.
fn answers(
    panel: &Panel,
    asked: &[Asked],
    ahead: &Ahead,
    watch: &mut Stopwatch,
) -> Result<Vec<Option<Answer>>, Failure> {
    let mut answers = Vec::with_capacity(asked.len());
    for group in groups(panel, asked) {
        let Drawn { moment, contexts, took } = ahead.next()?;
        watch.context(moment, took);
        let Some(contexts) = contexts else {
            answers.extend(group.iter().map(|_| None));
            continue;
        };
        let questions: Vec<(&Key, AsOf)> = group.iter().map(|asked| (&asked.entity, asked.as_of)).collect();
        let made = panel.score_all(&contexts, &questions)?;
        let of: &FittedContext = &contexts[0];
        let (model, fallback) = (of.model(), of.fallback().map(Arc::from));
        answers.extend(made.into_iter().map(|answered| {
            watch.score(answered.took);
            Some(Answer {
                history: answered.history,
                scored: answered.scored,
                model: Arc::clone(&model),
                fallback: fallback.clone(),
                context: of.id.to_string(),
                examples: of.examples,
            })
        }));
    }
    Ok(answers)
}
