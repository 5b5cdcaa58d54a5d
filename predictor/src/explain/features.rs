//! Explanations of members that read features.

use graph_store::Snapshot;
use relational::{Key, Prediction, Value};

use crate::Error;
use crate::features::{Featuriser, Told, Vocabulary};
use crate::learn::{Fitted, Past};

use super::{Comparison, EXPLAINED_COLUMNS_MAX, EXPLAINED_ROWS_MAX, Explanation, Share, Subject, limited};

/// Where mixing adds less, it is rounding.
const ROUNDING: f64 = 1e-9;

/// A query, and what answers it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Makes the features.
    pub featuriser: &'a Featuriser,
    /// The context's category statistics.
    pub vocabulary: &'a Vocabulary,
    /// Answers.
    pub fitted: &'a Fitted,
    /// Each feature's mean over the context's examples; not a number where it is always missing.
    pub typical: &'a [f32],
    /// What may be seen.
    pub snapshot: &'a Snapshot,
    /// Whose score.
    pub entity: &'a Key,
    /// The classes in the learner's order.
    pub classes: &'a [Value],
}

/// Explains an answer.
///
/// # Errors
///
/// When the store cannot be read.
pub fn of_features(asked: &Asked<'_>) -> Result<Explanation, Error> {
    let (features, past) = asked.features(asked.snapshot)?;
    let comparison = Comparison::new(&asked.answer(&features, &past));
    let parts = asked.parts(&comparison, &features, &past);
    let read = asked.featuriser.read_of(asked.snapshot, asked.entity)?;
    let schema = asked.featuriser.executor().schema();

    let (told, columns_left_out) = limited(asked.featuriser.sources(), EXPLAINED_COLUMNS_MAX);
    let columns = told.iter().map(|told| {
        let (features, past) = asked.without(told, &features, &past);
        let name = (told.source.name(schema), asked.featuriser.says(&read, &told.source));
        comparison.column(name, &asked.answer(&features, &past))
    });
    let columns = columns.collect();

    let near = asked.featuriser.rows_of(asked.snapshot, asked.entity, &read)?;
    let (near, rows_left_out) = limited(near, EXPLAINED_ROWS_MAX);
    let mut rows = Vec::with_capacity(near.len());
    for row in near {
        let (features, past) = asked.features(&asked.snapshot.without(&row.key)?)?;
        rows.push(comparison.row((row.key, row.time), &asked.answer(&features, &past)));
    }
    let subject = Subject { task: asked.featuriser.executor().task(), schema, entity: asked.entity };
    Ok(comparison.explanation(&subject, parts, (columns, columns_left_out), (rows, rows_left_out)))
}

impl Asked<'_> {
    fn features(&self, snapshot: &Snapshot) -> Result<(Vec<f32>, Past), Error> {
        let mut features = Vec::with_capacity(self.typical.len());
        let facts = self.featuriser.row_in(snapshot, self.vocabulary, self.entity, &mut features)?;
        Ok((features, facts.past))
    }

    fn answer(&self, features: &[f32], past: &Past) -> Prediction {
        self.fitted.predict(features, past).prediction(self.classes)
    }

    /// What is read, with nothing known from this source.
    fn without(&self, told: &Told, features: &[f32], past: &Past) -> (Vec<f32>, Past) {
        let (mut features, mut past) = (features.to_vec(), past.clone());
        told.features.iter().for_each(|place| features[*place] = self.typical[*place]);
        if told.labels {
            past.labels.clear();
        }
        if told.atoms {
            past.atoms.clear();
        }
        told.coded.iter().for_each(|(table, column)| past.rows[*table].blank(*column));
        (features, past)
    }

    fn parts(&self, comparison: &Comparison, features: &[f32], past: &Past) -> Vec<Share> {
        let parts = self.fitted.parts(features, past).into_iter();
        let mut shares: Vec<Share> = parts
            .map(|part| comparison.share(part.name, part.weight, &part.estimate.prediction(self.classes)))
            .collect();
        let rest = comparison.rest(self.fitted.added_to_parts(), &shares);
        if rest.share.abs() > ROUNDING {
            shares.push(rest);
        }
        shares
    }
}
