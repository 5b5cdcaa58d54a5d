//! How good the network's answers are, beside its anchor's.

use candle_core::{DType, Device, Tensor};

use super::batch::Batch;
use super::forward::Answers;
use super::train::{Parameters, groups};
use super::{Error, Prepared, Weights};
use crate::learn::{count, metrics};

/// Means over episodes, for each kind of target that there was.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Scores {
    /// Of yes or no, a class against the rest included.
    pub binary: Option<Compared>,
    /// Of numbers.
    pub numbers: Option<Compared>,
}

/// How the network compares with its anchor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// How many there were.
    pub episodes: usize,
    /// The training loss: nats, or twice the mean pinball loss in standard deviations.
    pub loss: Pair,
    /// Area under the ROC curve, over the episodes whose queries have both classes; for numbers the mean absolute
    /// error in standard deviations.
    pub quality: Option<Pair>,
}

/// The same figure of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Of the network.
    pub network: f64,
    /// Of its anchor alone.
    pub anchor: f64,
}

/// Answers all episodes.
///
/// # Errors
///
/// When a tensor operation fails.
pub fn evaluate(weights: &Weights, episodes: &[Prepared]) -> Result<Scores, Error> {
    let parameters = Parameters::new(weights.config(), weights.values(), DType::F32)?;
    let (mut binary, mut numbers) = (Tally::default(), Tally::default());
    for group in groups(episodes) {
        let batch = Batch::new(&group, DType::F32, &Device::Cpu)?;
        let network = Judged::new(&parameters.net.answer(&parameters.config, &batch)?, &batch)?;
        let anchor = Judged::new(&batch.anchors()?, &batch)?;
        for (place, episode) in group.iter().enumerate() {
            let tally = if episode.number { &mut numbers } else { &mut binary };
            tally.losses.push(Pair { network: network.losses[place], anchor: anchor.losses[place] });
            let quality = network.quality(place, episode).zip(anchor.quality(place, episode));
            tally.qualities.extend(quality.map(|(network, anchor)| Pair { network, anchor }));
        }
    }
    Ok(Scores { binary: binary.compared(), numbers: numbers.compared() })
}

/// Answers to a batch, as plain numbers.
struct Judged {
    losses: Vec<f64>,
    log_odds: Vec<Vec<f32>>,
    medians: Vec<Vec<f32>>,
}

impl Judged {
    fn new(answers: &Answers, batch: &Batch) -> Result<Self, Error> {
        let plain = |tensor: &Tensor| tensor.to_vec2::<f32>();
        let losses = answers.losses(batch)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let medians = answers.quantiles.narrow(2, 4, 1)?.squeeze(2)?;
        Ok(Self { losses, log_odds: plain(&answers.log_odds)?, medians: plain(&medians)? })
    }

    fn quality(&self, place: usize, episode: &Prepared) -> Option<f64> {
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
        if episode.number {
            return metrics::mean_absolute_error(&wide(&self.medians[place]), &wide(&episode.truths));
        }
        let truths: Vec<bool> = episode.truths.iter().map(|truth| *truth > 0.5).collect();
        metrics::auroc(&wide(&self.log_odds[place]), &truths)
    }
}

#[derive(Default)]
struct Tally {
    losses: Vec<Pair>,
    qualities: Vec<Pair>,
}

impl Tally {
    fn compared(&self) -> Option<Compared> {
        let loss = mean(&self.losses)?;
        Some(Compared { episodes: self.losses.len(), loss, quality: mean(&self.qualities) })
    }
}

fn mean(pairs: &[Pair]) -> Option<Pair> {
    let of = |part: fn(&Pair) -> f64| pairs.iter().map(part).sum::<f64>() / count(pairs.len());
    (!pairs.is_empty()).then(|| Pair { network: of(|pair| pair.network), anchor: of(|pair| pair.anchor) })
}
