//! What becomes of the scores when what is read gets worse: a part of the questions is asked again, level by level.
//!
//! The scorers are those of the backtest, told to disturb what they read ([`Disturbance`](crate::scorer::Disturbance)),
//! contexts and questions alike; labels stay what they are. The first level disturbs nothing, and has to give the
//! backtest's own scores. Every score is a row of `stress.parquet`, from which the figures are computed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema};
use graph_store::Store;
use relational::{AsOf, Key};
use sinks::key_text;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::asked::Asked;
use super::levels::{Level, levels};
use super::parts::{Parts, named, write_whole};
use super::read::{Scores, Truths};
use super::run::Run;
use super::stress_figures::{Stress, figures};
use super::table::{Answer, Layout, Line};
use crate::labels::Labels;
use crate::output;
use crate::plan::Plan;
use crate::scorer::{Moment, Scored, Scorer};
use crate::world::Failure;

/// Contexts that are drawn anew at each level.
const CONTEXTS_MAX: usize = 12;

/// The file of every score, in the folder of the run.
const FILE: &str = "stress.parquet";

/// The questions that are asked again.
#[derive(Debug)]
pub(super) struct Sample {
    /// Places among all questions, by the context that answers them undisturbed.
    pub groups: Vec<Vec<usize>>,
    /// Of a yes or no: whether the classes are drawn apart, so that their shares differ from those of all questions.
    pub apart: bool,
    /// Of how many questions with a known label.
    pub of: usize,
}

impl Sample {
    /// At most `most` rows of evenly spread contexts, those whose hashes are lowest; of a yes or no as many of each
    /// class as there are, up to half of them.
    fn draw(run: &Run, scorer: &Scorer, scores: &Scores, most: usize) -> Self {
        let rows = scores.evaluated(0);
        let moment = |row: &usize| scorer.moment(run.asked[*row].as_of);
        let groups: Vec<&[usize]> = rows.chunk_by(|one, other| moment(one) == moment(other)).collect();
        let kept = groups.len().min(CONTEXTS_MAX);
        let spread = |place: usize| if kept < 2 { 0 } else { place * (groups.len() - 1) / (kept - 1) };
        let groups: Vec<&[usize]> = (0..kept).map(|place| groups[spread(place)]).collect();
        let candidates = groups.concat();
        let classes = match scores.truths(0, &candidates) {
            Truths::Binary(truths) => truths,
            _ => vec![false; candidates.len()],
        };
        let (mut yes, mut no): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        for (row, class) in candidates.iter().zip(classes) {
            if class { yes.push(*row) } else { no.push(*row) }
        }
        let all = candidates.len();
        let apart = all > most && !yes.is_empty();
        for rows in [&mut yes, &mut no] {
            rows.sort_by_cached_key(|row| run.place(&run.asked[*row]));
        }
        if apart {
            let of_yes = yes.len().min((most / 2).max(most.saturating_sub(no.len())));
            yes.truncate(of_yes);
        }
        no.truncate(most.saturating_sub(yes.len()));
        let mut chosen = [yes, no].concat();
        chosen.sort_unstable();
        let groups = chosen.chunk_by(|one, other| moment(one) == moment(other));
        Self { groups: groups.map(<[usize]>::to_vec).collect(), apart, of: rows.len() }
    }

    /// All places, in order.
    pub(super) fn rows(&self) -> Vec<usize> {
        self.groups.concat()
    }
}

impl Run {
    /// Where a question stands in the seeded order.
    fn place(&self, asked: &Asked) -> u64 {
        xxh3_64_with_seed(format!("{} {}", key_text(&asked.entity), asked.as_of.cutoff.0).as_bytes(), self.seed)
    }
}

