//! Plain tables (CSV and Parquet) as one ordered stream of changes: a dead table replays as a live database would have
//! produced it. `docs/tables.md` says the same for authors of config files.
//!
//! # Files
//!
//! `.csv` and `.tsv`, plain or with `.gz` or `.zst` behind, with a header line; the delimiter is the one of comma,
//! semicolon, tab and bar that is most frequent in the header, unless given. `.parquet` and `.pq`, read by batches;
//! columns of structs and maps, and pandas' `__index_level_*`, are not read. A table may have several files with the
//! same columns. A table without files is only implied: its schema has the key columns, other tables point at it, and
//! it delivers no rows.
//!
//! # Types of CSV columns ([`infer`])
//!
//! An empty field and `\N` are null, and so are the table's and column's `null_values`; in number columns `NaN` too. The
//! first type that all other values of the column have:
//!
//! 1. bool: `true` or `false`, in any case;
//! 2. int: digits with an optional minus, no leading zero, at most 64 bits;
//! 3. float: decimal or scientific notation; digits beyond 64 bits and leading zeros (`007`) are no numbers;
//! 4. date: `2010-12-01`;
//! 5. time: `2010-12-01 08:26:00[.ffffff]`, RFC 3339, or a date;
//! 6. text.
//!
//! Then, for CSV and Parquet: numbers that are all days written `yyyymmdd` (years 1900 to 2099) become dates, unless the
//! column is a key or is named like one. Text columns of Parquet files become dates and times by rules 4 and 5. The
//! columns of a foreign key and of the key that it points at get one type: that of the parent's key where all values
//! fit, else text; and whole floats (`12346.0`) in them are ints.
//!
//! # Meaning of columns
//!
//! * Keys and foreign keys are ids; bools are categories; times and dates are times; floats and decimals are numbers.
//! * Text is a category when each value stands at least twice on average (and there are at most 100,000), else text.
//! * A column is named like an id when its name is `id` or `code`, ends with `_id`, `Id`, `ID`, `_code`, `Code` or
//!   `CODE`, or begins with `id_`. Text and ints named so are categories when each value stands at least twice on
//!   average (for ints: and there are at most 1,000), else ids.
//! * Other ints are numbers.
//! * A column without any value is ignored.
//!
//! Type and meaning of each column can be set ([`ColumnOverride`]).
//!
//! # Order
//!
//! Rows of tables without a time column come first, table by table, in the order of the file. Then all others by their
//! time. At equal times late values come before rows, and tables follow each other parents first, else as given;
//! within a table the order of the file holds. A record that does not fit comes, as a dead letter, before the table's
//! next row; in a table whose files are not in time order, before all its rows.
//!
//! A column with `arrives_after` is null when its row comes, and its value follows that much later as an update of this
//! one column.
//!
//! # Where reading goes on
//!
//! The order over time is not that of the files, so positions count what was delivered: topic `payments` counts the
//! records of table `payments` in delivered order (refused ones too), topic `payments#is_fraud` the updates of its late
//! column. Files may grow at their end by rows that are later than all before; they must not change otherwise.

mod answers;
mod arrays;
mod chunk;
mod column;
mod csv_file;
mod infer;
mod keys;
mod lane;
mod merge;
mod names;
mod open;
mod parquet_file;
mod profile;
mod questions;
mod rows;
mod survey;
mod table_reader;

use std::collections::BTreeMap;
use std::path::PathBuf;

use relational::{DataType, SemanticType};

use crate::coerce::EpochUnit;

pub use answers::{AnswerColumn, write_answers};
pub use infer::infer;
pub(crate) use infer::{meaning, named_like_an_id};
pub use merge::TableFiles;
pub(crate) use open::open_bytes;
pub(crate) use profile::Profile;
pub use questions::{Question, Questions};

/// One table and the files that it stands in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableFile {
    /// The table's name.
    pub table: String,
    /// One or several files with the same columns, read one after the other; none for a table that is only implied.
    pub paths: Vec<PathBuf>,
    /// The primary key's columns; none for a table that is only appended to, whose rows are named by their number.
    pub key: Vec<String>,
    /// The column that says when a row happened; `None` for a table that is visible from the beginning.
    pub time: Option<String>,
    /// Columns, and the parent table whose primary key they hold.
    pub foreign_keys: Vec<(Vec<String>, String)>,
    /// What is said of single columns.
    pub columns: BTreeMap<String, ColumnOverride>,
    /// Reads only these columns, and those of keys and time.
    pub only: Option<Vec<String>>,
    /// The CSV delimiter, where it is not to be detected.
    pub delimiter: Option<u8>,
    /// CSV fields and texts that mean null in every column.
    pub null_values: Vec<String>,
}

/// What is said of a column instead of what its values say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnOverride {
    /// How it is stored. Values that do not fit make their record a dead letter.
    pub data_type: Option<DataType>,
    /// How it is meant.
    pub semantic: Option<SemanticType>,
    /// How long after the row's own time the value becomes known, in microseconds.
    pub arrives_after: Option<i64>,
    /// The column is not read at all.
    pub hidden: bool,
    /// What whole numbers count since 1970, for a column of type time; by magnitude when not said.
    pub unit: Option<EpochUnit>,
    /// CSV fields and texts that mean null in this column.
    pub null_values: Vec<String>,
}
