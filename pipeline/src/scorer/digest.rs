//! Digests that name contexts and tell whether a score could have changed.

use predictor::learn::{Examples, Past, Targets};
use relational::{ContextId, Key};
use xxhash_rust::xxh3::Xxh3;

use crate::plan::Plan;

pub(super) fn digest_key(key: &Key) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&graph_store::encode_key(key))
}

/// Everything that a fit depends on: equal ids mean equal fits.
pub(super) fn context_id(plan: &Plan, timeframe: usize, examples: &Examples, mix: &[u8]) -> ContextId {
    let mut hasher = Xxh3::new();
    hasher.update(plan.task.query.as_bytes());
    if timeframe > 0 {
        hasher.update(&(timeframe as u64).to_le_bytes());
    }
    hasher.update(plan.member.name().as_bytes());
    hasher.update(mix);
    for index in 0..examples.features.rows() {
        update_features(&mut hasher, examples.features.row(index));
        hasher.update(&examples.anchors[index].0.to_le_bytes());
        hasher.update(&examples.group[index].to_le_bytes());
        update_past(&mut hasher, &examples.past[index]);
    }
    update_targets(&mut hasher, &examples.targets);
    ContextId(hasher.digest())
}

pub(super) fn update_targets(hasher: &mut Xxh3, targets: &Targets) {
    match targets {
        Targets::Binary(labels) => labels.iter().for_each(|label| hasher.update(&[u8::from(*label)])),
        Targets::Classes { labels, .. } => labels.iter().for_each(|label| hasher.update(&label.to_le_bytes())),
        Targets::Numbers(labels) => labels.iter().for_each(|label| hasher.update(&label.to_bits().to_le_bytes())),
    }
}

pub(super) fn digest_features(context: ContextId, features: &[f32], past: &Past) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&context.0.to_le_bytes());
    update_features(&mut hasher, features);
    update_past(&mut hasher, past);
    hasher.digest()
}

pub(super) fn update_features(hasher: &mut Xxh3, features: &[f32]) {
    features.iter().for_each(|value| hasher.update(&value.to_bits().to_le_bytes()));
}

pub(super) fn update_past(hasher: &mut Xxh3, past: &Past) {
    for number in past.labels.iter().chain(&past.atoms) {
        hasher.update(&number.to_bits().to_le_bytes());
    }
    past.rows.iter().for_each(|rows| hasher.update(&rows.cells));
}
