//! More classes than the head tells apart: a tree of groups of classes, each node with a context of its own.

use candle_core::{Result, Tensor};

use super::icl::{ContextSummary, IclBlock};
use super::kept::Keep;
use super::label::Labels;

/// The published softmax temperature.
pub(super) const TEMPERATURE: f32 = 0.9;

/// A node: the classes below it, its context where it has a choice to make, and its groups where they are too many.
#[derive(Debug, Clone)]
pub(super) struct Node {
    classes: Vec<u32>,
    context: Option<ContextSummary>,
    groups: Vec<Node>,
}

impl Node {
    /// A tree for the examples `x`, `[examples, channels]`, with these classes.
    pub(super) fn fit(icl: &IclBlock, x: &Tensor, codes: &[u32]) -> Result<Self> {
        let mut classes = codes.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let place = |code: &u32| classes.binary_search(code).expect("every code is among the classes");
        if classes.len() == 1 {
            return Ok(Self { classes, context: None, groups: Vec::new() });
        }
        let groups = groups(classes.len(), icl.classes);
        let own: Vec<usize> = codes.iter().map(|code| groups[place(code)]).collect();
        let count = groups[groups.len() - 1] + 1;
        let labels = own.iter().map(|group| u32::try_from(*group).expect("groups are few")).collect();
        let context = icl.fit(x, &Labels::Classes { count, codes: labels })?;
        if classes.len() <= icl.classes {
            return Ok(Self { classes, context: Some(context), groups: Vec::new() });
        }
        let child = |group: usize| {
            let rows: Vec<usize> = (0..own.len()).filter(|row| own[*row] == group).collect();
            let codes: Vec<u32> = rows.iter().map(|row| codes[*row]).collect();
            let index: Vec<u32> = rows.iter().map(|row| u32::try_from(*row).expect("examples are few")).collect();
            Self::fit(icl, &x.index_select(&Tensor::new(index, x.device())?, 0)?, &codes)
        };
        let groups = (0..count).map(child).collect::<Result<_>>()?;
        Ok(Self { classes, context: Some(context), groups })
    }

    /// For each query `[queries, channels]` the logarithms of its classes' probabilities, times the temperature; classes
    /// that no example has are as unlikely as can be.
    pub(super) fn predict(&self, icl: &IclBlock, x: &Tensor, classes: usize) -> Result<Vec<Vec<f32>>> {
        let parts = self.log_shares(icl, x)?;
        let spread = |shares: Vec<f32>| {
            let mut all = vec![f32::NEG_INFINITY; classes];
            self.classes.iter().zip(shares).for_each(|(class, share)| all[*class as usize] = share * TEMPERATURE);
            all
        };
        Ok(parts.into_iter().map(spread).collect())
    }

    pub(super) fn bytes(&self) -> usize {
        let below: usize = self.groups.iter().map(Self::bytes).sum();
        self.context.as_ref().map_or(0, ContextSummary::bytes) + below
    }

    fn log_shares(&self, icl: &IclBlock, x: &Tensor) -> Result<Vec<Vec<f32>>> {
        let Some(context) = &self.context else { return Ok(vec![vec![0.0]; x.dim(0)?]) };
        let choices = if self.groups.is_empty() { self.classes.len() } else { self.groups.len() };
        let logits: Vec<Vec<f32>> = icl.predict(x, context)?.to_vec2()?;
        let own: Vec<Vec<f32>> = logits.iter().map(|logits| log_softmax(&logits[..choices])).collect();
        if self.groups.is_empty() {
            return Ok(own);
        }
        let mut all: Vec<Vec<f32>> = vec![Vec::with_capacity(self.classes.len()); own.len()];
        for (index, group) in self.groups.iter().enumerate() {
            let below = group.log_shares(icl, x)?;
            for ((all, below), own) in all.iter_mut().zip(below).zip(&own) {
                all.extend(below.into_iter().map(|share| share + own[index]));
            }
        }
        Ok(all)
    }
}

impl Keep for Node {
    fn keep(&self, onto: &mut Vec<u8>) -> Option<()> {
        self.classes.keep(onto)?;
        self.context.keep(onto)?;
        self.groups.keep(onto)
    }

    fn restore(from: &mut &[u8]) -> Option<Self> {
        Some(Self { classes: Keep::restore(from)?, context: Keep::restore(from)?, groups: Keep::restore(from)? })
    }
}

/// The group of each class: as many groups of neighbours as the head allows, as equal as possible.
fn groups(classes: usize, most: usize) -> Vec<usize> {
    if classes <= most {
        return (0..classes).collect();
    }
    let count = classes.div_ceil(most).min(most);
    let size = |group: usize| classes / count + usize::from(group < classes % count);
    (0..count).flat_map(|group| std::iter::repeat_n(group, size(group))).collect()
}

fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let scaled: Vec<f32> = logits.iter().map(|logit| logit / TEMPERATURE).collect();
    let highest = scaled.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total = scaled.iter().map(|logit| (logit - highest).exp()).sum::<f32>().ln() + highest;
    scaled.iter().map(|logit| logit - total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_neighbours_and_nearly_equal() {
        let groups = groups(23, 10);
        assert_eq!(groups.iter().filter(|group| **group == 0).count(), 8);
        assert_eq!(groups.iter().filter(|group| **group == 2).count(), 7);
        assert!(groups.is_sorted());
    }
}
