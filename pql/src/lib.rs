//! Predictive queries: text becomes a [`Task`] that fits a [`Schema`], or an error that points at the place.
//!
//! ```text
//! PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.id WHERE COUNT(orders.*, -90, 0, days) > 0
//! ```
//!
//! The way of a query: the lexer makes words of the text, the parser a syntax tree that remembers where everything
//! stood, and the resolver looks up every name and checks every type. `docs/queries.md` is the language's reference.

mod error;
mod lexer;
mod parser;
mod print;
mod resolve;
mod support;
mod syntax;

use relational::{Schema, Task, limits};

pub use error::{QueryError, Span};
pub use parser::unit_name;
pub use print::{print, print_condition, print_target};
pub use support::unsupported;

/// Reads a query, resolves its names against the schema and checks its types.
///
/// # Errors
///
/// The first fault found, with its place in the text. Never panics, whatever the text.
pub fn compile(name: &str, text: &str, schema: &Schema) -> Result<Task, QueryError> {
    let resolved = if text.len() > limits::QUERY_BYTES_MAX {
        let message = format!("the query has {} bytes, more than the limit of {}", text.len(), limits::QUERY_BYTES_MAX);
        Err(error::Fault::new(Span { start: 0, end: 0 }, message))
    } else {
        lexer::lexemes(text).and_then(parser::parse).and_then(|query| resolve::task(name, text, &query, schema))
    };
    resolved.map_err(|fault| fault.in_query(text))
}
