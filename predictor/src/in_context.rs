//! `kumo-relational` as a member of the family: it is fitted on the neighbourhoods of a context's examples, and answers
//! for the neighbourhoods of queries.

use relational::Prediction;

use crate::learn::{Estimate, Targets};
use crate::model::{FitOptions, FittedModel, Labels, Model, ModelError, Sample, Seeded};

/// The member's name in config files and scores.
pub const NAME: &str = "kumo-relational";

/// A context that the model has encoded.
#[derive(Debug, Clone)]
pub struct InContext {
    answers: Answers,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Answers {
    /// The model's.
    Model(Box<FittedModel>),
    /// The same for every query: the context shows one class only.
    Constant(Vec<f32>),
}

#[derive(Debug, Clone)]
enum Kind {
    /// Classes, and what to weigh each with where the examples' shares are not the population's.
    Classes {
        is_binary: bool,
        weights: Vec<f64>,
    },
    Numbers,
}

/// Encodes a context. `prior` is the population's share of each class (of true alone for a binary target), where
/// sampling changed the shares. `seed` decides the shuffles and the edge types' vectors.
///
/// # Errors
///
/// When the model cannot take the context.
pub fn fit(
    model: &Model,
    sample: &Sample,
    targets: &Targets,
    prior: Option<&[f64]>,
    options: &FitOptions,
    seed: u64,
) -> Result<InContext, ModelError> {
    let labels = labels(targets);
    let kind = kind(targets, &labels, prior);
    if let Some(shares) = constant(&labels)? {
        return Ok(InContext { answers: Answers::Constant(shares), kind });
    }
    let fitted = model.fit(sample, &labels, options, &mut Seeded::new(seed))?;
    Ok(InContext { answers: Answers::Model(Box::new(fitted)), kind })
}

/// The same from the bytes that [`InContext::kept`] gave for the same context, without encoding it again: the same bits.
/// `None` where the bytes are something else.
///
/// # Errors
///
/// When the model cannot take the context.
pub fn restore(
    model: &Model,
    sample: &Sample,
    targets: &Targets,
    prior: Option<&[f64]>,
    options: &FitOptions,
    (seed, bytes): (u64, &[u8]),
) -> Result<Option<InContext>, ModelError> {
    let labels = labels(targets);
    let fitted = model.restore(sample, &labels, options, &mut Seeded::new(seed), bytes)?;
    let kind = kind(targets, &labels, prior);
    Ok(fitted.map(|fitted| InContext { answers: Answers::Model(Box::new(fitted)), kind }))
}

/// The answer to everything, where the examples are of one class only.
fn constant(labels: &Labels) -> Result<Option<Vec<f32>>, ModelError> {
    let Labels::Classes { count, codes } = labels else { return Ok(None) };
    let first = codes.first().ok_or(ModelError::Empty)?;
    let is_constant = codes.iter().all(|code| code == first);
    Ok(is_constant.then(|| (0..*count).map(|class| f32::from(u8::from(class == *first as usize))).collect()))
}

impl InContext {
    /// The answers for queries, one sample of one example each: the same bits alone or among others.
    ///
    /// # Errors
    ///
    /// When a tensor operation fails.
    pub fn predict(&self, model: &Model, queries: &[Sample]) -> Result<Vec<Estimate>, ModelError> {
        let answers = match &self.answers {
            Answers::Constant(shares) => vec![shares.clone(); queries.len()],
            Answers::Model(fitted) => model.predict(fitted, queries)?,
        };
        Ok(answers.iter().map(|answer| self.kind.estimate(answer)).collect())
    }

