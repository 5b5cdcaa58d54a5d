//! Episodes: a context and queries drawn from the examples of one task, as a live run would have had them.

use predictor::learn::{Examples, Matrix, Targets};
use predictor::small::Episode;

use crate::bank::Bank;
use crate::dice::{Dice, float};

/// How often another moment is tried before the task is given up for this size.
const TRIES: usize = 4;

/// Below this share a class is rare, and contexts may prefer it.
const RARE_SHARE: f64 = 0.05;

impl Bank {
    /// An episode with a context of exactly `context` examples whose labels were all known when the first of the
    /// `queries` was asked; `None` when the task has too few.
    #[must_use]
    pub fn episode(&self, dice: &mut Dice, context: usize, queries: usize) -> Option<Episode> {
        let columns = self.columns(dice);
        for _ in 0..TRIES {
            let Some((known, asked)) = self.split(dice, context, queries) else { continue };
            let (chosen, prior) = self.context(dice, &known, context);
            let asked: Vec<usize> = dice.choose(queries, asked.len()).into_iter().map(|place| asked[place]).collect();
            let mut episode = Episode {
                context: Examples { prior, ..self.take(&chosen, &columns) },
                queries: self.take(&asked, &columns),
            };
            if dice.chance(0.1) {
                let share = dice.between(0.0, 0.15);
                slip(dice, &mut episode.context.targets, share);
                slip(dice, &mut episode.queries.targets, share);
            }
            return Some(episode);
        }
        None
    }

    /// The examples that were known at a random moment, oldest first, and those that may be asked then: the next few
    /// times as many as are wanted.
    fn split(&self, dice: &mut Dice, context: usize, queries: usize) -> Option<(Vec<usize>, Vec<usize>)> {
        let anchors = &self.examples.anchors;
        if anchors.len() < context + queries {
            return None;
        }
        if !self.timed {
            let mut places = dice.shuffled(anchors.len());
            let asked = places.split_off(anchors.len() - queries);
            return Some((places, asked));
        }
        // Moments with enough examples before and after.
        let first = anchors.partition_point(|anchor| *anchor < self.from);
        let first = first.max(context);
        let last = anchors.len() - queries;
        if first > last {
            return None;
        }
        let moment = anchors[dice.within(first, last)];
        let start = anchors.partition_point(|anchor| *anchor < moment);
        let known = anchors.partition_point(|anchor| anchor.plus(self.matures_after) <= moment);
        if known < context || anchors.len() - start < queries {
            return None;
        }
        let ahead = queries * dice.within(1, 4);
        Some(((0..known).collect(), (start..anchors.len().min(start + ahead)).collect()))
    }

    /// Which of the known examples make the context: the newest, some from each of the newest anchors, or any; where a
    /// class is rare, sometimes more of it than there is in the population, whose share is then said.
    fn context(&self, dice: &mut Dice, known: &[usize], size: usize) -> (Vec<usize>, Option<Vec<f64>>) {
        if let Targets::Binary(truths) = &self.examples.targets {
            let positives: Vec<usize> = known.iter().copied().filter(|place| truths[*place]).collect();
            let share = float(positives.len()) / float(known.len());
            if share < RARE_SHARE && !positives.is_empty() && dice.chance(0.5) {
                let taken: Vec<usize> = positives.iter().rev().take(size.div_ceil(4)).copied().collect();
                let others: Vec<usize> = known.iter().copied().filter(|place| !truths[*place]).collect();
                let others = dice.choose(size - taken.len(), others.len()).into_iter().map(|place| others[place]);
                let mut chosen: Vec<usize> = others.chain(taken).collect();
                chosen.sort_unstable();
                // With fewer others than wanted the context would be smaller than its neighbours in the step.
                if chosen.len() == size {
                    return (chosen, Some(vec![share]));
                }
            }
        }
        let range = match dice.weighted(&[0.55, 0.2, 0.25]) {
            0 => size,
            1 => 3 * size,
            _ => known.len(),
        };
        let newest = &known[known.len().saturating_sub(range.max(size))..];
        (dice.choose(size, newest.len()).into_iter().map(|place| newest[place]).collect(), None)
    }

    /// Columns that this episode sees: all, or a random part.
    fn columns(&self, dice: &mut Dice) -> Vec<usize> {
        let all = self.examples.features.columns();
        if dice.chance(0.5) {
            return (0..all).collect();
        }
        let share = dice.between(0.15, 1.0);
        let kept: Vec<usize> = (0..all).filter(|_| dice.chance(share)).collect();
        if kept.len() < 3 { (0..all).collect() } else { kept }
    }

    fn take(&self, places: &[usize], columns: &[usize]) -> Examples {
        let mut features = Matrix::new(columns.len());
        let mut kept = Vec::with_capacity(columns.len());
        for place in places {
            let row = self.examples.features.row(*place);
            kept.clear();
            kept.extend(columns.iter().map(|column| row[*column]));
            features.push_row(&kept);
        }
        let targets = match &self.examples.targets {
            Targets::Binary(truths) => Targets::Binary(places.iter().map(|place| truths[*place]).collect()),
            Targets::Classes { classes, labels } => {
                Targets::Classes { classes: *classes, labels: places.iter().map(|place| labels[*place]).collect() }
            }
            Targets::Numbers(numbers) => Targets::Numbers(places.iter().map(|place| numbers[*place]).collect()),
        };
        Examples {
            features,
            past: places.iter().map(|place| self.examples.past[*place].clone()).collect(),
            targets,
            prior: None,
            anchors: places.iter().map(|place| self.examples.anchors[*place]).collect(),
            group: places.iter().map(|place| self.examples.group[*place]).collect(),
        }
    }
}

/// Label noise: so large a share of binary labels is wrong.
fn slip(dice: &mut Dice, targets: &mut Targets, share: f64) {
    if let Targets::Binary(truths) = targets {
        truths.iter_mut().for_each(|truth| *truth ^= dice.chance(share));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, Family};

    #[test]
    fn every_label_of_a_context_was_known_when_the_first_query_was_asked() {
        let mut drawn = 0;
        for (family, seed) in [(Family::Activity, 1), (Family::Events, 2), (Family::Rounds, 4), (Family::Loans, 5)] {
            let mut dice = Dice::new(seed, &[9]);
            let world = family.draw(&mut dice);
            let database = Database::fill(&world, &std::env::temp_dir()).unwrap();
            for bank in Bank::fill(&world, &database, &mut dice, 2, 300).unwrap() {
                for size in [10, 40, 100] {
                    let Some(episode) = bank.episode(&mut dice, size, 20) else { continue };
                    assert_eq!((episode.context.targets.len(), episode.queries.targets.len()), (size, 20));
                    let known = episode.context.anchors.iter().map(|anchor| anchor.plus(bank.matures_after)).max();
                    assert!(known <= episode.queries.anchors.iter().min().copied(), "{}", bank.query);
                    assert!(episode.queries.anchors.iter().all(|anchor| *anchor >= bank.from), "{}", bank.query);
                    drawn += 1;
                }
            }
        }
        assert!(drawn > 6, "{drawn} episodes");
    }
}
