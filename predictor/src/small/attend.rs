//! Attention in plain arithmetic, and its gradient. One thread, and the same bits for the same rows, whatever else is
//! computed before, after or beside it.

use super::kernel::{View, multiply};

/// For each row of queries the mean of the values, weighted by how well the keys go with it, head by head. Rows of
/// `width` numbers follow each other. The answer is added to the end of `onto`.
pub(super) fn attention([queries, keys, values]: [&[f32]; 3], width: usize, heads: usize, onto: &mut Vec<f32>) {
    let (many, found, part) = (queries.len() / width, keys.len() / width, width / heads);
    let from = onto.len();
    onto.resize(from + queries.len(), 0.0);
    let mut weights = vec![0.0; many * found];
    for start in (0..width).step_by(part) {
        let head = Head { start, part, width };
        weigh(&head, queries, keys, &mut weights);
        let mixed = &mut onto[from + start..];
        multiply((by_rows(&weights, found), &values[start..], width), (many, found, part), (mixed, width));
    }
}

/// The gradients of queries, keys and values, given those and the gradient of [`attention`]'s answer.
pub(super) fn attention_gradient(from: [&[f32]; 4], onto: [&mut [f32]; 3], width: usize, heads: usize) {
    let [queries, keys, values, gradient] = from;
    let [of_queries, of_keys, of_values] = onto;
    let (many, found, part) = (queries.len() / width, keys.len() / width, width / heads);
    let mut weights = vec![0.0; many * found];
    let mut of_weights = vec![0.0; many * found];
    for start in (0..width).step_by(part) {
        let head = Head { start, part, width };
        weigh(&head, queries, keys, &mut weights);
        let of_values = (&mut of_values[start..], width);
        multiply((by_columns(&weights, found), &gradient[start..], width), (found, many, part), of_values);
        let turned = head.turned(values);
        multiply((head.view(gradient), &turned, found), (many, part, found), (&mut of_weights, found));
        for (weights, gradient) in weights.chunks_exact(found).zip(of_weights.chunks_exact_mut(found)) {
            let along: f32 = weights.iter().zip(&*gradient).map(|(weight, gradient)| weight * gradient).sum();
            gradient.iter_mut().zip(weights).for_each(|(gradient, weight)| *gradient = weight * (*gradient - along));
        }
        let of_queries = (&mut of_queries[start..], width);
        multiply((by_rows(&of_weights, found), &keys[start..], width), (many, found, part), of_queries);
        let of_keys = (&mut of_keys[start..], width);
        multiply((by_columns(&of_weights, found), &queries[start..], width), (found, many, part), of_keys);
    }
}

/// The part of every row that belongs to a head.
struct Head {
    start: usize,
    part: usize,
    width: usize,
}

impl Head {
    fn view<'a>(&self, rows: &'a [f32]) -> View<'a> {
        View { values: &rows[self.start..], row_stride: self.width, column_stride: 1 }
    }

    /// Transposed: one row per place.
    fn turned(&self, rows: &[f32]) -> Vec<f32> {
        let mut turned = Vec::with_capacity(rows.len() / self.width * self.part);
        for place in self.start..self.start + self.part {
            turned.extend(rows.iter().skip(place).step_by(self.width));
        }
        turned
    }
}

/// How much each query looks at each key.
fn weigh(head: &Head, queries: &[f32], keys: &[f32], weights: &mut [f32]) {
    let (many, found) = (queries.len() / head.width, keys.len() / head.width);
    multiply((head.view(queries), &head.turned(keys), found), (many, head.part, found), (weights, found));
    weights.chunks_exact_mut(found).for_each(softmax);
}

fn by_rows(weights: &[f32], found: usize) -> View<'_> {
    View { values: weights, row_stride: found, column_stride: 1 }
}

/// The same transposed.
fn by_columns(weights: &[f32], found: usize) -> View<'_> {
    View { values: weights, row_stride: 1, column_stride: found }
}

/// Makes the numbers of a row positive, with sum 1.
pub(super) fn softmax(row: &mut [f32]) {
    let greatest = row.iter().fold(f32::NEG_INFINITY, |greatest, value| greatest.max(*value));
    let mut sum = 0.0;
    for value in row.iter_mut() {
        *value = (*value - greatest).exp();
        sum += *value;
    }
    row.iter_mut().for_each(|value| *value /= sum);
}
