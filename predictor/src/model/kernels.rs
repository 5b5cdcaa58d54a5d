//! Loops over rows of numbers that candle would take one number at a time: exponentials, GELU, norms, softmax.
//!
//! Every row is computed on its own and in one order, so that its bits depend on nothing but itself. The compiler makes
//! vector instructions of the loops; `pulp` picks the widest that the processor has. Exponentials are Cephes' `expf`
//! (relative error 1e-7), the error function is formula 7.1.26 of Abramowitz and Stegun (absolute error 1.5e-7).

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use pulp::{Arch, Simd, WithSimd};

/// A loop over numbers. Its function must always be inlined, or it is compiled for the oldest processor; that is why it
/// is a trait's and not a closure, whose call is a function of its own. For the same reason the loops are `for` loops:
/// what an iterator's method is given may be left a function (a softmax was twice as slow for it).
pub(super) trait Kernel {
    fn run(self);
}

/// Runs a loop with the widest vector instructions that the processor has.
pub(super) fn vectorised(kernel: impl Kernel) {
    Arch::new().dispatch(Vectorised(kernel));
}

struct Vectorised<K>(K);

impl<K: Kernel> WithSimd for Vectorised<K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.0.run();
    }
}

/// Adds `bias` to every row.
pub(super) fn add_bias(rows: &mut [f32], bias: &[f32]) {
    struct AddBias<'a> {
        rows: &'a mut [f32],
        bias: &'a [f32],
    }
    impl Kernel for AddBias<'_> {
        #[inline(always)]
        fn run(self) {
            let Self { rows, bias } = self;
            for row in rows.chunks_exact_mut(bias.len()) {
                for (value, bias) in row.iter_mut().zip(bias) {
                    *value += bias;
                }
            }
        }
    }
    vectorised(AddBias { rows, bias });
}

/// Adds `bias` to every row and applies the exact GELU, x Φ(x).
pub(super) fn add_bias_gelu(rows: &mut [f32], bias: &[f32]) {
    struct AddBiasGelu<'a> {
        rows: &'a mut [f32],
        bias: &'a [f32],
    }
    impl Kernel for AddBiasGelu<'_> {
        #[inline(always)]
        fn run(self) {
            let Self { rows, bias } = self;
            for row in rows.chunks_exact_mut(bias.len()) {
                for (value, bias) in row.iter_mut().zip(bias) {
                    *value = gelu_of(*value + bias);
                }
            }
        }
    }
    vectorised(AddBiasGelu { rows, bias });
}

/// Applies the exact GELU.
pub(super) fn gelu(values: &mut [f32]) {
    struct Gelu<'a> {
        values: &'a mut [f32],
    }
    impl Kernel for Gelu<'_> {
        #[inline(always)]
        fn run(self) {
            let Self { values } = self;
            for value in values.iter_mut() {
                *value = gelu_of(*value);
            }
        }
    }
    vectorised(Gelu { values });
}

/// Adds the second to the first.
pub(super) fn add(values: &mut [f32], others: &[f32]) {
    struct Add<'a> {
        values: &'a mut [f32],
        others: &'a [f32],
    }
    impl Kernel for Add<'_> {
        #[inline(always)]
        fn run(self) {
            let Self { values, others } = self;
            for (value, other) in values.iter_mut().zip(others) {
                *value += other;
            }
        }
    }
    vectorised(Add { values, others });
}

/// Multiplies every row by `scale (1 + tanh(gate + bias))`, where the scale is as long as a row and the bias as a head.
pub(super) fn modulate(rows: &mut [f32], gates: &[f32], bias: &[f32], scale: &[f32]) {
    struct Modulate<'a> {
        rows: &'a mut [f32],
        gates: &'a [f32],
        bias: &'a [f32],
        scale: &'a [f32],
    }
    impl Kernel for Modulate<'_> {
        #[inline(always)]
        fn run(self) {
            let Self { rows, gates, bias, scale } = self;
            let pairs = rows.chunks_exact_mut(scale.len()).zip(gates.chunks_exact(scale.len()));
            for (row, gate) in pairs {
                let heads = row.chunks_exact_mut(bias.len()).zip(gate.chunks_exact(bias.len()));
                for ((head, gate), scale) in heads.zip(scale.chunks_exact(bias.len())) {
                    for ((value, gate), (bias, scale)) in head.iter_mut().zip(gate).zip(bias.iter().zip(scale)) {
                        *value *= scale * (1.0 + tanh(gate + bias));
                    }
                }
            }
        }
    }
    vectorised(Modulate { rows, gates, bias, scale });
}

