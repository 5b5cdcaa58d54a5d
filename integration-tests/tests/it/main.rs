//! Tests over everything at once, and of the house itself.

mod docs; // what the documentation shows is true: configs, commands
mod files; // where the repository's files are
mod licences; // what we build on may be built on
mod tidy; // rules of the house that no compiler keeps
