//! The families of synthetic databases.

mod activity;
mod events;
mod loans;
pub(crate) mod pairs;
mod plain;
mod rounds;

use crate::dice::{Dice, float, logistic};
use crate::draft::Draft;
use crate::question::Question;

/// A synthetic database and what may be asked of it.
#[derive(Debug, Clone)]
pub struct World {
    /// The family that it is of.
    pub family: Family,
    /// Its tables.
    pub tables: Vec<Draft>,
    /// What may be asked of it.
    pub questions: Vec<Question>,
}

/// A family of databases: who meets whom, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Competitors who meet in rounds.
    Rounds,
    /// Customers who each act in their own time.
    Activity,
    /// Events between two parents whose outcome becomes known later.
    Events,
    /// Applications of clients with a history, whose outcome becomes known later.
    Loans,
    /// Cases whose outcome is whether two values have met in one earlier row.
    Pairs,
    /// One table, perhaps with a child table.
    Plain,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 6] = [Self::Rounds, Self::Activity, Self::Events, Self::Loans, Self::Pairs, Self::Plain];

    /// The name used in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rounds => "rounds",
            Self::Activity => "activity",
            Self::Events => "events",
            Self::Loans => "loans",
            Self::Pairs => "pairs",
            Self::Plain => "plain",
        }
    }

    /// A database of this family.
    #[must_use]
    pub fn draw(self, dice: &mut Dice) -> World {
        let (tables, questions) = match self {
            Self::Rounds => rounds::draw(dice),
            Self::Activity => activity::draw(dice),
            Self::Events => events::draw(dice),
            Self::Loans => loans::draw(dice),
            Self::Pairs => pairs::draw(dice),
            Self::Plain => plain::draw(dice),
        };
        World { family: self, tables, questions }
    }

    /// Any family, in the prior's proportions.
    #[must_use]
    pub fn any(dice: &mut Dice) -> Self {
        Self::ALL[dice.weighted(&[0.2, 0.26, 0.16, 0.14, 0.06, 0.18])]
    }
}

/// A share of positives: most are small, some are near a half.
fn balance(dice: &mut Dice, least: f64, most: f64) -> f64 {
    dice.beta(1.0, 2.5).clamp(least, most)
}

/// What must be added to log-odds so that so large a share comes true.
fn offset(log_odds: impl Iterator<Item = f64>, share: f64) -> f64 {
    let all: Vec<f64> = log_odds.collect();
    let (mut low, mut high) = (-30.0, 30.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        let mean = all.iter().map(|of| logistic(of + middle)).sum::<f64>() / float(all.len().max(1));
        if mean < share { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_are_moved_to_the_share_that_was_drawn() {
        let mut dice = Dice::new(11, &[]);
        let log_odds: Vec<f64> = (0..2_000).map(|_| 2.0 * dice.normal()).collect();
        for share in [0.01, 0.1, 0.5] {
            let base = offset(log_odds.iter().copied(), share);
            let positives = log_odds.iter().filter(|of| dice.chance(logistic(**of + base))).count();
            assert!((float(positives) / 2_000.0 - share).abs() < 0.04, "{positives} of 2000 where {share} was drawn");
        }
    }
}
