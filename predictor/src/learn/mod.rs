//! The numeric members of the predictor's family, as pure functions of matrices.

mod matrix;

pub use matrix::Matrix;