/// Asks a part of a run's questions again, at most `questions`, and says what becomes of the main figure.
///
/// # Errors
///
/// When the store or the folder cannot be used, and when the undisturbed scores are not those of the run.
pub(super) fn stress(
    run: &Run,
    scorer: &Scorer,
    scores: &Scores,
    of: &str,
    questions: usize,
) -> Result<Stress, Failure> {
    let sample = Sample::draw(run, scorer, scores, questions);
    let levels = levels(run.plan(), run.seed);
    let layout = Layout { segments: Vec::new(), ..scores.layout().clone() };
    let fingerprint = fingerprint(run, of, &sample, &levels);
    let (file, finished) = (run.out.join(FILE), run.out.join("stress.of"));
    if !(file.exists() && fs::read_to_string(&finished).is_ok_and(|of| of == fingerprint)) {
        let folder = run.out.join("stress");
        if fs::read_to_string(folder.join("parts/run")).is_ok_and(|of| of != fingerprint) {
            fs::remove_dir_all(&folder).map_err(|error| named(&folder, &error))?;
        }
        let parts = Parts::open(&folder, &fingerprint)?;
        score(run, scorer.store(), &sample, &levels, &layout, &parts)?;
        parts.join(sample.groups.len(), &batch(&layout, &[], &[]).schema(), &file)?;
        write_whole(&finished, |file| file.write_all(fingerprint.as_bytes()))?;
        fs::remove_dir_all(&folder).map_err(|error| named(&folder, &error))?;
    }
    read(run, scores, &file, layout, &sample, &levels)
}

/// The figures of the file.
fn read(
    run: &Run,
    scores: &Scores,
    file: &Path,
    layout: Layout,
    sample: &Sample,
    levels: &[Level],
) -> Result<Stress, Failure> {
    let all = Scores::open(file, layout)?;
    let rows = sample.rows();
    let undisturbed = all.of_level(levels[0].kind.name(), &levels[0].name);
    let own: Vec<usize> = (0..undisturbed.len()).collect();
    for (member, name) in scores.layout().members.iter().enumerate() {
        if own.len() != rows.len() || undisturbed.answers(member, 0, &own) != scores.answers(member, 0, &rows) {
            return Err(Failure::Differs(format!(
                "{}: the undisturbed scores of {name} are not those of the backtest, so nothing can be said of the \
                 others; remove the folder and try again, and report it as a fault if that does not help",
                file.display()
            )));
        }
    }
    Ok(figures(run, &all, sample, levels))
}

/// Equal for equal scores of equal questions.
fn fingerprint(run: &Run, of: &str, sample: &Sample, levels: &[Level]) -> String {
    let mut hasher = Xxh3::new();
    hasher.update(of.as_bytes());
    hasher.update(&run.seed.to_le_bytes());
    hasher.update(format!("{levels:?}").as_bytes());
    sample.rows().iter().for_each(|row| hasher.update(&(*row as u64).to_le_bytes()));
    format!("{:032x}", hasher.digest128())
}

fn score(
    run: &Run,
    store: &Arc<Store>,
    sample: &Sample,
    levels: &[Level],
    layout: &Layout,
    parts: &Parts,
) -> Result<(), Failure> {
    let labels = Labels::matured(store, run.plan(), run.judged_at);
    let steps = sample.groups.len() * levels.len() * run.members.len();
    let bar = output::progress("disturbing", Some(steps as u64));
    for (number, rows) in sample.groups.iter().enumerate() {
        if parts.has(number) {
            bar.inc((levels.len() * run.members.len()) as u64);
            continue;
        }
        let asked: Vec<&Asked> = rows.iter().map(|row| &run.asked[*row]).collect();
        let of_asked = |asked: &&Asked| labels.of(&asked.entity, asked.as_of.cutoff);
        let labels = asked.iter().map(of_asked).collect::<Result<Vec<_>, _>>()?;
        let answers = answers(run, store, &asked, levels, &bar)?;
        let (mut lines, mut of_lines) = (Vec::new(), Vec::new());
        for (level, answers) in levels.iter().zip(answers) {
            for ((asked, labels), answer) in asked.iter().zip(&labels).zip(answers) {
                lines.push(Line {
                    entity: key_text(&asked.entity),
                    cutoff: asked.as_of.cutoff,
                    sequence: asked.as_of.sequence.0,
                    segments: Vec::new(),
                    labels: labels.clone(),
                    answer,
                });
                of_lines.push(level);
            }
        }
        parts.write(number, &batch(layout, &lines, &of_lines))?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// The columns of `scores.parquet`, and before them which level a row is of.
fn batch(layout: &Layout, lines: &[Line], levels: &[&Level]) -> RecordBatch {
    let rows = layout.batch(lines);
    let text = |of: &dyn Fn(&Level) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(levels.iter().map(|level| of(level))))
    };
    let named = ["curve", "level"].map(|name| Arc::new(Field::new(name, arrow::datatypes::DataType::Utf8, false)));
    let fields: Vec<_> = named.into_iter().chain(rows.schema().fields().iter().cloned()).collect();
    let own = [text(&|level| level.kind.name().to_owned()), text(&|level| level.name.clone())];
    let columns = own.into_iter().chain(rows.columns().iter().cloned()).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("every column has a value per line")
}

