//! The features of examples, kept from one context to the next.

use std::num::NonZero;
use std::sync::{Arc, PoisonError};

use lru::LruCache;
use predictor::context::Example;
use predictor::features::{Query, Vocabulary};
use predictor::learn::Past;
use relational::{AsOf, EventTime, Key, Sequence};

use super::Scorer;
use super::draw::{Draw, Drawn, Moment};
use crate::parallel;

/// The features of one example.
#[derive(Debug)]
pub(super) struct ExampleRow {
    pub(super) features: Vec<f32>,
    pub(super) past: Past,
}

/// Rows of earlier contexts, made with one vocabulary and before any late change that they might have seen.
#[derive(Debug)]
pub(super) struct KeptExamples {
    vocabulary: Option<(Moment, Arc<Vocabulary>)>,
    disturbed: Sequence,
    rows: LruCache<(Key, EventTime), Arc<ExampleRow>>,
}

impl KeptExamples {
    /// None yet; at most `most`.
    pub(super) fn new(most: usize) -> Self {
        let rows = LruCache::new(NonZero::new(most).unwrap_or(NonZero::<usize>::MIN));
        Self { vocabulary: None, disturbed: Sequence::default(), rows }
    }

    /// Whether a draw with this vocabulary may share the rows; another thread may have gone on to another vocabulary.
    fn fit(&mut self, vocabulary: &Arc<Vocabulary>, disturbed: Sequence) -> bool {
        if self.disturbed != disturbed {
            self.rows.clear();
            self.disturbed = disturbed;
        }
        self.vocabulary.as_ref().is_some_and(|(_, kept)| Arc::ptr_eq(kept, vocabulary))
    }
}

impl Scorer {
    /// The category statistics that features are made with. They change more slowly than labels mature, so several
    /// contexts share them, and with them the rows of the examples that they have in common.
    pub(super) fn vocabulary(&self, moment: Moment) -> Result<Arc<Vocabulary>, predictor::Error> {
        let moment = moment.at(self.plan.vocabulary_point(moment.point));
        let mut kept = self.examples.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vocabulary) = kept.vocabulary.as_ref().filter(|(of, _)| *of == moment) {
            return Ok(Arc::clone(&vocabulary.1));
        }
        let at = AsOf::historical(moment.point, self.draws.at(&self.store, Drawn::Vocabulary, moment)?.sequence);
        let vocabulary = match &self.plan.ranker {
            Some(ranker) => ranker.vocabulary(&self.store, at),
            None => self.plan.featuriser.vocabulary(&self.store, at),
        };
        let vocabulary = Arc::new(vocabulary?);
        kept.vocabulary = Some((moment, Arc::clone(&vocabulary)));
        kept.rows.clear();
        Ok(vocabulary)
    }

    /// The features of a context's examples; those that an earlier context has made are taken from it.
    pub(super) fn example_rows(
        &self,
        examples: &[Example],
        point: EventTime,
        draw: Draw,
        vocabulary: &Arc<Vocabulary>,
    ) -> Result<Vec<Arc<ExampleRow>>, predictor::Error> {
        let at = AsOf::historical(point, draw.sequence);
        let kept: Vec<Option<Arc<ExampleRow>>> = {
            let mut kept = self.examples.lock().unwrap_or_else(PoisonError::into_inner);
            let fit = kept.fit(vocabulary, draw.disturbed);
            let name = |example: &Example| (example.entity.clone(), example.anchor);
            examples.iter().map(|example| kept.rows.get(&name(example)).filter(|_| fit).cloned()).collect()
        };
        let pairs: Vec<_> = examples.iter().zip(kept).collect();
        let rows = parallel::map(&pairs, |(example, kept)| match kept {
            Some(row) => Ok(Arc::clone(row)),
            None => self.example_row(example, at, vocabulary).map(Arc::new),
        })?;
        let mut kept = self.examples.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.fit(vocabulary, draw.disturbed) {
            for (example, row) in examples.iter().zip(&rows) {
                kept.rows.put((example.entity.clone(), example.anchor), Arc::clone(row));
            }
        }
        Ok(rows)
    }

    /// A row that was its own query is read with what had arrived with it, as its score was; an entity at an anchor
    /// with what was known then.
    pub(super) fn example_query(&self, example: &Example, at: AsOf) -> Result<Query, predictor::Error> {
        let is_static = self.plan.task.is_static();
        let own = if is_static { self.historical_of(&example.entity, example.anchor, at.sequence)? } else { None };
        let as_of = own.unwrap_or_else(|| self.plan.executor.example_bounds(at, example.anchor));
        Ok(Query { entity: example.entity.clone(), as_of })
    }

    fn example_row(
        &self,
        example: &Example,
        at: AsOf,
        vocabulary: &Vocabulary,
    ) -> Result<ExampleRow, predictor::Error> {
        let query = self.example_query(example, at)?;
        let mut features = Vec::with_capacity(self.plan.featuriser.names().len());
        let snapshot = self.snapshot(query.as_of);
        let facts = self.plan.featuriser.row_in(&snapshot, vocabulary, &query.entity, &mut features)?;
        Ok(ExampleRow { features, past: facts.past })
    }
}
