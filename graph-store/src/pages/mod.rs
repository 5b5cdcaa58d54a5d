//! Pages: the units in which the indexes are kept in memory and on disk.
//!
//! Every page stores the sequence of the last change that it holds, so that a change is redone after a crash only on
//! the pages that miss it.

mod codec;
pub(crate) mod entry;
pub(crate) mod summary;
pub(crate) mod version;

use std::sync::{Arc, OnceLock};

pub(crate) use codec::{pack, unpack};
use entry::Entry;
use summary::Digest;
use version::Version;

/// Entries of a block and children of a node. Entry `i` of a history is always in block `i / 64`, so that neither
/// batches nor restarts can change how sums are associated.
pub(crate) const FANOUT: usize = if cfg!(test) { 4 } else { 64 };

/// A page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The sequence of the last change that it holds.
    pub sequence: u64,
    /// About how much memory it takes.
    pub weight: usize,
    pub body: Body,
}

/// What a page holds, by kind.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Heads(Heads),
    Root(Root),
    Block(Block),
    Node(Node),
    Spill(Vec<Arc<Version>>),
}

/// Some keys of a table, in order, each with the place of its row in the table's timeline.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Heads {
    pub rows: Vec<(Arc<[u8]>, u64)>,
}

/// The beginning of a history: how many entries it has, and the last ones, which do not fill a block yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Root {
    pub count: u64,
    pub tail: Vec<Entry>,
}

/// [`FANOUT`] entries of a history, in the order in which they arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub entries: Vec<Entry>,
    /// Summed up when first asked for.
    pub digest: OnceLock<Arc<Digest>>,
}

/// Up to [`FANOUT`] complete children of a subtree. A child that has changed since it was last written is not summed
/// up here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    pub children: Vec<Option<Arc<Digest>>>,
}

impl Heads {
    /// The place of a key's row.
    pub(crate) fn find(&self, key: &[u8]) -> Option<u64> {
        let index = self.rows.binary_search_by(|(other, _)| (**other).cmp(key)).ok()?;
        Some(self.rows[index].1)
    }
}

impl Page {
    /// A page of this kind that nothing has been put on.
    pub(crate) fn empty(kind: crate::keys::Kind) -> Self {
        use crate::keys::Kind;
        let body = match kind {
            Kind::Heads => Body::Heads(Heads::default()),
            Kind::Root => Body::Root(Root::default()),
            Kind::Block => Body::Block(Block::default()),
            Kind::Node => Body::Node(Node::default()),
            Kind::Spill => Body::Spill(Vec::new()),
        };
        Self { sequence: 0, weight: 160, body }
    }

    /// Weighs the page anew.
    pub(crate) fn weigh(&mut self) {
        let entries = |entries: &[Entry]| {
            entries.iter().map(|entry| entry.weight() + entry.versions.iter().map(|v| v.weight()).sum::<usize>()).sum()
        };
        let content: usize = match &self.body {
            Body::Heads(heads) => heads.rows.iter().map(|(key, _)| 64 + key.len()).sum(),
            Body::Root(root) => entries(&root.tail),
            Body::Block(block) => entries(&block.entries),
            Body::Node(node) => node.children.iter().flatten().map(|digest| digest.weight()).sum::<usize>() + 512,
            Body::Spill(versions) => versions.iter().map(|version| version.weight()).sum(),
        };
        self.weight = 160 + content;
    }

    // The pool hands pages out by their kind, so another body under a page's key is a broken invariant.

    pub(crate) fn heads(&self) -> &Heads {
        let Body::Heads(heads) = &self.body else { unreachable!("the key says that this page holds heads") };
        heads
    }

    pub(crate) fn root(&self) -> &Root {
        let Body::Root(root) = &self.body else { unreachable!("the key says that this page is a root") };
        root
    }

    pub(crate) fn root_mut(&mut self) -> &mut Root {
        let Body::Root(root) = &mut self.body else { unreachable!("the key says that this page is a root") };
        root
    }

    pub(crate) fn heads_mut(&mut self) -> &mut Heads {
        let Body::Heads(heads) = &mut self.body else { unreachable!("the key says that this page holds heads") };
        heads
    }

    pub(crate) fn block_mut(&mut self) -> &mut Block {
        let Body::Block(block) = &mut self.body else { unreachable!("the key says that this page is a block") };
        block
    }

    pub(crate) fn node_mut(&mut self) -> &mut Node {
        let Body::Node(node) = &mut self.body else { unreachable!("the key says that this page is a node") };
        node
    }

    pub(crate) fn block(&self) -> &Block {
        let Body::Block(block) = &self.body else { unreachable!("the key says that this page is a block") };
        block
    }

    pub(crate) fn node(&self) -> &Node {
        let Body::Node(node) = &self.body else { unreachable!("the key says that this page is a node") };
        node
    }

    pub(crate) fn spill(&self) -> &[Arc<Version>] {
        let Body::Spill(versions) = &self.body else { unreachable!("the key says that this page holds versions") };
        versions
    }
}
