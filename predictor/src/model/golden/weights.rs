//! Weights that are the same here and in `scripts/golden/weights.py`: a counter-based generator seeded by each tensor's
//! name.

use candle_core::{Device, Tensor};

/// The tensor of this name.
pub(super) fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let name = canonical(name);
    let count = shape.iter().product();
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "as the script computes it")]
    let spread = (3.0 / shape[shape.len() - 1] as f64).sqrt() as f32;
    let weigh = |value: f32| match shape.len() {
        _ if name.ends_with("inv_freq") => 0.75 + 0.5 * value,
        2.. => value * spread,
        _ if name.ends_with("norm.weight") || name.ends_with("mlp.0.weight") => 1.0 + 0.2 * value,
        _ => value * 0.1,
    };
    let values: Vec<f32> = uniform(&name, count).map(weigh).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).expect("the shape holds as many")
}

/// The name of the first of several names of one shared tensor.
fn canonical(name: &str) -> String {
    let name = name.replace("key_value_norm", "query_norm");
    match name.split_once("row_layers.") {
        Some((start, rest)) if rest.ends_with("_transform.inv_freq") => {
            format!("{start}row_layers.0.attn.query_transform.inv_freq")
        }
        _ => name,
    }
}

/// Numbers in [-1, 1), multiples of 2^-23, from SplitMix64 seeded by the FNV-1a hash of the name.
fn uniform(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    let mut state = name.bytes().fold(0xCBF2_9CE4_8422_2325, hash);
    (0..count).map(move |_| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
        let top = ((mixed ^ (mixed >> 31)) >> 40) as f32;
        top / 8_388_608.0 - 1.0
    })
}
