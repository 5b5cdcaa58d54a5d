//! The dimensions of a network, as `config.json` gives them and as a checkpoint's tensors show them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The dimensions of one network, with the names of the reference's arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Classes that the head tells apart; 0 for a regressor.
    pub num_classes: usize,
    /// Quantiles that the head gives; 0 for a classifier.
    pub num_quantiles: usize,
    /// Width of a cell.
    pub channels: usize,
    /// Column layers, and as many row layers.
    pub num_embedding_layers: usize,
    /// Heads in them.
    pub num_embedding_heads: usize,
    /// Points that summarise a column.
    pub num_inducing_points: usize,
    /// Values that make a cell.
    pub group_size: usize,
    /// Tokens that a row is read out with.
    pub num_readout_tokens: usize,
    /// Layers of the in-context block.
    pub num_icl_layers: usize,
    /// Heads in them.
    pub num_icl_heads: usize,
    /// Whether norms are shifted too.
    pub norm_bias: bool,
    /// Labelled rows of one table that a column's summary reads at most.
    #[serde(default = "max_train_size")]
    pub max_train_size: usize,
}

/// As published.
fn max_train_size() -> usize {
    20_000
}

impl Config {
    /// The width of a row's vector, and of all that follows.
    #[must_use]
    pub fn wide_channels(&self) -> usize {
        self.num_readout_tokens * self.channels
    }

    /// Reads the dimensions off a checkpoint's shapes. The rest is as published.
    ///
    /// # Errors
    ///
    /// With the name of the tensor that is missing or has too few axes.
    pub fn of_shapes(shapes: &BTreeMap<String, Vec<usize>>) -> Result<Self, String> {
        let axis = |name: &str, axis: usize| -> Result<usize, String> {
            let shape = shapes.get(name).ok_or_else(|| format!("no tensor is named `{name}`"))?;
            shape.get(axis).copied().ok_or_else(|| format!("`{name}` has shape {shape:?}"))
        };
        let layers = |prefix: &str| {
            let exists = |layer: &usize| shapes.contains_key(&format!("{prefix}.{layer}.query_norm.weight"));
            (0..).take_while(exists).count()
        };
        let num_classes = axis("row_embedding.y_emb.weight", 0).unwrap_or(0);
        let channels = axis("row_embedding.lin.weight", 0)?;
        let num_readout_tokens = axis("row_embedding.readout_token", 0)?;
        let head = 2 * axis("row_embedding.row_layers.0.attn.query_transform.inv_freq", 0)?;
        let icl_head = axis("icl_block.layers.0.attn.sdpa.query_scaling.gate.0.weight", 1)?;
        let outputs = axis("icl_block.head.2.weight", 0)?;
        Ok(Self {
            num_classes,
            num_quantiles: if num_classes > 0 { 0 } else { outputs },
            channels,
            num_embedding_layers: layers("row_embedding.row_layers"),
            num_embedding_heads: channels / head.max(1),
            num_inducing_points: axis("row_embedding.col_layers.0.inducing_points", 0)?,
            group_size: axis("row_embedding.lin.weight", 1)?,
            num_readout_tokens,
            num_icl_layers: layers("icl_block.layers"),
            num_icl_heads: num_readout_tokens * channels / icl_head.max(1),
            norm_bias: shapes.contains_key("row_embedding.norm.bias"),
            max_train_size: max_train_size(),
        })
    }

    /// Checks what the layers take for granted.
    pub(super) fn check(&self) -> Result<(), String> {
        let divides = |name: &str, part: usize, whole: usize| {
            if part > 0 && whole > 0 && whole.is_multiple_of(part) {
                return Ok(());
            }
            Err(format!("{name} = {part} does not divide {whole} channels"))
        };
        divides("num_embedding_heads", self.num_embedding_heads, self.channels)?;
        divides("num_icl_heads", self.num_icl_heads, self.wide_channels())?;
        if !(self.channels / self.num_embedding_heads).is_multiple_of(2) {
            return Err(format!(
                "{} channels per head cannot be turned in pairs",
                self.channels / self.num_embedding_heads
            ));
        }
        if (self.num_classes > 1) == (self.num_quantiles > 0) {
            return Err(format!(
                "a network has classes or quantiles, not {} and {}",
                self.num_classes, self.num_quantiles
            ));
        }
        if self.group_size > 16 || self.num_embedding_layers == 0 || self.num_icl_layers == 0 {
            return Err("there must be layers, and at most 16 values in a cell".into());
        }
        Ok(())
    }
}
