//! Pages: the units in which the indexes are kept in memory and on disk.
//!
//! Every page stores the sequence of the last change that it holds, so that a change is redone after a crash only on
//! the pages that miss it.

mod codec;
pub(crate) mod entry;
pub(crate) mod heads;
pub(crate) mod slots;
pub(crate) mod summary;
pub(crate) mod version;

use std::sync::{Arc, OnceLock};

pub(crate) use codec::{Scratch, pack, unpack};
use entry::Entry;
use slots::Slots;
use summary::Digest;
use version::Extent;

use crate::keys::Kind;

/// Entries of a block and children of a node. Entry `i` of a history is always in block `i / 64`, so that neither
/// batches nor restarts can change how sums are associated.
pub(crate) const FANOUT: usize = if cfg!(test) { 4 } else { 64 };

/// A page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The sequence of the last change that it holds.
    pub sequence: u64,
    pub body: Body,
}

/// What a page holds, by kind.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// Some keys of a table: [`heads`].
    Heads(Slots),
    Root(Root),
    Block(Block),
    Node(Node),
    /// Old versions of one entry, as the versions of an entry without a key.
    Spill(Slots),
}

/// The beginning of a history: how many entries it has, and the last ones, which do not fill a block yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Root {
    pub count: u64,
    pub tail: Slots,
    /// Found when first asked for.
    extent: OnceLock<Option<Extent>>,
}

impl Root {
    pub(crate) fn new(count: u64, tail: Slots) -> Self {
        Self { count, tail, extent: OnceLock::new() }
    }

    /// Of the tail's versions; `None` when an entry is garbled.
    pub(crate) fn extent(&self) -> Option<&Extent> {
        let find = || {
            let mut extent = Extent::EMPTY;
            for slot in 0..self.tail.len() {
                extent.merge(&Entry::read(&self.tail, slot)?.extent());
            }
            Some(extent)
        };
        self.extent.get_or_init(find).as_ref()
    }
}

/// [`FANOUT`] entries of a history, in the order in which they arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub entries: Slots,
    /// Summed up when first asked for.
    pub digest: OnceLock<Arc<Digest>>,
}

/// Up to [`FANOUT`] complete children of a subtree. A child that has changed since it was last written is not summed
/// up here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Node {
    pub children: Vec<Option<Arc<Digest>>>,
}

impl Page {
    /// A page of this kind that nothing has been put on.
    pub(crate) fn empty(kind: Kind) -> Self {
        let body = match kind {
            Kind::Heads => Body::Heads(Slots::default()),
            Kind::Root => Body::Root(Root::default()),
            Kind::Block => Body::Block(Block::default()),
            Kind::Node => Body::Node(Node::default()),
            Kind::Spill => Body::Spill(Slots::default()),
        };
        Self { sequence: 0, body }
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        let content = match &self.body {
            Body::Node(node) => {
                let digest = node.children.iter().flatten().next();
                node.children.len() * (16 + digest.map_or(0, |digest| digest.weight()))
            }
            Body::Block(block) => block.entries.weight() + block.digest.get().map_or(0, |digest| digest.weight()),
            _ => self.slots().weight(),
        };
        // The page itself, its name, and its place in the pool.
        400 + content
    }

    /// The entries of a root or block, the rows of heads, the one entry of spilled versions.
    pub(crate) fn slots(&self) -> &Slots {
        match &self.body {
            Body::Heads(slots) | Body::Spill(slots) => slots,
            Body::Root(root) => &root.tail,
            Body::Block(block) => &block.entries,
            Body::Node(_) => unreachable!("the key says that this page is no node"),
        }
    }

    /// The same, to change them.
    pub(crate) fn slots_mut(&mut self) -> &mut Slots {
        match &mut self.body {
            Body::Heads(slots) | Body::Spill(slots) => slots,
            Body::Root(root) => {
                root.extent.take();
                &mut root.tail
            }
            Body::Block(block) => {
                block.digest.take();
                &mut block.entries
            }
            Body::Node(_) => unreachable!("the key says that this page is no node"),
        }
    }

    // The pool hands pages out by their kind, so another body under a page's key is a broken invariant.

    pub(crate) fn root(&self) -> &Root {
        let Body::Root(root) = &self.body else { unreachable!("the key says that this page is a root") };
        root
    }

    pub(crate) fn root_mut(&mut self) -> &mut Root {
        let Body::Root(root) = &mut self.body else { unreachable!("the key says that this page is a root") };
        root.extent.take();
        root
    }

    pub(crate) fn block(&self) -> &Block {
        let Body::Block(block) = &self.body else { unreachable!("the key says that this page is a block") };
        block
    }

    pub(crate) fn node(&self) -> &Node {
        let Body::Node(node) = &self.body else { unreachable!("the key says that this page is a node") };
        node
    }

    pub(crate) fn node_mut(&mut self) -> &mut Node {
        let Body::Node(node) = &mut self.body else { unreachable!("the key says that this page is a node") };
        node
    }
}
