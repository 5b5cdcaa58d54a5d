//! Synthetic relational databases, and the program that pretrains the predictor's small model on them.
