//! A forecast: one question per timeframe, each with a context of its own, about the same features.
//!
//! An example of a timeframe is used once the whole of that timeframe's window has closed, so the contexts of later
//! timeframes end earlier.

use predictor::features::Query;
use relational::{ContextId, EventTime, Prediction, Window};
use xxhash_rust::xxh3::Xxh3;

use super::digest::digest_features;
use super::draw::Moment;
use super::{Answerer, FittedContext, Reading, Scored, Scorer};

impl Scorer {
    /// Fits a context for each timeframe. `None` until the last of them has a labelled past.
    pub(super) fn fit_forecast(&self, moment: Moment) -> Result<Option<FittedContext>, predictor::Error> {
        let mut steps = Vec::with_capacity(self.plan.timeframes.len());
        for timeframe in 0..self.plan.timeframes.len() {
            let Some(step) = self.fit_features(moment, timeframe)? else { return Ok(None) };
            steps.push(step);
        }
        let mut hasher = Xxh3::new();
        steps.iter().for_each(|step| hasher.update(&step.id.0.to_le_bytes()));
        let warning = |(number, step): (usize, &FittedContext)| {
            step.warnings.iter().map(move |warning| format!("timeframe {}: {warning}", number + 1)).collect::<Vec<_>>()
        };
        let vocabulary = self.vocabulary(moment)?;
        Ok(Some(FittedContext {
            id: ContextId(hasher.digest()),
            point: moment.point,
            examples: steps.iter().map(|step| step.examples).min().unwrap_or(0),
            warnings: steps.iter().enumerate().flat_map(warning).collect(),
            answerer: Answerer::Forecast { steps, vocabulary },
            classes: Vec::new(),
        }))
    }

    pub(super) fn forecast(
        &self,
        context: &FittedContext,
        steps: &[FittedContext],
        query: &Query,
        reading: &Reading,
    ) -> Scored {
        let answer = |(timeframe, step): (usize, &FittedContext)| match &step.answerer {
            Answerer::Features { fitted, .. } => {
                let estimate = fitted.predict(&reading.features, &reading.past);
                (self.window(timeframe, query.as_of.cutoff), estimate.prediction(&step.classes))
            }
            _ => unreachable!("a timeframe is answered from features"),
        };
        Scored {
            prediction: Prediction::Forecast(steps.iter().enumerate().map(answer).collect()),
            truncated: reading.truncated,
            digest: digest_features(context.id, &reading.features, &reading.past),
        }
    }

    /// The window that a timeframe asks about.
    fn window(&self, timeframe: usize, anchor: EventTime) -> Window {
        let aggregates = self.plan.timeframes[timeframe].task().target_aggregates();
        let window = aggregates.first().and_then(|aggregate| aggregate.window);
        window.expect("what is forecast has a window").at(anchor)
    }
}
