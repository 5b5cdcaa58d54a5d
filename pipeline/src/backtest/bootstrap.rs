//! How far a figure may be from what it would be with other days: intervals by resampling blocks of time.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use relational::EventTime;

/// With fewer blocks of time rows are resampled instead, and a warning says so.
pub(super) const BLOCKS_MIN: usize = 10;
/// Resamples where there are few rows.
const RESAMPLES_MAX: usize = 1_000;
/// Where there are many; each figure is taken of about so many rows in all.
const RESAMPLES_MIN: usize = 200;
const ROWS_IN_ALL: usize = 100_000_000;

/// Rows that are drawn together, because what came true of them hangs together.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    /// The block of each row, counted from 0 without gaps.
    pub of_rows: Vec<u32>,
    pub count: usize,
    /// Days of cutoffs in a block; `None` where each row is its own.
    pub days: Option<i64>,
}

impl Blocks {
    /// Blocks of at least a day, and of the target's window where the windows of different days overlap.
    pub(super) fn new(cutoffs: &[EventTime], horizon: i64) -> Self {
        let day = |time: &EventTime| time.0.div_euclid(EventTime::DAY);
        let mut days: Vec<i64> = cutoffs.iter().map(day).collect();
        days.sort_unstable();
        days.dedup();
        let nearest = days.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(1);
        let length = if nearest * EventTime::DAY < horizon { (horizon - 1) / EventTime::DAY + 1 } else { 1 };
        let blocks = Self::of(cutoffs.iter().map(|time| day(time).div_euclid(length)), Some(length));
        if blocks.count >= BLOCKS_MIN { blocks } else { Self::of(0..cutoffs.len() as i64, None) }
    }

    /// All rows in one block, for figures without an interval.
    pub(super) fn one(rows: usize) -> Self {
        Self { of_rows: vec![0; rows], count: 1, days: None }
    }

    fn of(names: impl Iterator<Item = i64> + Clone, days: Option<i64>) -> Self {
        let mut all: Vec<i64> = names.clone().collect();
        all.sort_unstable();
        all.dedup();
        let place = |name: i64| {
            let place = all.binary_search(&name).expect("every name is among them");
            u32::try_from(place).expect("fewer rows than u32 counts")
        };
        Self { of_rows: names.map(place).collect(), count: all.len(), days }
    }

    /// How many resamples are worth their time.
    pub(super) fn resamples(&self) -> usize {
        (ROWS_IN_ALL / self.of_rows.len().max(1)).clamp(RESAMPLES_MIN, RESAMPLES_MAX)
    }

    /// How often each block is drawn by a resample: as many draws as there are blocks. A function of `seed` and `number`.
    pub(super) fn draw(&self, seed: u64, number: usize) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number as u64);
        let mut counts = vec![0.0; self.count];
        for _ in 0..self.count {
            // A 64-bit number spread over the blocks: what is uneven in it is below 2^-32.
            let place = (u128::from(random.next_u64()) * self.count as u128) >> 64;
            counts[usize::try_from(place).expect("below the number of blocks")] += 1.0;
        }
        counts
    }

    /// Every block once.
    pub(super) fn whole(&self) -> Vec<f64> {
        vec![1.0; self.count]
    }
}

/// How much each row counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<'a> {
    blocks: &'a [u32],
    counts: &'a [f64],
}

impl<'a> Weights<'a> {
    pub(super) fn new(blocks: &'a Blocks, counts: &'a [f64]) -> Self {
        Self { blocks: &blocks.of_rows, counts }
    }

    pub(super) fn of(&self, row: usize) -> f64 {
        self.counts[self.blocks[row] as usize]
    }
}

/// The middle 95 % of resampled figures; `None` when more than one in twenty is not defined.
pub(super) fn interval(resampled: &[Option<f64>]) -> Option<(f64, f64)> {
    let mut found: Vec<f64> = resampled.iter().flatten().copied().collect();
    if found.is_empty() || found.len() * 20 < resampled.len() * 19 {
        return None;
    }
    found.sort_by(f64::total_cmp);
    Some((quantile(&found, 0.025), quantile(&found, 0.975)))
}

/// Linear between ranks (R. J. Hyndman and Y. Fan, 1996, definition 7).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among a thousand"
)]
fn quantile(sorted: &[f64], level: f64) -> f64 {
    let place = level * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - place.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: &[i64]) -> Vec<EventTime> {
        days.iter().map(|day| EventTime(day * EventTime::DAY + 7)).collect()
    }

    #[test]
    fn windows_that_overlap_share_a_block() {
        let daily = days(&(0..40).collect::<Vec<_>>());
        let apart = Blocks::new(&daily, EventTime::DAY);
        assert_eq!((apart.count, apart.days), (40, Some(1)));
        let together = Blocks::new(&daily, 4 * EventTime::DAY);
        assert_eq!((together.count, together.days), (10, Some(4)));
        assert_eq!(together.of_rows[..5], [0, 0, 0, 0, 1]);
    }

    #[test]
    fn with_few_days_rows_are_drawn() {
        let blocks = Blocks::new(&days(&[1, 1, 2, 2, 3]), EventTime::DAY);
        assert_eq!((blocks.count, blocks.days), (5, None));
    }

    #[test]
    fn a_draw_is_a_function_of_seed_and_number() {
        let blocks = Blocks::new(&days(&(0..50).collect::<Vec<_>>()), 0);
        assert_eq!(blocks.draw(1, 7), blocks.draw(1, 7));
        assert_ne!(blocks.draw(1, 7), blocks.draw(1, 8));
        assert_ne!(blocks.draw(1, 7), blocks.draw(2, 7));
        assert!((blocks.draw(3, 0).iter().sum::<f64>() - 50.0).abs() < 1e-12);
    }

    #[test]
    fn an_interval_holds_the_middle() {
        let all: Vec<Option<f64>> = (0..=1_000).map(|value| Some(f64::from(value))).collect();
        assert_eq!(interval(&all), Some((25.0, 975.0)));
        assert_eq!(interval(&[Some(1.0), None]), None);
    }
}
