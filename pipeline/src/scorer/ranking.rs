//! A ranking: a context of (entity, anchor, candidate) pairs, and the likeliest candidates of a query.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use graph_store::Store;
use predictor::context::Example;
use predictor::features::{Query, Vocabulary};
use predictor::learn::{Estimate, Examples, Fitted, Matrix, Past, Targets};
use predictor::ranking::{Candidates, Market, Ranker};
use relational::{AsOf, EventTime, Key, Prediction, Value};
use xxhash_rust::xxh3::Xxh3;

use super::bank::Bank;
use super::digest::{digest_key, update_features, update_past};
use super::draw::{Draw, Drawn, Moment};
use super::examples::ExampleRow;
use super::{FittedContext, Scored, Scorer};
use crate::parallel;

/// Of the pairs of a context at most one in so many came true: they are rare among all.
const TRUE_PART: usize = 4;

/// As many times the context's size are its pairs, as for other rare classes, but no more than [`PAIRS_MAX`] by that.
const PAIRS_FACTOR: usize = 5;

/// See [`PAIRS_FACTOR`].
const PAIRS_MAX: usize = 30_000;

/// What answers a ranking's queries: a fit to pairs, and what it knows of all candidates.
#[derive(Debug)]
pub(super) struct Ranked {
    pub(super) fitted: Box<Fitted>,
    pub(super) name: Arc<str>,
    vocabulary: Arc<Vocabulary>,
    facts: Facts,
}

/// A market, and the features of the candidates that were asked for; none for one that was not there.
#[derive(Debug)]
struct Facts {
    market: Market,
    known: Mutex<BTreeMap<Value, Option<Arc<[f32]>>>>,
}

impl Facts {
    fn candidate(
        &self,
        ranker: &Ranker,
        store: &Store,
        vocabulary: &Vocabulary,
        key: &Value,
    ) -> Result<Option<Arc<[f32]>>, predictor::Error> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            return Ok(known.clone());
        }
        let made: Option<Arc<[f32]>> = ranker.candidate(store, vocabulary, key, &self.market)?.map(Arc::from);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), made.clone());
        Ok(made)
    }
}

/// An example, and what its candidates were.
struct Asked<'a> {
    example: Example,
    facts: &'a Facts,
    candidates: Candidates,
}

/// One candidate of an example.
#[derive(Clone, Copy)]
struct Pair {
    example: usize,
    candidate: usize,
    happened: bool,
    place: u64,
}

impl Scorer {
    /// The market that a context drawn at `point` goes with.
    fn facts(&self, ranker: &Ranker, point: EventTime, draw: Draw) -> Result<Facts, predictor::Error> {
        let market = ranker.market(&self.store, AsOf::historical(point, draw.sequence))?;
        Ok(Facts { market, known: Mutex::default() })
    }

    pub(super) fn ranked(
        &self,
        ranker: &Ranker,
        moment: Moment,
        fitted: Fitted,
        name: Arc<str>,
        vocabulary: Arc<Vocabulary>,
    ) -> Result<Ranked, predictor::Error> {
        let draw = self.draws.at(&self.store, Drawn::Context, moment)?;
        let facts = self.facts(ranker, moment.point, draw)?;
        Ok(Ranked { fitted: Box::new(fitted), name, vocabulary, facts })
    }

    /// The pairs of the context drawn at `moment`; `None` when there is no labelled past. Each example is asked with the
    /// market that a query at its anchor would have been.
    pub(super) fn bank_of_pairs(&self, ranker: &Ranker, moment: Moment) -> Result<Option<Bank>, predictor::Error> {
        let draw = self.draws.at(&self.store, Drawn::Context, moment)?;
        let selection = self.select(&self.plan.executor, moment.point, draw)?;
        let market_of = |example: &Example| self.context_point(example.anchor);
        let points: BTreeSet<EventTime> = selection.examples.iter().map(market_of).collect();
        let points: Vec<EventTime> = points.into_iter().collect();
        let facts = parallel::map(&points, |point| self.facts(ranker, *point, draw))?;
        let facts: BTreeMap<EventTime, Facts> = points.into_iter().zip(facts).collect();
        let at = AsOf::historical(moment.point, draw.sequence);
        let asked = parallel::map(&selection.examples, |example| {
            let facts = &facts[&market_of(example)];
            let query = self.example_query(example, at)?;
            let candidates = ranker.candidates(&self.store, &facts.market, &query)?;
            Ok::<_, predictor::Error>(Asked { example: example.clone(), facts, candidates })
        })?;
        let pairs: Vec<Pair> =
            asked.iter().zip(0..).flat_map(|(asked, example)| pairs(ranker, asked, example)).collect();
        if pairs.is_empty() {
            return Ok(None);
        }
        let happened = pairs.iter().filter(|pair| pair.happened).count();
        #[expect(clippy::cast_precision_loss, reason = "counts of pairs are far below 2^53")]
        let share = happened as f64 / pairs.len() as f64;
        let most = self.plan.context.size.saturating_mul(PAIRS_FACTOR).min(PAIRS_MAX.max(self.plan.context.size));
        let chosen = choose(pairs, most.min(self.plan.context.size_max));
        let vocabulary = self.vocabulary(moment)?;
        let used: BTreeSet<usize> = chosen.iter().map(|pair| pair.example).collect();
        let examples: Vec<Example> = used.iter().map(|example| asked[*example].example.clone()).collect();
        let rows = self.example_rows(&examples, moment.point, draw, &vocabulary)?;
        let rows: BTreeMap<usize, Arc<ExampleRow>> = used.into_iter().zip(rows).collect();
        let made = parallel::map(&chosen, |pair| {
            let Asked { facts, candidates, .. } = &asked[pair.example];
            self.pair(ranker, facts, &vocabulary, candidates, pair.candidate, &rows[&pair.example].features)
        })?;
        let examples = self.examples(ranker, &asked, &chosen, made, share);
        if examples.anchors.is_empty() {
            return Ok(None);
        }
        Ok(Some(Bank { examples, classes: Vec::new(), warnings: selection.warnings, vocabulary }))
    }

