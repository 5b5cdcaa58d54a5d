//! Choosing among labelled candidates, which come newest anchor first.

use std::collections::BTreeMap;

use relational::{EventTime, Key, Value};

use super::order::reshuffled;
use super::{Candidate, Example};

/// A class below this share is rare.
const RARE_SHARE: f64 = 0.05;

/// How many times as many examples a context with a rare class gets.
pub(crate) const RARE_FACTOR: usize = 5;

/// At most one example in so many is of the rare class.
const RARE_PART: usize = 4;

/// The chosen examples, and how many of the newest candidates cover the same anchors.
pub(super) struct Chosen {
    pub(super) examples: Vec<Example>,
    pub(super) from: usize,
}

impl Chosen {
    /// Every candidate.
    pub(super) fn all(candidates: &[Candidate]) -> Self {
        Self::newest(candidates, candidates.len())
    }

    fn newest(candidates: &[Candidate], size: usize) -> Self {
        let from = size.min(candidates.len());
        Self { examples: candidates[..from].iter().map(example).collect(), from }
    }

    /// Those at these places, from the whole range.
    fn at(candidates: &[Candidate], mut places: Vec<usize>) -> Self {
        places.sort_unstable();
        Self { examples: places.into_iter().map(|place| example(&candidates[place])).collect(), from: candidates.len() }
    }
}

fn example(candidate: &Candidate) -> Example {
    Example { entity: candidate.entity.clone(), anchor: candidate.anchor, label: candidate.label.clone() }
}

/// The share of each class, in the classes' order.
pub(super) fn shares(candidates: &[Candidate]) -> Vec<(Value, f64)> {
    let all = candidates.len();
    let share = |(class, places): (&Value, Vec<usize>)| (class.clone(), ratio(places.len(), all));
    classes(candidates).into_iter().map(share).collect()
}

/// Whether one of two classes makes up less than a twentieth, or is missing.
pub(super) fn is_one_rare(candidates: &[Candidate]) -> bool {
    let smallest = classes(candidates).into_values().map(|places| places.len()).min();
    let Some(smallest) = smallest else { return false };
    smallest == candidates.len() || ratio(smallest, candidates.len()) < RARE_SHARE
}

/// With a rare class: up to a quarter are its newest examples, the others are drawn from the same range whatever their
/// time, so that no class comes from other anchors than the other. The newest when no class is rare in the range.
pub(super) fn rare(candidates: &[Candidate], size: usize) -> Chosen {
    let by_class = classes(candidates);
    let smallest = by_class.values().min_by_key(|places| places.len());
    let Some(smallest) = smallest.filter(|_| by_class.len() > 1 && is_one_rare(candidates)) else {
        return Chosen::newest(candidates, size);
    };
    let mut chosen: Vec<usize> = smallest.iter().copied().take(size / RARE_PART).collect();
    let others = by_class.values().filter(|places| !std::ptr::eq(*places, smallest)).flatten().copied();
    let missing = size - chosen.len();
    chosen.extend(shuffled(candidates, others.collect()).into_iter().take(missing));
    Chosen::at(candidates, chosen)
}

/// The newest, when each class of the range has its least number among them; else that many of each class at random
/// from the range, and others at random.
pub(super) fn every_class(candidates: &[Candidate], size: usize) -> Chosen {
    let by_class = classes(candidates);
    let least = size / (RARE_PART * by_class.len().max(1));
    let among_newest = |places: &Vec<usize>| places.iter().filter(|place| **place < size).count();
    if by_class.values().all(|places| among_newest(places) >= least.min(places.len())) {
        return Chosen::newest(candidates, size);
    }
    quotas(candidates, size, &by_class, least)
}

/// The same number of each class at random; what a small class leaves free goes to the others.
pub(super) fn stratified(candidates: &[Candidate], size: usize) -> Chosen {
    let by_class = classes(candidates);
    quotas(candidates, size, &by_class, size / by_class.len().max(1))
}

fn quotas(candidates: &[Candidate], size: usize, by_class: &BTreeMap<&Value, Vec<usize>>, quota: usize) -> Chosen {
    let mut chosen = Vec::new();
    let mut rest = Vec::new();
    for places in by_class.values() {
        let mut places = shuffled(candidates, places.clone());
        rest.extend(places.split_off(quota.min(places.len())));
        chosen.append(&mut places);
    }
    let missing = size.saturating_sub(chosen.len());
    chosen.extend(shuffled(candidates, rest).into_iter().take(missing));
    Chosen::at(candidates, chosen)
}

/// Any of the range.
pub(super) fn random(candidates: &[Candidate], size: usize) -> Chosen {
    let mut places = shuffled(candidates, (0..candidates.len()).collect());
    places.truncate(size);
    Chosen::at(candidates, places)
}

/// The same number from each of the `cutoffs` newest anchors; what one leaves free goes to the newest.
pub(super) fn spread(candidates: &[Candidate], size: usize, cutoffs: usize) -> Chosen {
    let cutoffs = cutoffs.max(1);
    let share = size.div_ceil(cutoffs);
    let mut chosen = Vec::new();
    let mut rest = Vec::new();
    let mut from = 0;
    let mut start = 0;
    for group in candidates.chunk_by(|a, b| a.anchor == b.anchor).take(cutoffs) {
        from = start + group.len();
        let full = from.min(start + share);
        chosen.extend(start..full);
        rest.extend(full..from);
        start = from;
    }
    chosen.truncate(size);
    let missing = size - chosen.len();
    chosen.extend(rest.into_iter().take(missing));
    Chosen { from, ..Chosen::at(candidates, chosen) }
}

/// The entity's own, then the newest of all.
pub(super) fn own_plus_recent(own: Vec<Candidate>, recent: &[Candidate], size: usize) -> Chosen {
    let known: std::collections::BTreeSet<(Key, EventTime)> =
        own.iter().map(|candidate| (candidate.entity.clone(), candidate.anchor)).collect();
    let others = recent.iter().filter(|candidate| !known.contains(&(candidate.entity.clone(), candidate.anchor)));
    let mut all: Vec<Candidate> = own.iter().chain(others).take(size).cloned().collect();
    all.sort_by(|a, b| (b.anchor, a.place).cmp(&(a.anchor, b.place)));
    Chosen { examples: all.iter().map(example).collect(), from: recent.len() }
}

fn classes(candidates: &[Candidate]) -> BTreeMap<&Value, Vec<usize>> {
    let mut classes: BTreeMap<&Value, Vec<usize>> = BTreeMap::new();
    for (place, candidate) in candidates.iter().enumerate() {
        classes.entry(&candidate.label).or_default().push(place);
    }
    classes
}

fn shuffled(candidates: &[Candidate], mut places: Vec<usize>) -> Vec<usize> {
    places.sort_by_key(|place| (reshuffled(candidates[*place].place), *place));
    places
}

#[expect(clippy::cast_precision_loss, reason = "counts of examples are far below 2^53")]
fn ratio(part: usize, all: usize) -> f64 {
    part as f64 / all.max(1) as f64
}
