//! Several members asked the same questions: what all of them read is read once.

use std::sync::Arc;
use std::time::Instant;

use graph_store::Store;
use predictor::features::Query;
use relational::{AsOf, Key};

use super::{Answerer, Bounds, FittedContext, Scored, Scorer, Took};
use crate::parallel;
use crate::plan::Plan;

/// Members that answer the same task.
#[derive(Debug)]
pub struct Panel {
    scorers: Vec<Scorer>,
}

/// The answers to one question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// One per member, in their order.
    pub scored: Vec<Scored>,
    /// Labels of the entity that were known: those that the members read, at most. `None` where none of them reads
    /// labels one by one.
    pub history: Option<u32>,
    /// How long the first member's took.
    pub took: Took,
}

impl Panel {
    /// The plans are of one task; the first is the one that is asked about.
    ///
    /// # Panics
    ///
    /// Without a plan.
    #[must_use]
    pub fn new(store: &Arc<Store>, plans: &[Arc<Plan>], bounds: Bounds) -> Self {
        let mut scorers: Vec<Scorer> = Vec::with_capacity(plans.len());
        for plan in plans {
            let alike = scorers.iter().find(|scorer| scorer.plan().reads_as(plan));
            let new = || Scorer::new(Arc::clone(store), Arc::clone(plan), bounds);
            let scorer = alike.map_or_else(new, |scorer| scorer.beside(Arc::clone(plan)));
            scorers.push(scorer);
        }
        Self { scorers }
    }

    /// The member that is asked about.
    #[must_use]
    pub fn first(&self) -> &Scorer {
        &self.scorers[0]
    }

    /// The context of each member that answers queries within `as_of`. `None` where there is no labelled past.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn contexts(&self, as_of: AsOf) -> Result<Option<Vec<Arc<FittedContext>>>, predictor::Error> {
        self.scorers.iter().map(|scorer| scorer.context(as_of)).collect()
    }

    /// The answers to several questions, in their order and on all cores: each is, bit for bit, what
    /// [`Scorer::score`] says.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn score_all(
        &self,
        contexts: &[Arc<FittedContext>],
        questions: &[(&Key, AsOf)],
    ) -> Result<Vec<Answered>, predictor::Error> {
        if let Some(answered) = self.score_features(contexts, questions)? {
            return Ok(answered);
        }
        let first = self.first().score_all_timed(&contexts[0], questions)?.into_iter();
        let mut answered: Vec<Answered> =
            first.map(|(scored, took)| Answered { scored: vec![scored], history: None, took }).collect();
        for (scorer, context) in self.scorers.iter().zip(contexts).skip(1) {
            let made = scorer.score_all(context, questions)?;
            answered.iter_mut().zip(made).for_each(|(of, made)| of.scored.push(made));
        }
        Ok(answered)
    }

    /// `None` unless all members read features that are made with the same category statistics.
    fn score_features(
        &self,
        contexts: &[Arc<FittedContext>],
        questions: &[(&Key, AsOf)],
    ) -> Result<Option<Vec<Answered>>, predictor::Error> {
        let vocabulary = match &contexts[0].answerer {
            Answerer::Features { vocabulary, .. } | Answerer::Forecast { vocabulary, .. } => vocabulary,
            Answerer::Ranking(_) | Answerer::Relational(_) => return Ok(None),
        };
        let same = |context: &Arc<FittedContext>| match &context.answerer {
            Answerer::Features { vocabulary: other, .. } | Answerer::Forecast { vocabulary: other, .. } => {
                Arc::ptr_eq(vocabulary, other) || **vocabulary == **other
            }
            Answerer::Ranking(_) | Answerer::Relational(_) => false,
        };
        let read_alike = |scorer: &Scorer| scorer.plan().reads_as(self.first().plan());
        if !contexts.iter().all(same) || !self.scorers.iter().all(read_alike) {
            return Ok(None);
        }
        let answer = |(entity, as_of): &(&Key, AsOf)| {
            let query = Query { entity: (*entity).clone(), as_of: *as_of };
            let started = Instant::now();
            let reading = self.first().read(vocabulary, &query)?;
            let read = started.elapsed();
            let of_member = |(scorer, context): (&Scorer, &Arc<FittedContext>)| match &context.answerer {
                Answerer::Features { fitted, .. } => context.answer(fitted, &reading),
                Answerer::Forecast { steps, .. } => scorer.forecast(context, steps, &query, &reading),
                Answerer::Ranking(_) | Answerer::Relational(_) => unreachable!("every member reads features"),
            };
            let mut members = self.scorers.iter().zip(contexts).map(of_member);
            let mut scored: Vec<Scored> = members.next().into_iter().collect();
            let took = Took { read, model: started.elapsed().saturating_sub(read) };
            scored.extend(members);
            let history = u32::try_from(reading.past.labels.len()).ok();
            Ok(Answered { scored, history, took })
        };
        parallel::map(questions, answer).map(Some)
    }
}
