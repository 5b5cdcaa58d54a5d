//! The compiler from outside: cases as text, the reference manual's examples, and properties of any input.

mod cases;
mod manual;
mod properties;
mod schema;
