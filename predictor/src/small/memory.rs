//! What queries look at: keys and values of a context.

use super::attend::{attention, softmax};
use super::kernel::{View, multiply};

/// A matrix of one row.
fn row(values: &[f32]) -> View<'_> {
    View { values, row_stride: 0, column_stride: 1 }
}

/// Keys and values of attention, one row per token.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) keys: Vec<f32>,
    pub(super) values: Vec<f32>,
}

impl Keys {
    /// What queries see who all look at all of it.
    pub(super) fn seen_by(&self, queries: &[f32], width: usize, heads: usize) -> Vec<f32> {
        let mut mixed = Vec::with_capacity(queries.len());
        attention([queries, &self.keys, &self.values], width, heads, &mut mixed);
        mixed
    }

    /// What queries see of their own part of it: each `asking` numbers of queries of the next `asked` numbers of keys.
    pub(super) fn seen_apart(
        &self,
        queries: &[f32],
        asking: usize,
        asked: usize,
        width: usize,
        heads: usize,
    ) -> Vec<f32> {
        let mut mixed = Vec::with_capacity(queries.len());
        let parts = self.keys.chunks_exact(asked).zip(self.values.chunks_exact(asked));
        for (queries, (keys, values)) in queries.chunks_exact(asking).zip(parts) {
            attention([queries, keys, values], width, heads, &mut mixed);
        }
        mixed
    }
}

/// Keys and values that single queries look at: the keys transposed, width × tokens.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    tokens: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Memory {
    pub(super) fn new(keys: &Keys, width: usize) -> Self {
        let tokens = keys.keys.len() / width;
        let mut turned = Vec::with_capacity(keys.keys.len());
        for place in 0..width {
            turned.extend(keys.keys.iter().skip(place).step_by(width));
        }
        Self { tokens, keys: turned, values: keys.values.clone() }
    }

    /// [`attention`](super::attend::attention) of one query.
    pub(super) fn look(&self, query: &[f32], heads: usize) -> Vec<f32> {
        let (width, part) = (query.len(), query.len() / heads);
        let mut mixed = vec![0.0; width];
        let mut weights = vec![0.0; self.tokens];
        for start in (0..width).step_by(part) {
            let (query, keys) = (&query[start..], &self.keys[start * self.tokens..]);
            multiply((row(query), keys, self.tokens), (1, part, self.tokens), (&mut weights, 0));
            softmax(&mut weights);
            let values = &self.values[start..];
            multiply((row(&weights), values, width), (1, self.tokens, part), (&mut mixed[start..], 0));
        }
        mixed
    }

    /// How many tokens there are.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::normal;
    use super::*;

    #[test]
    fn one_query_sees_what_many_see() {
        let keys = Keys { keys: normal(11 * 12, 1), values: normal(11 * 12, 2) };
        let queries = normal(3 * 12, 3);
        let mut all = Vec::new();
        attention([&queries, &keys.keys, &keys.values], 12, 3, &mut all);
        let memory = Memory::new(&keys, 12);
        for (query, wanted) in queries.chunks_exact(12).zip(all.chunks_exact(12)) {
            assert_eq!(memory.look(query, 3), wanted);
        }
    }
}