    /// The size of the encoded context in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.answers {
            Answers::Constant(_) => 0,
            Answers::Model(fitted) => fitted.bytes(),
        }
    }

    /// The encoded context as bytes, for [`restore`]. `None` where there is nothing worth keeping.
    #[must_use]
    pub fn kept(&self) -> Option<Vec<u8>> {
        match &self.answers {
            Answers::Constant(_) => None,
            Answers::Model(fitted) => fitted.kept(),
        }
    }

    /// Why the model does not answer, if it does not.
    #[must_use]
    pub fn fallback(&self) -> Option<&'static str> {
        match self.answers {
            Answers::Constant(_) => Some("the context shows one class only"),
            Answers::Model(_) => None,
        }
    }
}

impl Kind {
    fn estimate(&self, answer: &[f32]) -> Estimate {
        match self {
            Self::Numbers => Estimate::Quantiles(quantiles(answer)),
            Self::Classes { is_binary, weights } => {
                let shares: Vec<f64> =
                    answer.iter().zip(weights).map(|(share, weight)| f64::from(*share) * weight).collect();
                let total: f64 = shares.iter().sum();
                let shares: Vec<f64> = shares.iter().map(|share| share / total).collect();
                if *is_binary { Estimate::Binary(shares[1]) } else { Estimate::Classes(shares) }
            }
        }
    }
}

/// The published heads give quantiles at equal steps, `1/(n+1)` to `n/(n+1)`: those nearest to our levels.
fn quantiles(answer: &[f32]) -> [f64; 9] {
    #[expect(clippy::cast_precision_loss, reason = "there are about a thousand quantiles")]
    let steps = (answer.len() + 1) as f64;
    Prediction::LEVELS.map(|level| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place among them")]
        let place = (level * steps).round() as usize;
        f64::from(answer[place.clamp(1, answer.len()) - 1])
    })
}

fn labels(targets: &Targets) -> Labels {
    match targets {
        Targets::Binary(truths) => {
            Labels::Classes { count: 2, codes: truths.iter().map(|truth| u32::from(*truth)).collect() }
        }
        Targets::Classes { classes, labels } => Labels::Classes { count: *classes as usize, codes: labels.clone() },
        #[expect(clippy::cast_possible_truncation, reason = "the model takes 32 bits")]
        Targets::Numbers(numbers) => Labels::Numbers(numbers.iter().map(|number| *number as f32).collect()),
    }
}

fn kind(targets: &Targets, labels: &Labels, prior: Option<&[f64]>) -> Kind {
    let Labels::Classes { count, codes } = labels else { return Kind::Numbers };
    let is_binary = matches!(targets, Targets::Binary(_));
    let wanted: Option<Vec<f64>> = match prior {
        Some([share]) if is_binary => Some(vec![1.0 - share, *share]),
        Some(shares) if shares.len() == *count => Some(shares.to_vec()),
        _ => None,
    };
    #[expect(clippy::cast_precision_loss, reason = "examples are few")]
    let share = |class: usize| codes.iter().filter(|code| **code as usize == class).count() as f64 / codes.len() as f64;
    let weight = |class: usize| match (&wanted, share(class)) {
        (Some(wanted), share) if share > 0.0 && wanted[class] > 0.0 => wanted[class] / share,
        _ => 1.0,
    };
    Kind::Classes { is_binary, weights: (0..*count).map(weight).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_shifted_back_to_the_population() {
        let targets = Targets::Binary(vec![true, false]);
        let kind = kind(&targets, &labels(&targets), Some(&[0.1]));
        // Odds of one in even sampling are odds of one in nine in the population.
        let Estimate::Binary(probability) = kind.estimate(&[0.5, 0.5]) else { panic!("a binary estimate") };
        assert!((probability - 0.1).abs() < 1e-9, "{probability}");
    }

    #[test]
    fn the_levels_are_found_among_the_quantiles() {
        let answer: Vec<f32> = (1..1_000u16).map(|step| f32::from(step) / 1_000.0).collect();
        for (found, level) in quantiles(&answer).iter().zip(Prediction::LEVELS) {
            assert!((found - level).abs() < 1e-6, "{found} for {level}");
        }
    }
}
