//! Scales on which features of counts and times are told.

/// Log of one more than a number of rows.
pub(crate) fn log_count(rows: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let rows = rows as f64;
    rows.ln_1p()
}

/// Short times differ more than long ones.
pub(crate) fn log_tenths(ago: Option<f64>) -> f64 {
    ago.map_or(f64::NAN, |ago| (10.0 * ago.max(0.0)).ln_1p())
}

/// Log of the time since the newest of so many rows over the mean time between rows; not a number for less than two.
pub(crate) fn log_over_gap(newest: f64, first: f64, rows: u64) -> f64 {
    if rows < 2 {
        return f64::NAN;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    let gap = (first - newest) / (rows - 1) as f64;
    (newest.max(0.0) / gap.max(1e-3)).ln_1p()
}

/// A mean; not a number of nothing.
pub(crate) fn quotient(of: u64, sum: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
    if of == 0 { f64::NAN } else { sum / of as f64 }
}
