//! Names of pages.
//!
//! | kind | key in its tree |
//! |---|---|
//! | heads | table (2), the encoded key from which on the page holds rows |
//! | root | index (2), parent |
//! | block | index (2), parent, number (8) |
//! | node | index (2), parent, level (1), number (8) |
//! | spill | index (2), parent, entry (8), number (8) |
//!
//! An index is a foreign key, or, counted on after the foreign keys, the timeline of a table; a timeline's parent is
//! empty. In memory a page's name begins with a byte for its kind.

use std::sync::Arc;

/// A page's name: the byte of its kind and the key in the kind's tree.
pub(crate) type PageId = Arc<[u8]>;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Heads,
    Root,
    Block,
    Node,
    Spill,
}

impl Kind {
    /// The first byte of the name of every page of this kind.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::Heads => 0,
            Self::Root => 1,
            Self::Block => 2,
            Self::Node => 3,
            Self::Spill => 4,
        }
    }

    /// The kind of the page with this name.
    pub(crate) fn of(id: &[u8]) -> Self {
        match id.first() {
            Some(0) => Self::Heads,
            Some(1) => Self::Root,
            Some(2) => Self::Block,
            Some(3) => Self::Node,
            Some(4) => Self::Spill,
            other => unreachable!("page names begin with a kind, not {other:?}"),
        }
    }
}

/// The name of the heads page that begins at this key of a table.
pub(crate) fn heads_id(table: u16, key: &[u8]) -> Vec<u8> {
    let mut id = Vec::with_capacity(3 + key.len());
    id.push(Kind::Heads.byte());
    id.extend(table.to_be_bytes());
    id.extend(key);
    id
}

/// The children of one parent by one foreign key, or the timeline of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History {
    pub index: u16,
    /// The parent's encoded key; empty for a timeline.
    pub parent: Arc<[u8]>,
}

impl History {
    pub(crate) fn root(&self) -> Vec<u8> {
        self.id(Kind::Root, 0)
    }

    pub(crate) fn block(&self, number: u64) -> Vec<u8> {
        let mut id = self.id(Kind::Block, 8);
        id.extend(number.to_be_bytes());
        id
    }

    /// A subtree of height `level`, at least 1: its children are blocks at level 1.
    pub(crate) fn node(&self, level: u8, number: u64) -> Vec<u8> {
        let mut id = self.id(Kind::Node, 9);
        id.push(level);
        id.extend(number.to_be_bytes());
        id
    }

    pub(crate) fn spill(&self, entry: u64, number: u64) -> Vec<u8> {
        let mut id = self.id(Kind::Spill, 16);
        id.extend(entry.to_be_bytes());
        id.extend(number.to_be_bytes());
        id
    }

    /// The history and number of the block with this name.
    pub(crate) fn of_block(id: &[u8]) -> (Self, u64) {
        let (rest, number) = id.split_last_chunk::<8>().expect("a block's name ends with its number");
        (Self::of(rest), u64::from_be_bytes(*number))
    }

    /// The history, level and number of the node with this name.
    pub(crate) fn of_node(id: &[u8]) -> (Self, u8, u64) {
        let (rest, number) = id.split_last_chunk::<8>().expect("a node's name ends with its number");
        let (level, rest) = rest.split_last().expect("a node's name has its level");
        (Self::of(rest), *level, u64::from_be_bytes(*number))
    }

    fn of(rest: &[u8]) -> Self {
        let (index, parent) = rest[1..].split_first_chunk::<2>().expect("after its kind a name has its index");
        Self { index: u16::from_be_bytes(*index), parent: Arc::from(parent) }
    }

    fn id(&self, kind: Kind, suffix: usize) -> Vec<u8> {
        let mut id = Vec::with_capacity(3 + self.parent.len() + suffix);
        id.push(kind.byte());
        id.extend(self.index.to_be_bytes());
        id.extend(&*self.parent);
        id
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn history() -> impl Strategy<Value = History> {
        (0u16..3, prop::collection::vec(0u8..2, 0..4))
            .prop_map(|(index, parent)| History { index, parent: parent.into() })
    }

    proptest! {
        #[test]
        fn names_are_unique(a in history(), b in history(), n in 0u64..3, m in 0u64..3, level in 1u8..3) {
            prop_assert_eq!(a.root() == b.root(), a == b);
            prop_assert_eq!(a.block(n) == b.block(m), a == b && n == m);
            prop_assert_eq!(a.node(level, n) == b.node(1, m), a == b && n == m && level == 1);
            prop_assert_eq!(a.spill(n, m) == b.spill(m, n), a == b && n == m);
        }

        #[test]
        fn blocks_of_a_history_are_in_order(history in history(), n in any::<u64>(), m in any::<u64>()) {
            prop_assert_eq!(history.block(n).cmp(&history.block(m)), n.cmp(&m));
        }

        #[test]
        fn names_tell_their_history(history in history(), n in any::<u64>(), level in any::<u8>()) {
            prop_assert_eq!(History::of_block(&history.block(n)), (history.clone(), n));
            prop_assert_eq!(History::of_node(&history.node(level, n)), (history, level, n));
        }

        #[test]
        fn names_tell_their_kind(history in history(), n in any::<u64>()) {
            prop_assert_eq!(Kind::of(&history.root()), Kind::Root);
            prop_assert_eq!(Kind::of(&history.block(n)), Kind::Block);
            prop_assert_eq!(Kind::of(&history.node(1, n)), Kind::Node);
            prop_assert_eq!(Kind::of(&history.spill(n, n)), Kind::Spill);
            prop_assert_eq!(Kind::of(&heads_id(n.to_be_bytes()[7].into(), &history.parent)), Kind::Heads);
        }
    }
}
