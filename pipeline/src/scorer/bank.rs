//! The member that reads features: the bank of labelled examples that it is fitted on, and the weights of `auto`.

use std::sync::{Arc, PoisonError};

use lru::LruCache;
use predictor::context::Selection;
use predictor::features::Vocabulary;
use predictor::learn::{self, Examples, Matrix, Member, Mix};
use predictor::small::Corrector;
use relational::{AsOf, EventTime, TaskKind, Value};

use super::digest::{context_id, digest_key};
use super::draw::{Draw, Drawn, Moment};
use super::labels::{prior, targets};
use super::{Answerer, FittedContext, Scorer};

/// The labelled examples that were known at some time.
pub(super) struct Bank {
    pub(super) examples: Examples,
    pub(super) classes: Vec<Value>,
    pub(super) warnings: Vec<String>,
    pub(super) vocabulary: Arc<Vocabulary>,
}

/// Whether the times are so many microseconds apart.
fn spans(times: &[EventTime], span: i64) -> bool {
    let (oldest, newest) = (times.iter().min(), times.iter().max());
    oldest.zip(newest).is_some_and(|(oldest, newest)| newest.since(*oldest) >= span)
}

impl Scorer {
    /// Fits the context drawn at `moment` for one timeframe.
    pub(super) fn fit_features(
        &self,
        moment: Moment,
        timeframe: usize,
    ) -> Result<Option<FittedContext>, predictor::Error> {
        let Some(bank) = self.bank(moment, moment, timeframe, None)? else { return Ok(None) };
        let Bank { examples, classes, mut warnings, vocabulary } = bank;
        let seed = self.plan.context.seed;
        let tuned = self.plan.tuned.as_ref();
        // What a fit is of besides its examples.
        let mut digest = tuned.map_or_else(Vec::new, |tuned| tuned.digest.to_le_bytes().to_vec());
        let fitted = if self.plan.member == Member::Auto {
            let mix = self.mix(moment, timeframe, &examples)?;
            digest.extend(mix.fingerprint());
            mix.fit(&examples, seed, &self.network())
        } else if let Some(tuned) = tuned {
            learn::fit_small(&examples, seed, &tuned.network)
        } else {
            learn::fit(self.plan.member, &examples, seed)
        };
        let fitted = fitted.expect("a selection makes consistent examples");
        let name: Arc<str> = Arc::from(fitted.name());
        warnings.extend(fitted.fallback().map(|reason| format!("fell back to {name}: {reason}")));
        let id = context_id(&self.plan, timeframe, &examples, &digest);
        let count = u32::try_from(examples.anchors.len()).unwrap_or(u32::MAX);
        let answerer = match &self.plan.ranker {
            Some(ranker) => Answerer::Ranking(self.ranked(ranker, moment, fitted, name, vocabulary)?),
            None => {
                let typical = examples.features.means();
                Answerer::Features { fitted: Box::new(fitted), name, vocabulary, typical }
            }
        };
        Ok(Some(FittedContext { id, point: moment.point, examples: count, warnings, answerer, classes }))
    }

    /// The network of `foreshore-small`.
    fn network(&self) -> Corrector {
        self.plan.tuned.as_ref().map_or_else(Corrector::shipped, |tuned| tuned.network.clone())
    }

