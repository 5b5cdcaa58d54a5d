//! The member `foreshore-small`: a baseline and its corrections.

use std::sync::{Arc, LazyLock};

use relational::EventTime;

use super::Weights;
use super::infer::{Encoded, Network, Row};
use super::prepare::{Prepared, Start};
use super::sight::Sight;
use crate::learn::anchor::{Anchor, Answer, Question, Reading};
use crate::learn::{Estimate, Examples, Past};

/// So many classes, the most frequent, are corrected; the others keep the anchor's answer.
const CLASSES_MAX: usize = 12;

/// A network that corrects baselines.
#[derive(Debug, Clone)]
pub struct Corrector {
    network: Arc<Network>,
    /// Up to when it learned from the task's own past, if it did.
    until: Option<EventTime>,
}

static SHIPPED: LazyLock<Corrector> = LazyLock::new(|| Corrector::new(&Weights::shipped()));

impl Corrector {
    /// The network in the binary.
    #[must_use]
    pub fn shipped() -> Self {
        SHIPPED.clone()
    }

    /// With weights of one's own.
    #[must_use]
    pub fn new(weights: &Weights) -> Self {
        Self { network: Arc::new(Network::new(weights)), until: None }
    }

    /// With weights that went on learning on a task's own past, up to a time.
    #[must_use]
    pub fn fine_tuned(weights: &Weights, until: EventTime) -> Self {
        Self { until: Some(until), ..Self::new(weights) }
    }

    /// What could have been asked at a time about what came next: the network in the binary in the place of one that
    /// has learned from that.
    pub(crate) fn as_of(&self, time: EventTime) -> Self {
        if self.until.is_some_and(|until| until > time) { Self::shipped() } else { self.clone() }
    }
}

/// A baseline that the network corrects.
#[derive(Debug, Clone)]
pub(crate) struct Corrected {
    network: Corrector,
    anchor: Anchor,
    /// For each question of the anchor; `None` where the anchor answers alone.
    contexts: Vec<Option<Context>>,
}

/// A context, seen and encoded.
#[derive(Debug, Clone)]
struct Context {
    sight: Sight,
    encoded: Encoded,
}

impl Corrected {
    /// Encodes examples in canonical order, for an anchor that was fitted to them. `None` where no question can be
    /// asked.
    pub(crate) fn fit(
        network: &Corrector,
        anchor: Anchor,
        questions: &[Question],
        examples: &Examples,
    ) -> Option<Self> {
        let frequent = frequent(questions);
        let context = |(place, question): (usize, &Question)| {
            let asked = frequent.contains(&place);
            asked.then(|| Context::new(&network.network, examples, question, anchor.learned)).flatten()
        };
        let contexts: Vec<Option<Context>> = questions.iter().enumerate().map(context).collect();
        let any = contexts.iter().any(Option::is_some);
        any.then(|| Self { network: network.clone(), anchor, contexts })
    }

    /// The answer to a query.
    pub(crate) fn predict(&self, features: &[f32], past: &Past) -> Estimate {
        let readings = self.anchor.read(features, past);
        let answer = |(context, reading): (&Option<Context>, &Reading)| match context {
            Some(context) => context.answer(&self.network.network, features, past, reading),
            None => reading.answer(),
        };
        let answers: Vec<Answer> = self.contexts.iter().zip(&readings).map(answer).collect();
        self.anchor.answer(&answers, past)
    }

    /// Whether the network has learned from the task's own past.
    pub(crate) fn is_fine_tuned(&self) -> bool {
        self.network.until.is_some()
    }

    /// Whether the anchor knows more than `last-k`.
    pub(crate) fn is_learned(&self) -> bool {
        self.anchor.learned
    }

    /// The answer of the anchor alone.
    pub(crate) fn uncorrected(&self, features: &[f32], past: &Past) -> Estimate {
        let answers: Vec<Answer> = self.anchor.read(features, past).iter().map(Reading::answer).collect();
        self.anchor.answer(&answers, past)
    }
}

impl Context {
    fn new(network: &Network, examples: &Examples, question: &Question, learned: bool) -> Option<Self> {
        let sight = Sight::fit(network.config(), examples, question, learned)?;
        let encoded = network.encode(&Prepared::of_context(&sight, examples, question));
        Some(Self { sight, encoded })
    }

    fn answer(&self, network: &Network, features: &[f32], past: &Past, reading: &Reading) -> Answer {
        let values: Vec<_> = self.sight.values(features).collect();
        let facts = self.sight.facts(past, reading);
        let start = Start::new(&self.sight, reading);
        network.answer(&self.encoded, &Row::asked(&values, &facts), &start, &reading.answer())
    }
}

