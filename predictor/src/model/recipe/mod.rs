//! The default recipe: what the network is given for each of several estimators, and how their answers become one.
//!
//! Columns of a table become numbers in this order: categories as codes in the order of the values that the context
//! shows (missing and new ones are −1), calendar fields of times, numbers. Constant columns are dropped. Everything is
//! fitted on the context and applied to queries.

mod calendar;
mod columns;
mod moments;
mod power;
mod relative;
mod shuffle;
mod target;

use std::collections::BTreeMap;

use relational::Value;

use columns::{Scale, Shape};
use power::Power;
pub(super) use relative::RelativeTime;
pub(super) use target::Target;

use super::dice::Dice;
use super::sample::TableRows;

/// The fitted columns of one table.
#[derive(Debug, Clone)]
pub(super) struct TableRecipe {
    codes: Vec<BTreeMap<Value, f32>>,
    has_calendar: bool,
    /// Of all columns those that vary, with what all estimators share.
    kept: Vec<(usize, Scale)>,
    /// Per kind of estimator (plain, with power) one shape per kept column.
    shapes: Vec<Vec<Shape>>,
    /// Per estimator the order of the kept columns.
    orders: Vec<Vec<usize>>,
}

impl TableRecipe {
    /// Fits the rows of a context's table. Only tables of the database have calendar fields.
    pub(super) fn fit(rows: &TableRows, has_calendar: bool, estimators: usize, dice: &mut dyn Dice) -> Self {
        Self::fit_with(rows, has_calendar, estimators, dice, &|_, column| power::likeliest(column))
    }

    /// The same, with the exponent of each kept column, counted through, from elsewhere.
    pub(super) fn fit_with(
        rows: &TableRows,
        has_calendar: bool,
        estimators: usize,
        dice: &mut dyn Dice,
        exponent: &dyn Fn(usize, &[f32]) -> f64,
    ) -> Self {
        let codes = rows.categories.iter().map(|column| codes(column)).collect();
        let mut recipe = Self { codes, has_calendar, kept: Vec::new(), shapes: Vec::new(), orders: Vec::new() };
        let mut scaled = Vec::new();
        for (index, column) in recipe.numbers(rows).iter().enumerate() {
            let (filled, missing) = columns::impute(column);
            if columns::varies(&filled) {
                let scale = Scale::fit(&filled, missing);
                scaled.push(filled.iter().map(|value| scale.apply(*value)).collect::<Vec<f32>>());
                recipe.kept.push((index, scale));
            }
        }
        recipe.shapes = vec![scaled.iter().map(|column| Shape::fit(column, None)).collect()];
        if estimators > 1 {
            let shape = |(place, column): (usize, &Vec<f32>)| {
                Shape::fit(column, Some(Power::fit(column, |column| exponent(place, column))))
            };
            recipe.shapes.push(scaled.iter().enumerate().map(shape).collect());
        }
        recipe.orders = shuffle::columns(recipe.kept.len(), estimators, dice);
        recipe
    }

    /// What an estimator sees of the rows, `columns()` numbers per row.
    pub(super) fn apply(&self, rows: &TableRows, estimator: usize) -> Vec<f32> {
        let shapes = &self.shapes[estimator % 2];
        let numbers = self.numbers(rows);
        let column = |place: &usize| {
            let (index, scale) = &self.kept[*place];
            numbers[*index].iter().map(|value| shapes[*place].apply(scale.apply(*value))).collect::<Vec<f32>>()
        };
        let made: Vec<Vec<f32>> = self.orders[estimator].iter().map(column).collect();
        (0..rows.count).flat_map(|row| made.iter().map(move |column| column[row])).collect()
    }

    /// How many columns are left.
    pub(super) fn columns(&self) -> usize {
        self.kept.len()
    }

    /// All columns as numbers: categories, calendar, numbers.
    fn numbers(&self, rows: &TableRows) -> Vec<Vec<f32>> {
        let pairs = rows.categories.iter().zip(&self.codes);
        let mut columns: Vec<Vec<f32>> = pairs
            .map(|(column, codes)| column.iter().map(|value| codes.get(value).copied().unwrap_or(-1.0)).collect())
            .collect();
        if self.has_calendar {
            for times in &rows.times {
                let fields: Vec<[f32; 5]> =
                    times.iter().map(|time| time.map_or([f32::NAN; 5], calendar::fields)).collect();
                columns.extend((0..5).map(|field| fields.iter().map(|fields| fields[field]).collect()));
            }
        }
        columns.extend(rows.numbers.iter().cloned());
        columns
    }
}

/// The number of each value, in the values' order.
fn codes(column: &[Value]) -> BTreeMap<Value, f32> {
    let mut codes: BTreeMap<Value, f32> =
        column.iter().filter(|value| **value != Value::Null).map(|value| (value.clone(), 0.0)).collect();
    let mut next = 0.0;
    for code in codes.values_mut() {
        *code = next;
        next += 1.0;
    }
    codes
}
