//! Text and numbers as values.
