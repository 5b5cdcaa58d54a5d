//! Two values that must meet in one row: how often each occurs says nothing, only whether they occur together.

use relational::{DataType, EventTime, Value};

use crate::columns::{Clutter, clutter};
use crate::dice::Dice;
use crate::draft::{Draft, category, code, key, moment};
use crate::question::Question;

/// Days from a case's first row to the case itself.
const DAYS: f64 = 10.0;

pub(super) fn draw(dice: &mut Dice) -> (Vec<Draft>, Vec<Question>) {
    let of = Clutter { copies: 0, noise: dice.below(5) };
    let (rows, wrong) = (dice.pick(&[2, 2, 2, 3, 3, 4, 6]), dice.pick(&[0.0, 0.05, 0.2]));
    let cases = dice.within(300, 800);
    let data_type = dice.pick(&[DataType::Int, DataType::Int, DataType::Text]);
    (tables(dice, (cases, rows), wrong, data_type, of), questions())
}

/// Cases with so many earlier rows each, and so large a share of wrong labels. The two values are numbers or categories.
pub(crate) fn tables(
    dice: &mut Dice,
    (cases, rows): (usize, usize),
    wrong: f64,
    data_type: DataType,
    of: Clutter,
) -> Vec<Draft> {
    let mut holders = Draft::new("holders").with("area", DataType::Text);
    let mut marks =
        Draft::new("marks").link("holder", "holders").timed().with("left", data_type).with("right", data_type);
    let mut all = Draft::new("cases").link("holder", "holders").timed().late("met", DataType::Bool, EventTime::DAY);
    let share = dice.between(0.15, 0.5);
    for place in 0..cases {
        holders.push([category(dice.below(3))], &[]);
        let begin = 5.0 * crate::dice::float(place);
        let met = dice.chance(share);
        for (row, (left, right)) in pairs(dice, rows, met).into_iter().enumerate() {
            let at = moment(begin + DAYS * crate::dice::float(row) / crate::dice::float(rows));
            let side = |here: bool| code(data_type, usize::from(!here));
            marks.push([key(place), at, side(left), side(right)], &[]);
        }
        all.push([key(place), moment(begin + DAYS), Value::Bool(met != dice.chance(wrong))], &[]);
    }
    clutter(dice, &mut marks, of);
    clutter(dice, &mut holders, of);
    vec![holders, marks, all]
}

pub(crate) fn questions() -> Vec<Question> {
    vec![Question::new("cases.id", "cases.met", 1.0)]
}

/// Rows with as many values on each side whether they meet or not.
fn pairs(dice: &mut Dice, rows: usize, met: bool) -> Vec<(bool, bool)> {
    let left = dice.within(1, rows - 1);
    let right = dice.within(1, rows - left);
    let order = dice.shuffled(rows);
    let mut pairs = vec![(false, false); rows];
    order[..left].iter().for_each(|place| pairs[*place].0 = true);
    // Where they meet, at least one of the right side's rows is one of the left side's.
    let overlap = if met { dice.within(1, left.min(right)) } else { 0 };
    order[left - overlap..left - overlap + right].iter().for_each(|place| pairs[*place].1 = true);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_as_frequent_whether_they_meet_or_not() {
        let counts = |met: bool| {
            let mut dice = Dice::new(5, &[]);
            let mut sums = (0, 0);
            for _ in 0..4_000 {
                let pairs = pairs(&mut dice, 4, met);
                assert_eq!(pairs.iter().any(|(left, right)| *left && *right), met);
                sums.0 += pairs.iter().filter(|(left, _)| *left).count();
                sums.1 += pairs.iter().filter(|(_, right)| *right).count();
            }
            sums
        };
        let (with, without) = (counts(true), counts(false));
        assert!(with.0.abs_diff(without.0) < 300 && with.1.abs_diff(without.1) < 300, "{with:?} {without:?}");
    }
}
