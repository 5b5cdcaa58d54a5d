//! Products of matrices whose bits do not depend on how many rows there are.
//!
//! A library's product chooses its blocks by the shape of both factors, so that a row's last bits change with the number
//! of its neighbours; here every number is one sum in one order, and a query's answer is the same alone or among others.
//! The right factor is packed once into panels of sixteen columns, which stay in the fastest cache while six rows at a
//! time pass over them.

use std::hint::black_box;

use rayon::prelude::*;

use super::kernels::{Kernel, vectorised};

/// Columns of a panel: two vectors of eight numbers.
pub(super) const PANEL: usize = 16;

/// Rows that pass over a panel at once: with two vectors each they fill the registers.
const ROWS: usize = 6;

/// Terms that are summed before the next panel is turned to, so that a panel's part stays in the fastest cache.
const DEPTH: usize = 256;

/// From this many numbers in the right factor on, a single row is worth two threads.
const SHARED: usize = 1 << 17;

/// The right factor of a product, `[inputs, outputs]`, in panels.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    panels: Vec<f32>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

impl Packed {
    /// Packs rows that each hold the inputs of one output, as a linear map's weight does.
    pub(super) fn of_outputs(weight: &[f32], inputs: usize) -> Self {
        let outputs = weight.len() / inputs;
        let mut panels = vec![0.0; outputs.div_ceil(PANEL) * PANEL * inputs];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / PANEL * PANEL * inputs..][..PANEL * inputs];
            row.iter().enumerate().for_each(|(input, value)| panel[input * PANEL + output % PANEL] = *value);
        }
        Self { panels, inputs, outputs }
    }

    /// `[rows, inputs]` to `[rows, outputs]`.
    pub(super) fn multiply(&self, x: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.inputs * self.outputs];
        if x.len() == self.inputs && self.panels.len() >= SHARED {
            let panels = self.panels.par_chunks(self.panels.len() / 4 / (PANEL * self.inputs) * PANEL * self.inputs);
            let columns = self.panels.len() / 4 / (PANEL * self.inputs) * PANEL;
            let parts = out.par_chunks_mut(columns).zip(panels);
            parts.for_each(|(out, panels)| multiply(x, self.inputs, panels, out.len(), out));
        } else {
            multiply(x, self.inputs, &self.panels, self.outputs, &mut out);
        }
        out
    }
}

/// Adds the product of `x`, `[rows, inputs]`, and the panels of `[inputs, outputs]` to `out`, which holds zeros.
pub(super) fn multiply(x: &[f32], inputs: usize, panels: &[f32], outputs: usize, out: &mut [f32]) {
    vectorised(Product { x, inputs, panels, outputs, out });
}

struct Product<'a> {
    x: &'a [f32],
    inputs: usize,
    panels: &'a [f32],
    outputs: usize,
    out: &'a mut [f32],
}

impl Kernel for Product<'_> {
    #[inline(always)]
    fn run(self) {
        product(self.x, self.inputs, self.panels, self.outputs, self.out);
    }
}

/// [`multiply`] within a loop that is vectorised as a whole.
#[inline(always)]
pub(super) fn product(x: &[f32], inputs: usize, panels: &[f32], outputs: usize, out: &mut [f32]) {
    for depth in (0..inputs).step_by(DEPTH) {
        let terms = DEPTH.min(inputs - depth);
        for (index, panel) in panels.chunks_exact(inputs * PANEL).enumerate() {
            let panel = &panel[depth * PANEL..][..terms * PANEL];
            let column = index * PANEL;
            let width = PANEL.min(outputs - column);
            let place = Place { inputs, depth, outputs, column, width };
            let mut left = x.chunks_exact(inputs * ROWS);
            let mut made = out.chunks_exact_mut(outputs * ROWS);
            for (x, out) in (&mut left).zip(&mut made) {
                block::<ROWS>(x, panel, out, place);
            }
            let (x, out) = (left.remainder(), made.into_remainder());
            match x.len() / inputs {
                1 => block::<1>(x, panel, out, place),
                2 => block::<2>(x, panel, out, place),
                3 => block::<3>(x, panel, out, place),
                4 => block::<4>(x, panel, out, place),
                5 => block::<5>(x, panel, out, place),
                _ => {}
            }
        }
    }
}

