//! The program as a user runs it.

mod backtest; // `foreshore backtest`
mod bits; // a score's bits in any batch, on any number of threads, from a context that was kept
mod controls; // what scores must be where the truth is known by construction
mod fine_tune; // `foreshore fine-tune`, and scores with the weights that it writes
mod folder; // a folder that the program runs in, and the numbers that its tables are made of
mod lists; // rankings and forecasts, whose scores are lists
mod process; // files in, files out, and killed at any moment
mod stress; // `foreshore backtest --stress`