/// The questions of the most frequent classes.
fn frequent(questions: &[Question]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..questions.len()).collect();
    let found = |place: usize| questions[place].truths.iter().sum::<f64>();
    order.sort_by(|left, right| found(*right).total_cmp(&found(*left)).then(left.cmp(right)));
    order.truncate(CLASSES_MAX);
    order
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::super::batch::Batch;
    use super::super::fixture::{Ask, TINY, dense, episode};
    use super::super::train::Parameters;
    use super::super::{Schedule, Trainer, prepare};
    use super::*;
    use crate::learn::{Member, fit};

    const ASKS: [Ask; 3] = [Ask::Whether, Ask::Which, Ask::HowMuch];

    fn network(values: Vec<f32>) -> Corrector {
        Corrector::new(&Weights::new(TINY, values))
    }

    fn corrected(network: &Corrector, examples: &Examples) -> Corrected {
        let examples = examples.canonical(1);
        let (anchor, questions) = Anchor::fit(&examples);
        Corrected::fit(network, anchor, &questions, &examples).unwrap()
    }

    fn numbers(estimate: &Estimate) -> Vec<f64> {
        match estimate {
            Estimate::Binary(share) => vec![*share],
            Estimate::Classes(shares) => shares.clone(),
            Estimate::Quantiles(quantiles) => quantiles.to_vec(),
        }
    }

    fn bits(estimate: &Estimate) -> Vec<u64> {
        numbers(estimate).into_iter().map(f64::to_bits).collect()
    }

    #[test]
    fn queries_are_answered_as_in_training() {
        let values = dense(&TINY, 7);
        let network = network(values.clone());
        for (ask, context) in ASKS.into_iter().flat_map(|ask| [3, 20, 50].map(|context| (ask, context))) {
            let prepared = prepare(&episode(ask, context, 6, 7, 11), &TINY, 1).unwrap();
            let parameters = Parameters::new(&TINY, &values, DType::F32).unwrap();
            let batch = Batch::new(&[&prepared], DType::F32, &Device::Cpu).unwrap();
            let trained = parameters.net.answer(&TINY, &batch).unwrap();
            let log_odds = trained.log_odds.to_vec2::<f32>().unwrap();
            let quantiles = trained.quantiles.to_vec3::<f32>().unwrap();
            let encoded = network.network.encode(&prepared);
            for (place, start) in prepared.starts.iter().enumerate() {
                let anchor = Answer { log_odds: start.log_odds.into(), quantiles: start.quantiles.map(f64::from) };
                let answer = network.network.answer(&encoded, &prepared.row(context + place), start, &anchor);
                let pairs = quantiles[0][place].iter().zip(answer.quantiles);
                for (trained, answered) in pairs.chain([(&log_odds[0][place], answer.log_odds)]) {
                    assert!((f64::from(*trained) - answered).abs() < 1e-5, "{ask:?}: {trained} {answered}");
                }
            }
        }
    }

    #[test]
    fn an_untrained_network_is_its_anchor() {
        let untrained = Trainer::new(&TINY, &Schedule::default(), 1).unwrap().weights();
        let network = Corrector::new(&untrained);
        for ask in ASKS {
            let episode = episode(ask, 200, 9, 7, 3);
            let corrected = corrected(&network, &episode.context);
            let baseline = fit(Member::Baseline, &episode.context, 1).unwrap();
            assert_eq!(baseline.fallback(), None);
            for row in 0..9 {
                let (features, past) = (episode.queries.features.row(row), &episode.queries.past[row]);
                assert_eq!(bits(&corrected.predict(features, past)), bits(&baseline.predict(features, past)));
            }
        }
    }

    #[test]
    fn an_answer_depends_on_its_query_alone() {
        let network = network(dense(&TINY, 7));
        for ask in ASKS {
            let episode = episode(ask, 40, 9, 7, 3);
            let answer = |corrected: &Corrected, row: usize| {
                bits(&corrected.predict(episode.queries.features.row(row), &episode.queries.past[row]))
            };
            let forwards = corrected(&network, &episode.context);
            let all: Vec<Vec<u64>> = (0..9).map(|row| answer(&forwards, row)).collect();
            let again = corrected(&network, &episode.context);
            for row in (0..9).rev() {
                assert_eq!(answer(&again, row), all[row]);
            }
        }
    }

    #[test]
    fn a_bad_network_is_found_out_and_a_silent_one_is_not() {
        let examples = episode(Ask::Whether, 200, 9, 7, 3).context.canonical(1);
        let bad = Corrected::try_out(&network(dense(&TINY, 7)), &examples).unwrap();
        assert!(bad.network > bad.anchor + bad.error && bad.examples == 40, "{bad:?}");
        let silent = Trainer::new(&TINY, &Schedule::default(), 1).unwrap().weights();
        let silent = Corrected::try_out(&Corrector::new(&silent), &examples).unwrap();
        assert_eq!(silent.network.to_bits(), silent.anchor.to_bits());
        assert_eq!(Corrected::try_out(&network(dense(&TINY, 7)), &examples.part(0..99)), None);
    }

    #[test]
    fn the_network_in_the_binary_answers() {
        for (ask, context) in ASKS.into_iter().flat_map(|ask| [5, 60].map(|context| (ask, context))) {
            let episode = episode(ask, context, 4, 7, 3);
            let fitted = fit(Member::Small, &episode.context, 1).unwrap();
            assert!(fitted.member() == Member::Small && fitted.fallback().is_none(), "{:?}", fitted.fallback());
            for row in 0..4 {
                let answer = fitted.predict(episode.queries.features.row(row), &episode.queries.past[row]);
                let numbers = numbers(&answer);
                assert!(numbers.iter().all(|number| number.is_finite()), "{answer:?}");
                match answer {
                    Estimate::Classes(shares) => assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9),
                    Estimate::Quantiles(quantiles) => assert!(quantiles.is_sorted()),
                    Estimate::Binary(share) => assert!(share > 0.0 && share < 1.0),
                }
            }
        }
    }

    #[test]
    fn equal_numbers_are_left_to_the_anchor() {
        let mut episode = episode(Ask::HowMuch, 30, 4, 7, 3);
        episode.context.targets = crate::learn::Targets::Numbers(vec![2.5; 30]);
        let fitted = fit(Member::Small, &episode.context, 1).unwrap();
        assert_eq!(fitted.member(), Member::LastK);
        assert!(fitted.fallback().unwrap().contains("nothing that a network could tell apart"));
    }
}
