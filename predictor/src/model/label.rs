//! How labels enter: a learned vector per class (`y_emb`), or a linear map of the number (`y_lin`).

use candle_core::{Device, Result, Tensor};

use super::linear::Linear;
use super::weights::Weights;

/// The labels of a context, one per example.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// One of `count` classes each.
    Classes {
        /// How many classes there are.
        count: usize,
        /// Class numbers, from 0.
        codes: Vec<u32>,
    },
    /// Numbers, standardised.
    Numbers(Vec<f32>),
}

impl Labels {
    /// How many examples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Classes { codes, .. } => codes.len(),
            Self::Numbers(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug, Clone)]
pub(super) enum LabelEmbedding {
    Classes(Tensor),
    Numbers { map: Linear, device: Device },
}

impl LabelEmbedding {
    /// `classes` is 0 for a regressor.
    pub(super) fn new(classes: usize, channels: usize, weights: &Weights) -> Result<Self> {
        Ok(match classes {
            0 => Self::Numbers {
                map: Linear::new(1, channels, &weights.at("y_lin"))?,
                device: weights.compute().device().clone(),
            },
            _ => Self::Classes(weights.at("y_emb").get("weight", &[classes, channels])?),
        })
    }

    /// One vector per example, `[examples, channels]`.
    pub(super) fn forward(&self, labels: &Labels) -> Result<Tensor> {
        match (self, labels) {
            (Self::Classes(table), Labels::Classes { codes, .. }) => {
                table.index_select(&Tensor::new(codes.as_slice(), table.device())?, 0)
            }
            (Self::Numbers { map, device }, Labels::Numbers(numbers)) => {
                map.forward(&Tensor::new(numbers.as_slice(), device)?.unsqueeze(1)?)
            }
            _ => candle_core::bail!("a classifier takes classes and a regressor numbers"),
        }
    }
}
