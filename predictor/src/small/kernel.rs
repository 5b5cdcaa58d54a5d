//! Products of matrices in plain arithmetic, on one thread. An element is summed up in one order whatever the shapes
//! and the width of the processor's registers, so that its bits depend on its own row and column alone.

use pulp::Arch;

/// A matrix in a slice: the element at (row, column) lies at `row * row_stride + column * column_stride`.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) values: &'a [f32],
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

/// A product in the making.
struct Product<'a> {
    left: View<'a>,
    right: &'a [f32],
    right_stride: usize,
    depth: usize,
    onto: &'a mut [f32],
    onto_stride: usize,
}

/// Writes the product of a matrix of `rows` × `depth` and one of `depth` × `columns` onto a slice whose rows begin
/// `onto_stride` apart. The right matrix is stored by rows, which begin `right_stride` apart.
pub(super) fn multiply(
    (left, right, right_stride): (View<'_>, &[f32], usize),
    (rows, depth, columns): (usize, usize, usize),
    (onto, onto_stride): (&mut [f32], usize),
) {
    let mut product = Product { left, right, right_stride, depth, onto, onto_stride };
    Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut row = 0;
            while row + 4 <= rows {
                product.rows::<4>(row, columns);
                row += 4;
            }
            while row < rows {
                product.rows::<1>(row, columns);
                row += 1;
            }
        },
    );
}

impl Product<'_> {
    #[inline(always)]
    fn rows<const HIGH: usize>(&mut self, row: usize, columns: usize) {
        let mut column = 0;
        while column + 16 <= columns {
            self.block::<HIGH, 16>(row, column);
            column += 16;
        }
        if column + 8 <= columns {
            self.block::<HIGH, 8>(row, column);
            column += 8;
        }
        while column < columns {
            self.block::<HIGH, 1>(row, column);
            column += 1;
        }
    }

    /// The elements of a block, summed up in registers.
    #[inline(always)]
    fn block<const HIGH: usize, const WIDE: usize>(&mut self, row: usize, column: usize) {
        let mut sums = [[0.0f32; WIDE]; HIGH];
        for depth in 0..self.depth {
            let start = depth * self.right_stride + column;
            let right: &[f32; WIDE] =
                self.right[start..].first_chunk().expect("the right matrix is as wide as it says");
            for (place, sums) in sums.iter_mut().enumerate() {
                let View { values, row_stride, column_stride } = self.left;
                let left = values[(row + place) * row_stride + depth * column_stride];
                for (sum, right) in sums.iter_mut().zip(right) {
                    *sum += left * right;
                }
            }
        }
        for (place, sums) in sums.iter().enumerate() {
            let start = (row + place) * self.onto_stride + column;
            self.onto[start..start + WIDE].copy_from_slice(sums);
        }
    }
}

/// Rows of `width` numbers times a matrix of `width` × `outputs`, both stored by rows.
pub(super) fn product(rows: &[f32], matrix: &[f32], width: usize) -> Vec<f32> {
    let (many, outputs) = (rows.len() / width, matrix.len() / width);
    let mut onto = vec![0.0; many * outputs];
    let left = View { values: rows, row_stride: width, column_stride: 1 };
    multiply((left, matrix, outputs), (many, width, outputs), (&mut onto, outputs));
    onto
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::normal;
    use super::*;

    proptest! {
        #[test]
        fn an_element_is_its_row_times_its_column(rows in 1..11usize, depth in 1..9usize, columns in 1..40usize) {
            let (left, right) = (normal(rows * depth, 1), normal(depth * columns, 2));
            let found = product(&left, &right, depth);
            for row in 0..rows {
                for column in 0..columns {
                    let sum = (0..depth).fold(0.0f32, |sum, place| {
                        sum + left[row * depth + place] * right[place * columns + column]
                    });
                    prop_assert_eq!(found[row * columns + column].to_bits(), sum.to_bits());
                }
            }
        }
    }

    #[test]
    fn strides_are_followed() {
        let (left, right) = (normal(6 * 5, 1), normal(5 * 8, 2));
        let turned: Vec<f32> = (0..5)
            .flat_map(|depth| (0..6).map(move |row| (row, depth)))
            .map(|(row, depth)| left[row * 5 + depth])
            .collect();
        let mut found = vec![7.0; 6 * 10];
        let view = View { values: &turned, row_stride: 1, column_stride: 6 };
        multiply((view, &right[3..], 8), (6, 5, 4), (&mut found, 10));
        let wanted = product(&left, &right, 5);
        for row in 0..6 {
            assert_eq!(found[row * 10..row * 10 + 4], wanted[row * 8 + 3..row * 8 + 7]);
            assert!(found[row * 10 + 4..row * 10 + 10].iter().all(|value| value.to_bits() == 7.0f32.to_bits()));
        }
    }
}
