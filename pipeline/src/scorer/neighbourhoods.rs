//! The member that reads neighbourhoods instead of features.

use std::sync::Arc;
use std::time::Instant;

use predictor::features::Query;
use predictor::in_context::{self, InContext};
use predictor::learn::Targets;
use predictor::model::Sample;
use predictor::neighbourhood::Neighbourhood;
use relational::{AsOf, ContextId, Value};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::digest::{digest_key, update_targets};
use super::draw::{Drawn, Moment};
use super::labels::{prior, targets};
use super::{Answerer, FittedContext, Scored, Scorer, Took};
use crate::metrics;
use crate::parallel;
use crate::relational_member::RelationalMember;

impl Scorer {
    pub(super) fn fit_relational(
        &self,
        member: &RelationalMember,
        moment: Moment,
    ) -> Result<Option<FittedContext>, predictor::Error> {
        let draw = self.draws.at(&self.store, Drawn::Context, moment)?;
        let mut selection = self.select(&self.plan.executor, moment.point, draw)?;
        if selection.examples.is_empty() {
            return Ok(None);
        }
        member.limit(&mut selection);
        let at = AsOf::historical(moment.point, draw.sequence);
        let queries: Vec<Query> =
            selection.examples.iter().map(|example| self.example_query(example, at)).collect::<Result<_, _>>()?;
        let rows = self.neighbourhoods(member, &queries)?;
        let labels: Vec<&Value> = selection.examples.iter().map(|example| &example.label).collect();
        let (targets, classes) = targets(self.plan.task.kind, &labels);
        let prior = prior(&targets, &classes, &selection.prior);
        let mut hasher = Xxh3::new();
        hasher.update(self.plan.task.query.as_bytes());
        hasher.update(in_context::NAME.as_bytes());
        hasher.update(&member.digest().to_le_bytes());
        hasher.update(&self.plan.context.seed.to_le_bytes());
        rows.iter().for_each(|rows| hasher.update(&rows.digest().to_le_bytes()));
        queries.iter().for_each(|query| hasher.update(&digest_key(&query.entity).to_le_bytes()));
        update_targets(&mut hasher, &targets);
        prior.iter().flatten().for_each(|share| hasher.update(&share.to_bits().to_le_bytes()));
        let id = ContextId(hasher.digest());
        let context = self.encoded(member, id, &rows, &targets, prior.as_deref())?;
        metrics::encoded(&self.plan.task.name, context.bytes());
        Ok(Some(FittedContext {
            id,
            point: moment.point,
            examples: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            warnings: selection.warnings,
            answerer: Answerer::Relational(context),
            classes,
        }))
    }

    /// The neighbourhoods of some queries, in their order. An entity that is not there stands alone.
    fn neighbourhoods(
        &self,
        member: &RelationalMember,
        queries: &[Query],
    ) -> Result<Vec<Arc<Neighbourhood>>, predictor::Error> {
        parallel::map(queries, |query| {
            let mut read = member.neighbourhoods().read_in(&self.snapshot(query.as_of), &query.entity)?;
            if let Some(disturbance) = &self.disturbance {
                disturbance.neighbourhood(&query.entity, query.as_of.cutoff, &mut read);
            }
            Ok(Arc::new(read))
        })
    }

    /// The encoded context: as it was kept, where it was, else made and kept.
    fn encoded(
        &self,
        member: &RelationalMember,
        id: ContextId,
        rows: &[Arc<Neighbourhood>],
        targets: &Targets,
        prior: Option<&[f64]>,
    ) -> Result<InContext, predictor::Error> {
        let seed = self.plan.context.seed;
        if let Some(kept) = self.kept.as_ref().and_then(|kept| kept.read(id)) {
            match member.restore(rows, targets, prior, (seed, &kept))? {
                Some(context) => return Ok(context),
                None => tracing::warn!(context = %id, "a kept context is of another version: it is encoded again"),
            }
        }
        let context = member.fit(rows, targets, prior, seed)?;
        if let (Some(kept), Some(bytes)) = (&self.kept, context.kept()) {
            kept.write(id, &bytes);
        }
        Ok(context)
    }

    pub(super) fn score_relational(
        &self,
        context: &FittedContext,
        answerer: &InContext,
        queries: &[Query],
    ) -> Result<Vec<(Scored, Took)>, predictor::Error> {
        let member = self.plan.relational.as_ref().expect("the plan's member has fitted the context");
        let started = Instant::now();
        let rows = self.neighbourhoods(member, queries)?;
        let read = started.elapsed();
        let samples: Vec<Sample> = rows.iter().map(|rows| rows.sample.clone()).collect();
        let estimates = member.predict(answerer, &samples)?;
        // Queries are answered together; each has its share of the time.
        let share = u32::try_from(queries.len().max(1)).unwrap_or(u32::MAX);
        let took = Took { read: read / share, model: started.elapsed().saturating_sub(read) / share };
        let scored = rows.iter().zip(estimates).map(|(rows, estimate)| {
            let scored = Scored {
                prediction: estimate.prediction(&context.classes),
                truncated: rows.truncated,
                digest: xxh3_64_with_seed(&rows.digest().to_le_bytes(), context.id.0),
            };
            (scored, took)
        });
        Ok(scored.collect())
    }
}
