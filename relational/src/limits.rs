//! Every bound of the system, in one place, with its unit and its reason.

/// Bytes of one encoded key: larger ones are refused, for keys are copied into every index.
pub const KEY_BYTES_MAX: usize = 4 * 1024;

/// Bytes of one source record: larger ones become dead letters. Kafka's own default limit is 1 MiB.
pub const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Columns of one table: the widest tables in the field have some hundreds.
pub const COLUMNS_MAX: usize = 2_000;

/// Bytes of one predictive query: longer text is not written by a person.
pub const QUERY_BYTES_MAX: usize = 64 * 1024;

/// Nesting of one predictive query's conditions: bounds the parser's stack.
pub const QUERY_DEPTH_MAX: usize = 64;

/// Timeframes of one forecast: each is fitted by itself whenever a context is drawn.
pub const FORECAST_STEPS_MAX: u32 = 60;

/// Rows that one query ranks at most, and how many it ranks unless it says.
pub const RANK_TOP_MAX: u32 = 100;

/// See [`RANK_TOP_MAX`].
pub const RANK_TOP_DEFAULT: u32 = 10;

/// Newest rows of the child table that popularity is counted in: what a context costs is bounded.
pub const RANKING_ROWS_MAX: usize = 50_000;

/// Newest rows of an entity in which a ranking looks for what it had before.
pub const RANKING_OWN_ROWS_MAX: usize = 512;

/// Candidates of one ranking that the entity had before, and as many that entities like it had.
pub const RANKING_OWN_MAX: usize = 50;

/// Candidates of one ranking that are popular. With those of [`RANKING_OWN_MAX`] a query has at most 150.
pub const RANKING_POPULAR_MAX: usize = 50;

/// Entities and anchors whose candidates are the examples of one ranking's context.
pub const RANKING_EXAMPLES_MAX: usize = 2_000;

/// Microseconds from the anchor to either end of a query's window: 1,000 years of 366 days, well inside the calendar's
/// range, so that no window is silently cut.
pub const WINDOW_MICROS_MAX: i64 = 1_000 * 366 * 86_400 * 1_000_000;

/// Changes in one micro-batch: one store commit, and the longest time that a score waits for its neighbours.
pub const BATCH_CHANGES_MAX: usize = 1_000;

/// Bytes of the source records of one micro-batch, which ends with the record that exceeds them: while it is committed its
/// rows are in memory several times.
pub const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of records that may wait for the sink's acknowledgement; with more, the intake waits too.
pub const UNACKNOWLEDGED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Transactions of the source that are remembered after their rows have gone, so that a row that comes twice holds up
/// nothing.
pub const TRANSACTIONS_REMEMBERED_MAX: usize = 10_000;

/// Child rows that are read one by one for a single feature: beyond, block summaries are used, or the newest rows
/// stand for all and the score says `truncated`.
pub const SCAN_ROWS_MAX: usize = 4_096;

/// Entities that one change may mark dirty at once, and rows that are followed to find them; more go to the sweep.
pub const DIRTY_PER_CHANGE_MAX: usize = 1_000;

/// Rows that a sweep follows after each change of a replay: what a hub costs is spread over the changes that follow.
pub const SWEEP_ROWS_PER_CHANGE: usize = 64;

/// Rows that a sweep follows in each round of a live run: their scores hold up an arriving change for some tens of
/// milliseconds at most.
pub const SWEEP_ROWS_PER_ROUND: usize = 256;

/// Past windows whose labels are read as features of one query.
pub const LAGS_MAX: usize = 40;

/// Examples in one fitted context: more labels than these teach little, and cost minutes.
pub const CONTEXT_EXAMPLES_MAX: usize = 60_000;

/// Numbers in the features of one fitted context, which is kept in memory twice while it is fitted: 48 MB at 4 bytes.
pub const CONTEXT_VALUES_MAX: usize = 12_000_000;

/// Rows of a neighbourhood that an explanation takes away one by one, the nearest: each costs about one score.
pub const EXPLAINED_ROWS_MAX: usize = 100;

/// Columns that an explanation takes away one by one.
pub const EXPLAINED_COLUMNS_MAX: usize = 200;
