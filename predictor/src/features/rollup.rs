//! Grandchildren rolled up onto a child row.

use graph_store::Version;
use relational::{ColumnId, EventTime, RowKey, Value, Window};

use crate::Error;

use super::FeatureOptions;
use super::plan::Rollup;
use super::scale::log_count;
use super::stream::{View, signed_log};

/// Appends the values of a roll-up onto one row (in the order that [`Rollup`] says) and tells whether it was cut: of
/// more grandchildren than `rolled_children`, count, sums and means are still exact, but the product and the different
/// values are those of the newest.
pub(crate) fn values(
    rollup: &Rollup,
    row: &RowKey,
    view: &View<'_>,
    options: &FeatureOptions,
    into: &mut Vec<f64>,
) -> Result<bool, Error> {
    let children = view.snapshot.children(rollup.foreign_key, &row.key)?;
    // The time of a roll-up is the later of the two: the row is visible already, its children must be too.
    let end = if view.strict { view.clock.now.plus(-1) } else { view.clock.now };
    let window = Window { start: EventTime::MIN, end };
    let rows = children.newest(window, options.rolled_children)?;
    let cut = rows.len() == options.rolled_children;
    if cut {
        let summary = children.summary(window)?;
        into.push(log_count(summary.rows));
        for column in &rollup.columns {
            let of = summary.columns[usize::from(column.0)];
            push_sum_and_mean(of.count, of.sum, into);
        }
    } else {
        into.push(log_count(rows.len() as u64));
        for column in &rollup.columns {
            let numbers = rows.iter().rev().filter_map(|version| version.row.value(*column).as_f64());
            let (count, sum) = numbers.fold((0, 0.0), |total, number| (total.0 + 1, total.1 + number));
            push_sum_and_mean(count, sum, into);
        }
    }
    if let Some((a, b)) = rollup.product {
        let product = |version: &Version| Some(version.row.value(a).as_f64()? * version.row.value(b).as_f64()?);
        into.push(signed_log(rows.iter().rev().filter_map(product).fold(0.0, |sum, number| sum + number)));
    }
    for columns in &rollup.distinct {
        into.push(log_count(different(&rows, columns)));
    }
    Ok(cut)
}

fn push_sum_and_mean(count: u64, sum: f64, into: &mut Vec<f64>) {
    into.push(signed_log(sum));
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    into.push(if count == 0 { f64::NAN } else { signed_log(sum / count as f64) });
}

fn different(rows: &[Version], columns: &[ColumnId]) -> u64 {
    let mut seen: Vec<Vec<&Value>> = Vec::with_capacity(rows.len());
    for version in rows {
        let values: Vec<&Value> = columns.iter().map(|column| version.row.value(*column)).collect();
        if !values.iter().any(|value| value.is_null()) {
            seen.push(values);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    seen.len() as u64
}