    /// How much each expert of `auto` counts for the context drawn at `moment`, whose examples are given: learned anew
    /// as each generation of labels has matured. The contexts of a generation share a vocabulary, and so the features of
    /// the examples that they have in common.
    fn mix(&self, moment: Moment, timeframe: usize, examples: &Examples) -> Result<Arc<Mix>, predictor::Error> {
        let learned_at = moment.at(self.plan.weights_point(moment.point));
        let name = (timeframe, learned_at);
        let kept = |mixes: &mut LruCache<_, Arc<Mix>>| mixes.get(&name).cloned();
        if let Some(mix) = kept(&mut self.mixes.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(mix);
        }
        let task = self.plan.timeframes[timeframe].task();
        let delay = self.disturbance.map_or(0, |disturbance| disturbance.delay);
        let matures_after = task.matures_after(self.plan.executor.schema()).saturating_add(delay);
        let learn = |examples: &Examples| {
            let mix = Mix::learn(examples, matures_after, self.plan.context.seed, &self.network());
            mix.expect("a selection makes consistent examples")
        };
        let mix = if learned_at == moment && spans(&examples.anchors, matures_after) {
            learn(examples)
        } else {
            let bank = self.bank(learned_at, moment, timeframe, Some(matures_after))?;
            bank.map_or_else(Mix::safe, |bank| learn(&bank.examples))
        };
        let mut mixes = self.mixes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(mixes.get_or_insert(name, || Arc::new(mix))))
    }

    /// The examples of the context drawn at `moment`, read with the vocabulary of the one drawn at `like`; `None` when
    /// there is no labelled past. They are to span so many microseconds at least, if any are given: where they do not, as
    /// many are added that were known before the oldest.
    fn bank(
        &self,
        moment: Moment,
        like: Moment,
        timeframe: usize,
        span: Option<i64>,
    ) -> Result<Option<Bank>, predictor::Error> {
        if let Some(ranker) = &self.plan.ranker {
            return self.bank_of_pairs(ranker, moment);
        }
        let draw = self.draws.at(&self.store, Drawn::Context, moment)?;
        let executor = &self.plan.timeframes[timeframe];
        let mut selection = self.select(executor, moment.point, draw)?;
        let Some((oldest, newest)) = selection.anchors else { return Ok(None) };
        if span.is_some_and(|span| newest.since(oldest) < span) {
            selection = selection.with_earlier(self.select(executor, oldest, draw)?);
        }
        let vocabulary = self.vocabulary(like)?;
        self.fill(executor.task().kind, selection, moment.point, draw, vocabulary).map(Some)
    }

    /// The task's labelled past that was known at `point`, to train on. Its category statistics are those of the time
    /// before which two fifths of the examples were taken, so that the newer ones see nothing of later times in them.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn labelled(&self, point: EventTime) -> Result<Option<Examples>, predictor::Error> {
        let moment = Moment::new(point, self.store.sequence());
        let draw = self.draws.at(&self.store, Drawn::Context, moment)?;
        let selection = self.select(&self.plan.executor, point, draw)?;
        let mut anchors: Vec<EventTime> = selection.examples.iter().map(|example| example.anchor).collect();
        anchors.sort_unstable();
        let Some(early) = anchors.get(anchors.len() * 2 / 5) else { return Ok(None) };
        let at = AsOf::historical(*early, draw.sequence);
        let vocabulary = Arc::new(self.plan.featuriser.vocabulary(&self.store, at)?);
        Ok(Some(self.fill(self.plan.task.kind, selection, point, draw, vocabulary)?.examples))
    }

    /// Makes the features of a selection.
    fn fill(
        &self,
        kind: TaskKind,
        selection: Selection,
        point: EventTime,
        draw: Draw,
        vocabulary: Arc<Vocabulary>,
    ) -> Result<Bank, predictor::Error> {
        let rows = self.example_rows(&selection.examples, point, draw, &vocabulary)?;
        let columns = self.plan.featuriser.names().len();
        let columns = self.disturbance.map_or(columns, |disturbance| disturbance.columns(columns));
        let mut features = Matrix::new(columns);
        let mut past = Vec::with_capacity(rows.len());
        for (example, row) in selection.examples.iter().zip(rows) {
            match &self.disturbance {
                None => {
                    features.push_row(&row.features);
                    past.push(row.past.clone());
                }
                Some(disturbance) => {
                    let (mut of_row, mut its_past) = (row.features.clone(), row.past.clone());
                    disturbance.features(&example.entity, example.anchor, &mut of_row, &mut its_past);
                    features.push_row(&of_row);
                    past.push(its_past);
                }
            }
        }
        let labels: Vec<&Value> = selection.examples.iter().map(|example| &example.label).collect();
        let (targets, classes) = targets(kind, &labels);
        let prior = prior(&targets, &classes, &selection.prior);
        let anchors = selection.examples.iter().map(|example| example.anchor).collect();
        let group = selection.examples.iter().map(|example| digest_key(&example.entity)).collect();
        let examples = Examples { features, past, targets, prior, anchors, group };
        Ok(Bank { examples, classes, warnings: selection.warnings, vocabulary })
    }
}
