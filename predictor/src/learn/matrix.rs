//! Rows of features.

/// A table of numbers, one row per example, stored row by row. NaN says that a value is missing; so does an infinity.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    columns: usize,
    rows: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// A matrix of this many columns and no rows.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        Self { columns, rows: 0, values: Vec::new() }
    }

    /// Adds a row at the end.
    ///
    /// # Panics
    ///
    /// When the row has another number of values than the matrix has columns.
    pub fn push_row(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.columns, "a row has one value per column");
        self.values.extend_from_slice(row);
        self.rows += 1;
    }

    /// The values of a row.
    ///
    /// # Panics
    ///
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns there are.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The mean of each column's values; not a number where all are missing.
    #[must_use]
    pub fn means(&self) -> Vec<f32> {
        let mut sums = vec![(0.0, 0.0); self.columns];
        for row in 0..self.rows {
            for ((sum, count), value) in sums.iter_mut().zip(self.row(row)).filter(|(_, value)| value.is_finite()) {
                *sum += f64::from(*value);
                *count += 1.0;
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
        let mean = |(sum, count): (f64, f64)| (sum / count) as f32;
        sums.into_iter().map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_without_columns() {
        let mut matrix = Matrix::new(0);
        matrix.push_row(&[]);
        matrix.push_row(&[]);
        assert_eq!((matrix.rows(), matrix.columns(), matrix.row(1).len()), (2, 0, 0));
    }

    #[test]
    fn means_are_of_what_is_there() {
        let mut matrix = Matrix::new(3);
        for row in [[1.0, f32::NAN, f32::NAN], [2.0, 5.0, f32::INFINITY]] {
            matrix.push_row(&row);
        }
        assert!(matches!(matrix.means()[..], [1.5, 5.0, missing] if missing.is_nan()));
    }
}
