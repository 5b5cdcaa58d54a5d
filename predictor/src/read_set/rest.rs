//! What is left of a walk that was cut at a hub.

use relational::{AsOf, Key, RowKey, Sequence};

/// In which graph a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// As it was before the change.
    Before,
    /// As it was after the change.
    After,
}

/// The children of a row that a walk goes through. Two walks with equal hubs find the same entities but for what has
/// changed between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hub {
    /// The number of the way in its read set.
    pub path: u16,
    /// The graph it goes through.
    pub side: Side,
    /// The row whose children are followed.
    pub key: Key,
    /// The changed row, where what is found depends on it: row-level tasks.
    pub row: Option<RowKey>,
}

/// Where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rest {
    /// The children that the walk was going through.
    pub hub: Hub,
    /// The changed row.
    pub row: RowKey,
    /// The sequence of the change.
    pub sequence: Sequence,
    /// The next child to follow of the hub, and on from there: places in histories, which never change. Places go
    /// down, for the newest arrivals come first.
    pub places: Vec<u64>,
}

impl Side {
    /// The graph before or after the change with this sequence.
    #[must_use]
    pub fn bounds(self, sequence: Sequence, bounds: AsOf) -> AsOf {
        let sequence = match self {
            Self::Before => Sequence(sequence.0 - 1),
            Self::After => sequence,
        };
        AsOf { sequence, ..bounds }
    }
}
