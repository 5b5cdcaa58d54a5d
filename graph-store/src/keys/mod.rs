//! What is stored under which key. One file per kind of key; numbers in keys are big-endian, so that bytes order as
//! numbers do.
//!
//! | tree | key | value | written |
//! |---|---|---|---|
//! | `meta` | [`meta`] | format, schema, state | with every commit |
//! | `positions` | [`position`] | the next offset to read | with every commit that moves it |
//! | `log` | [`log`] | some changes, resolved | with every commit; removed when every page holds them |
//! | `large` | [`large`] | a part of a value that is too large for a page | before the commit of the first row that holds it |
//! | `heads`, `roots`, `blocks`, `nodes`, `spills` | [`page`] | a page ([`crate::pages`]) | after the commit |
//! | `dirty`, `outbox`, `context`, `published` | the engine's | the engine's | with the commit |
//!
//! Everything written with a commit is written in one transaction. Pages are written one by one, and only when the log
//! on disk already holds all their changes; until a page is written, the log is kept from its first unwritten change.

pub(crate) mod large;
pub(crate) mod log;
pub(crate) mod meta;
pub(crate) mod page;
pub(crate) mod position;

pub(crate) use page::{History, Kind, PageId};
