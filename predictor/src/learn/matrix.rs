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
}