/// Where a block's numbers stand in their matrices.
#[derive(Clone, Copy)]
struct Place {
    inputs: usize,
    depth: usize,
    outputs: usize,
    column: usize,
    width: usize,
}

/// For `R` rows and one panel each number's sum, term by term. The loops count, and the sums are returned, because
/// otherwise the sums leave the registers, which is ten times slower.
#[inline(always)]
fn sums<const R: usize>(rows: [&[f32]; R], panel: &[[f32; PANEL]]) -> [[f32; PANEL]; R] {
    let mut sums = [[0.0f32; PANEL]; R];
    let rows = rows.map(|row| &row[..panel.len()]);
    for term in 0..panel.len() {
        let values = panel[term];
        for row in 0..R {
            let factor = rows[row][term];
            for column in 0..PANEL {
                sums[row][column] = factor.mul_add(values[column], sums[row][column]);
            }
        }
    }
    sums
}

/// Adds the sums of `R` rows and one panel to their places.
#[inline(always)]
fn block<const R: usize>(x: &[f32], panel: &[f32], out: &mut [f32], place: Place) {
    let rows: [&[f32]; R] = std::array::from_fn(|row| &x[row * place.inputs + place.depth..]);
    // Behind the barrier nothing of what follows is woven into the sums, or they leave the registers.
    let made = black_box(sums(rows, panel.as_chunks::<PANEL>().0));
    for (row, made) in made.iter().enumerate() {
        let out = &mut out[row * place.outputs + place.column..][..place.width];
        if let Some(out) = out.first_chunk_mut::<PANEL>() {
            for column in 0..PANEL {
                out[column] += made[column];
            }
        } else {
            for (out, made) in out.iter_mut().zip(made) {
                *out += made;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u16) -> Vec<f32> {
        (0..count)
            .map(|index| (f32::from(u16::try_from(index % 60_000).unwrap()) * 0.37 + f32::from(seed)).sin())
            .collect()
    }

    #[test]
    fn products_are_those_of_the_definition() {
        for (rows, inputs, outputs) in [(1, 3, 5), (7, 16, 33), (13, 300, 17), (6, 600, 16)] {
            let (x, weight) = (numbers(rows * inputs, 1), numbers(outputs * inputs, 2));
            let made = Packed::of_outputs(&weight, inputs).multiply(&x);
            for (index, made) in made.iter().enumerate() {
                let (row, output) = (&x[index / outputs * inputs..], &weight[index % outputs * inputs..]);
                let wanted: f32 = row.iter().zip(output).take(inputs).map(|(x, weight)| x * weight).sum();
                assert!((made - wanted).abs() < 1e-3, "{rows}x{inputs}x{outputs}: {made} for {wanted}");
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_alone_and_among_others() {
        for (inputs, outputs) in [(3, 16), (128, 384), (512, 1024), (1_024, 512), (600, 130)] {
            let (x, weight) = (numbers(20 * inputs, 3), numbers(outputs * inputs, 4));
            let packed = Packed::of_outputs(&weight, inputs);
            let alone: Vec<f32> = x.chunks_exact(inputs).flat_map(|row| packed.multiply(row)).collect();
            for rows in [2, 3, 7, 20] {
                let made: Vec<f32> = x.chunks(rows * inputs).flat_map(|rows| packed.multiply(rows)).collect();
                assert!(
                    made.iter().map(|value| value.to_bits()).eq(alone.iter().map(|value| value.to_bits())),
                    "{rows}"
                );
            }
        }
    }
}