    /// The features and the past of a pair; `None` where the candidate was not there.
    fn pair(
        &self,
        ranker: &Ranker,
        facts: &Facts,
        vocabulary: &Vocabulary,
        candidates: &Candidates,
        candidate: usize,
        of_entity: &[f32],
    ) -> Result<Option<(Vec<f32>, Past)>, predictor::Error> {
        let candidate = &candidates.list[candidate];
        let Some(of_candidate) = facts.candidate(ranker, &self.store, vocabulary, &candidate.key)? else {
            return Ok(None);
        };
        let (of_pair, past) = ranker.pair(&facts.market, candidates, candidate);
        Ok(Some(([of_entity, &of_candidate, &of_pair].concat(), past)))
    }

    fn examples(
        &self,
        ranker: &Ranker,
        asked: &[Asked<'_>],
        chosen: &[Pair],
        made: Vec<Option<(Vec<f32>, Past)>>,
        share: f64,
    ) -> Examples {
        let mut features = Matrix::new(ranker.names().len());
        let (mut pasts, mut truths, mut anchors, mut group) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (pair, made) in chosen.iter().zip(made) {
            let Some((row, past)) = made else { continue };
            features.push_row(&row);
            pasts.push(past);
            truths.push(pair.happened);
            anchors.push(asked[pair.example].example.anchor);
            group.push(digest_key(&asked[pair.example].example.entity));
        }
        Examples { features, past: pasts, targets: Targets::Binary(truths), prior: Some(vec![share]), anchors, group }
    }

    /// The likeliest candidates of a query, the likeliest first; equals in a seeded order.
    pub(super) fn score_ranking(
        &self,
        context: &FittedContext,
        ranked: &Ranked,
        query: &Query,
    ) -> Result<Scored, predictor::Error> {
        let ranker = self.plan.ranker.as_ref().expect("a ranking's plan has a ranker");
        let Ranked { fitted, vocabulary, facts, .. } = ranked;
        let mut of_entity = Vec::with_capacity(ranker.of_entity().names().len());
        let entity = ranker.of_entity().row(&self.store, vocabulary, query, &mut of_entity)?;
        let candidates = ranker.candidates(&self.store, &facts.market, query)?;
        let mut hasher = Xxh3::new();
        hasher.update(&context.id.0.to_le_bytes());
        let mut rows = Vec::with_capacity(candidates.list.len());
        for (place, candidate) in candidates.list.iter().enumerate() {
            let made = self.pair(ranker, facts, vocabulary, &candidates, place, &of_entity)?;
            let Some((features, past)) = made else { continue };
            let Estimate::Binary(probability) = fitted.predict(&features, &past) else {
                unreachable!("a pair's target is yes or no")
            };
            hasher.update(&digest_key(&Key::single(candidate.key.clone())).to_le_bytes());
            update_features(&mut hasher, &features);
            update_past(&mut hasher, &past);
            rows.push((candidate.key.clone(), probability));
        }
        rows.sort_by_cached_key(|(key, probability)| {
            (std::cmp::Reverse(probability.max(0.0).to_bits()), ranker.tie(key), key.clone())
        });
        rows.truncate(self.plan.task.rank_top());
        Ok(Scored {
            prediction: Prediction::Ranking(rows),
            truncated: entity.truncated || candidates.truncated,
            digest: hasher.digest(),
        })
    }
}

/// The candidates of an example, and whether each came true.
fn pairs<'a>(ranker: &'a Ranker, asked: &'a Asked<'_>, example: usize) -> impl Iterator<Item = Pair> + 'a {
    let happened: BTreeSet<&Value> = match &asked.example.label {
        Value::List(values) => values.iter().collect(),
        _ => BTreeSet::new(),
    };
    asked.candidates.list.iter().zip(0..).map(move |(of, candidate)| Pair {
        example,
        candidate,
        happened: happened.contains(&of.key),
        place: ranker.place(&asked.example.entity, asked.example.anchor, &of.key),
    })
}

/// At most so many pairs, up to a quarter of which came true; of each kind the first in a seeded order.
fn choose(pairs: Vec<Pair>, most: usize) -> Vec<Pair> {
    if pairs.len() <= most {
        return pairs;
    }
    let (mut happened, mut others): (Vec<Pair>, Vec<Pair>) = pairs.into_iter().partition(|pair| pair.happened);
    for pairs in [&mut happened, &mut others] {
        pairs.sort_by_key(|pair| (pair.place, pair.example, pair.candidate));
    }
    happened.truncate(most / TRUE_PART);
    others.truncate(most - happened.len());
    happened.append(&mut others);
    happened
}
