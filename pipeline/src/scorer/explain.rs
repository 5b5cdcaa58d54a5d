//! Why a score is what it is.

use predictor::explain::{self, Asked, Explanation};
use relational::{AsOf, Key};

use super::{Answerer, FittedContext, QUERIES_AT_ONCE, Scorer};

impl Scorer {
    /// Explains the score of `entity` within `as_of`: what it is made of, and which columns and rows move it. Costs as
    /// much as some hundreds of scores.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or the model fails.
    ///
    /// # Panics
    ///
    /// When the score is a list: rankings and forecasts are not explained.
    pub fn explain(&self, context: &FittedContext, entity: &Key, as_of: AsOf) -> Result<Explanation, predictor::Error> {
        let snapshot = &self.store.as_of(as_of);
        match &context.answerer {
            Answerer::Features { fitted, vocabulary, typical, .. } => explain::of_features(&Asked {
                featuriser: &self.plan.featuriser,
                vocabulary,
                fitted,
                typical,
                snapshot,
                entity,
                classes: &context.classes,
            }),
            Answerer::Ranking(_) | Answerer::Forecast { .. } => panic!("scores that are lists are not explained"),
            Answerer::Relational(answerer) => {
                let member = self.plan.relational.as_ref().expect("the plan's member has fitted the context");
                explain::of_rows(&self.plan.executor, member.neighbourhoods(), snapshot, entity, &|samples| {
                    let mut predictions = Vec::with_capacity(samples.len());
                    for samples in samples.chunks(QUERIES_AT_ONCE) {
                        let estimates = member.predict(answerer, samples)?.into_iter();
                        predictions.extend(estimates.map(|estimate| estimate.prediction(&context.classes)));
                    }
                    Ok(predictions)
                })
            }
        }
    }
}