/// Normalises every row to mean 0 and variance 1, then scales and shifts it.
pub(super) fn layer_norm(rows: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    const EPSILON: f32 = 1e-5;
    struct LayerNorm<'a> {
        rows: &'a [f32],
        weight: &'a [f32],
        bias: Option<&'a [f32]>,
        out: &'a mut [f32],
    }
    impl Kernel for LayerNorm<'_> {
        #[inline(always)]
        fn run(self) {
            let Self { rows, weight, bias, out } = self;
            let width = weight.len();
            #[expect(clippy::cast_precision_loss, reason = "a width has few digits")]
            let count = width as f32;
            for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                let mean = sum(row, |value| value) / count;
                let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
                let scale = 1.0 / (variance + EPSILON).sqrt();
                for ((out, value), weight) in out.iter_mut().zip(row).zip(weight) {
                    *out = (value - mean) * scale * weight;
                }
                if let Some(bias) = bias {
                    for (value, bias) in out.iter_mut().zip(bias) {
                        *value += bias;
                    }
                }
            }
        }
    }
    let mut out = vec![0.0; rows.len()];
    vectorised(LayerNorm { rows, weight, bias, out: &mut out });
    out
}

/// Makes the row the softmax of itself times `scale`.
#[inline(always)]
pub(super) fn softmax_row(row: &mut [f32], scale: f32) {
    let mut highest = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |highest, value| highest.max(*value));
    for chunk in chunks {
        for (highest, value) in highest.iter_mut().zip(chunk) {
            *highest = highest.max(*value);
        }
    }
    let highest = highest.iter().fold(rest, |highest, value| highest.max(*value));
    for value in row.iter_mut() {
        *value = exp((*value - highest) * scale);
    }
    let total = 1.0 / sum(row, |value| value);
    for value in row.iter_mut() {
        *value *= total;
    }
}

const LANES: usize = 16;

/// The sum over a row, in sixteen lanes and then lane by lane: one order on every processor.
#[inline(always)]
fn sum(row: &[f32], part: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|value| part(*value)).sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += part(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added to a small number, it leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.3, 88.3);
    let shifted = x.mul_add(LOG2_E, ROUND);
    let power = shifted - ROUND;
    let rest = power.mul_add(-LN_2_LOW, power.mul_add(-LN_2_HIGH, x));
    let series = 1.987_569_1e-4f32;
    let series = series.mul_add(rest, 1.398_199_9e-3);
    let series = series.mul_add(rest, 8.333_452e-3);
    let series = series.mul_add(rest, 4.166_579_6e-2);
    let series = series.mul_add(rest, 1.666_666_5e-1);
    let series = series.mul_add(rest, 0.500_000_06);
    let fraction = (series * rest).mul_add(rest, rest) + 1.0;
    fraction * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    let size = (x * FRAC_1_SQRT_2).abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let series = 1.061_405_4f32;
    let series = series.mul_add(t, -1.453_152);
    let series = series.mul_add(t, 1.421_413_7);
    let series = series.mul_add(t, -0.284_496_74);
    let series = series.mul_add(t, 0.254_829_6) * t;
    // Half of 1 - erf: small parts of negative numbers keep their digits.
    let tail = 0.5 * series * exp(-size * size);
    x * if x >= 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> impl Iterator<Item = f32> {
        (-4_000..4_000i16).map(|step| f32::from(step) / 300.0)
    }

    #[test]
    fn exponentials_and_tangents_are_close() {
        for x in grid() {
            assert!((exp(x) / x.exp() - 1.0).abs() < 3e-7, "exp({x}) = {}", exp(x));
            assert!((tanh(x) - x.tanh()).abs() < 3e-7, "tanh({x}) = {}", tanh(x));
        }
    }

    #[test]
    fn gelu_is_close_to_its_table() {
        let table = [(0.0, 0.0), (1.0, 0.841_344_8), (-1.0, -0.158_655_26), (3.0, 2.995_950_3), (-3.0, -0.004_049_698)];
        for (x, wanted) in table {
            assert!((gelu_of(x) - wanted).abs() < 5e-7, "gelu({x}) = {}", gelu_of(x));
        }
    }

    #[test]
    fn a_softmax_adds_up_to_one_and_keeps_ratios() {
        let mut row: Vec<f32> = (0..37u8).map(|step| f32::from(step) / 5.0).collect();
        softmax_row(&mut row, 2.0);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((row[11] / row[10] - 0.4f32.exp()).abs() < 1e-5);
    }

    #[test]
    fn a_norm_has_mean_nought_and_variance_one() {
        let row: Vec<f32> = (0..50u8).map(f32::from).collect();
        let normed = layer_norm(&row, &[1.0; 50], None);
        assert!(normed.iter().sum::<f32>().abs() < 1e-4);
        assert!((normed.iter().map(|value| value * value).sum::<f32>() / 50.0 - 1.0).abs() < 1e-4);
    }
}