/// The answers to questions of one context, by level; `None` where a member has no labelled past.
///
/// Member by member, so that what one has read for a level serves its next ones.
fn answers(
    run: &Run,
    store: &Arc<Store>,
    asked: &[&Asked],
    levels: &[Level],
    bar: &indicatif::ProgressBar,
) -> Result<Vec<Vec<Option<Answer>>>, Failure> {
    let new = |plan: Arc<Plan>| Scorer::new(Arc::clone(store), plan, run.bounds);
    let shared = new(Arc::clone(run.plan()));
    let own = |level: &Level| {
        let apart = || new(level.plan(run.plan())).disturbed(level.disturbance());
        (!level.reads_the_same()).then(apart)
    };
    let own: Vec<Option<Scorer>> = levels.iter().map(own).collect();
    let mut answers: Vec<Vec<Option<Answer>>> = vec![Vec::new(); levels.len()];
    for (member, (_, plan)) in run.members.iter().enumerate() {
        for ((level, own), answers) in levels.iter().zip(&own).zip(&mut answers) {
            let scorer = own.as_ref().unwrap_or(&shared).beside(level.plan(plan)).disturbed(level.disturbance());
            let made = of_member(&scorer, asked)?;
            if member == 0 {
                *answers = made;
            } else {
                for (answer, made) in answers.iter_mut().zip(made) {
                    // Of every member, or of none.
                    match (answer.as_mut(), made) {
                        (Some(answer), Some(made)) => answer.scored.extend(made.scored),
                        _ => *answer = None,
                    }
                }
            }
            bar.inc(1);
        }
    }
    Ok(answers)
}

fn of_member(scorer: &Scorer, asked: &[&Asked]) -> Result<Vec<Option<Answer>>, Failure> {
    let mut by_moment: BTreeMap<Moment, Vec<usize>> = BTreeMap::new();
    for (place, asked) in asked.iter().enumerate() {
        by_moment.entry(scorer.moment(asked.as_of)).or_default().push(place);
    }
    let mut answers = vec![None; asked.len()];
    for places in by_moment.values() {
        let Some(context) = scorer.context(asked[places[0]].as_of)? else { continue };
        let questions: Vec<(&Key, AsOf)> =
            places.iter().map(|place| (&asked[*place].entity, asked[*place].as_of)).collect();
        let fallback: Option<Arc<str>> = context.fallback().map(Arc::from);
        let answer = |scored: Scored| Answer {
            history: None,
            scored: vec![scored],
            model: context.model(),
            fallback: fallback.clone(),
            context: context.id.to_string(),
            examples: context.examples,
        };
        for (place, scored) in places.iter().zip(scorer.score_all(&context, &questions)?) {
            answers[*place] = Some(answer(scored));
        }
    }
    Ok(answers)
}
