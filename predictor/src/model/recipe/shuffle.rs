//! How estimators differ: each sees the columns in another order and the classes by other numbers.

use super::super::dice::Dice;

/// An order of `width` columns for each estimator. Over `width` estimators each column stands once in each place.
pub(super) fn columns(width: usize, estimators: usize, dice: &mut dyn Dice) -> Vec<Vec<usize>> {
    if width == 0 {
        return vec![Vec::new(); estimators];
    }
    let (base, rows) = (dice.permutation(width), dice.permutation(width));
    let place = |estimator: usize, row: &usize| base[(estimator % width + width - row) % width];
    (0..estimators)
        .map(|estimator| match width {
            1 => vec![0],
            _ => rows.iter().map(|row| place(estimator, row)).collect(),
        })
        .collect()
}

/// How far each estimator shifts the numbers of `count` classes: every shift once before any comes again.
pub(super) fn classes(count: usize, estimators: usize, dice: &mut dyn Dice) -> Vec<usize> {
    if count <= 1 {
        return vec![0; estimators];
    }
    let rounds = estimators.div_ceil(count);
    let mut shifts: Vec<usize> = (0..rounds).flat_map(|_| dice.permutation(count)).collect();
    shifts.truncate(estimators);
    shifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Seeded;

    #[test]
    fn columns_stand_in_every_place_once() {
        let orders = columns(5, 5, &mut Seeded::new(3));
        for place in 0..5 {
            let mut seen: Vec<usize> = orders.iter().map(|order| order[place]).collect();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4], "place {place}");
        }
    }

    #[test]
    fn no_shift_comes_twice_before_all_came_once() {
        let mut shifts = classes(4, 6, &mut Seeded::new(4));
        shifts[..4].sort_unstable();
        assert_eq!(shifts[..4], [0, 1, 2, 3]);
        assert_eq!(shifts.len(), 6);
    }
}
