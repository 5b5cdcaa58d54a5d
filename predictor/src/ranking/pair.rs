//! What an entity and a candidate have had with each other.

use std::collections::BTreeSet;

use graph_store::Store;
use relational::limits::{LAGS_MAX, RANKING_OWN_MAX, RANKING_OWN_ROWS_MAX, RANKING_POPULAR_MAX};
use relational::{EventTime, Value, Window};
use rustc_hash::FxHashMap;

use super::{Market, Ranker};
use crate::Error;
use crate::executor::rows::Source;
use crate::features::Query;
use crate::features::scale::{log_count, log_over_gap, log_tenths, quotient};
use crate::learn::{Past, count};

/// Names of the pair's features. Times are in h, from the query's time; popularity is that of the market.
pub(super) const NAMES: [&str; 17] = [
    "rows 1h",
    "rows 3h",
    "rows 12h",
    "rows",
    "share",
    "recency",
    "first",
    "recency/gap",
    "windows of 1",
    "windows of 3",
    "windows of 10",
    "walk",
    "walk/popularity",
    "walk rank",
    "popularity 1h",
    "popularity",
    "popularity rank",
];

/// The candidates of one query, and what is known of each.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// In no particular order, but always in the same.
    pub list: Vec<Candidate>,
    now: EventTime,
    /// The entity's rows that were read, and the time of the oldest.
    rows: usize,
    oldest: Option<EventTime>,
    /// Whether the entity has more rows than were read.
    pub truncated: bool,
}

/// One row that may be pointed at.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its key.
    pub key: Value,
    /// When the entity's rows pointed at it, newest first.
    times: Vec<EventTime>,
    /// The probability and the rank of [`Market::walk`].
    walk: Option<(usize, f64)>,
}

impl Ranker {
    /// The candidates of a query: the newest rows that the entity pointed at itself, those where a walk over entities
    /// like it ends, and the most popular ones.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn candidates(&self, store: &Store, market: &Market, query: &Query) -> Result<Candidates, Error> {
        let now = query.as_of.cutoff;
        let source = Source::open(&store.as_of(query.as_of), &self.aggregate.via, &query.entity)?;
        let read = source.newest(Window::up_to(now), RANKING_OWN_ROWS_MAX)?;
        let (mut own, mut times): (Vec<Value>, FxHashMap<Value, Vec<EventTime>>) = Default::default();
        for version in read.iter().filter(|version| self.counts(&version.row)) {
            let key = version.row.value(self.column);
            let of_key = times.entry(key.clone()).or_insert_with(|| {
                own.push(key.clone());
                Vec::new()
            });
            of_key.push(version.time);
        }
        let walk = market.walk(self, &query.entity, &own);
        let ended: FxHashMap<&Value, (usize, f64)> =
            walk.iter().zip(0..).map(|((key, share), rank)| (key, (rank, *share))).collect();
        let keys = own.iter().take(RANKING_OWN_MAX).chain(walk.iter().take(RANKING_OWN_MAX).map(|(key, _)| key));
        let keys: BTreeSet<&Value> = keys.chain(market.popular().take(RANKING_POPULAR_MAX)).collect();
        let candidate = |key: &Value| Candidate {
            key: key.clone(),
            times: times.get(key).cloned().unwrap_or_default(),
            walk: ended.get(key).copied(),
        };
        Ok(Candidates {
            list: keys.into_iter().map(candidate).collect(),
            now,
            rows: read.len(),
            oldest: read.last().map(|version| version.time),
            truncated: read.len() >= RANKING_OWN_ROWS_MAX,
        })
    }

    /// The features of a pair; not a number where one is missing. With them comes the pair's own past: whether the
    /// entity pointed at the candidate in each window before the query, newest first, as far back as its rows reach.
    #[must_use]
    pub fn pair(&self, market: &Market, candidates: &Candidates, candidate: &Candidate) -> (Vec<f32>, Past) {
        let past = self.past(candidates, candidate);
        let mean = |newest: usize| {
            let newest = past.labels.iter().take(newest);
            quotient(newest.len() as u64, newest.sum::<f64>())
        };
        let ago = |time: EventTime| ratio(candidates.now.since(time), self.unit_micros);
        let within = |spans: i64| {
            let since = candidates.now.plus(-self.unit_micros.saturating_mul(spans));
            log_count(candidate.times.iter().filter(|time| **time > since).count() as u64)
        };
        let (newest, first) = (candidate.times.first(), candidate.times.last());
        let gap = match (newest, first) {
            (Some(newest), Some(first)) => log_over_gap(ago(*newest), ago(*first), candidate.times.len() as u64),
            _ => f64::NAN,
        };
        let standing = market.standing(&candidate.key);
        let all = standing.map_or(0, |(_, standing)| standing.all as usize);
        let share = candidate.walk.map_or(0.0, |(_, share)| share);
        let values: [f64; NAMES.len()] = [
            within(1),
            within(3),
            within(12),
            log_count(candidate.times.len() as u64),
            quotient(candidates.rows as u64, count(candidate.times.len())),
            log_tenths(newest.map(|time| ago(*time))),
            first.map_or(f64::NAN, |time| ago(*time).max(0.0).ln_1p()),
            gap,
            mean(1),
            mean(3),
            mean(10),
            (share + WALK_MIN).ln(),
            (share / count(all.max(1)).sqrt() + WALK_MIN).ln(),
            candidate.walk.map_or(f64::NAN, |(rank, _)| log_count(rank as u64)),
            standing.map_or(0.0, |(_, standing)| f64::from(standing.recent).ln_1p()),
            log_count(all as u64),
            standing.map_or(f64::NAN, |(rank, _)| log_count(rank as u64)),
        ];
        #[expect(clippy::cast_possible_truncation, reason = "learners read single precision")]
        let single = |value: f64| if value.is_finite() { value as f32 } else { f32::NAN };
        (values.map(single).to_vec(), past)
    }

    fn past(&self, candidates: &Candidates, candidate: &Candidate) -> Past {
        let reach = candidates.oldest.map_or(0, |oldest| candidates.now.since(oldest) / self.step_micros + 1);
        let windows = usize::try_from(reach).map_or(LAGS_MAX, |reach| reach.min(LAGS_MAX));
        let mut labels = vec![0.0; windows];
        for time in &candidate.times {
            let window = usize::try_from(candidates.now.since(*time) / self.step_micros);
            if let Some(label) = window.ok().and_then(|window| labels.get_mut(window)) {
                *label = 1.0;
            }
        }
        Past { labels, ..Past::default() }
    }
}

/// Shares of walks are held at this distance from 0 before their logarithm is taken.
const WALK_MIN: f64 = 1e-6;

#[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
fn ratio(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}
