//! Pages as bytes.
//!
//! | part | bytes |
//! |---|---|
//! | version | 1; this page is version 1 |
//! | the rest | compressed with LZ4, its length before it in 4 bytes little-endian: sequence, then the body |
//!
//! | body | content |
//! |---|---|
//! | heads | rows as slots ([`super::heads`]) |
//! | root | count; entries as slots ([`super::entry`]) |
//! | block | entries as slots |
//! | node | number of children; for each 0, or 1 and its digest |
//! | spill | one entry as a slot |
//!
//! The kind stands in the page's key.

use std::sync::Arc;

use lz4_flex::block::{compress_into, get_maximum_output_size};

use crate::bytes::{Reader, put};
use crate::keys::Kind;
use crate::pages::slots::Slots;
use crate::pages::summary::Digest;
use crate::pages::{Block, Body, Node, Page, Root};

const VERSION: u8 = 1;

/// Buffers for writing pages, used again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Page {
    pub(crate) fn encode<'a>(&self, scratch: &'a mut Scratch) -> &'a [u8] {
        let Scratch { plain, packed } = scratch;
        plain.clear();
        put(plain, self.sequence);
        match &self.body {
            Body::Heads(slots) | Body::Spill(slots) => slots.put(plain),
            Body::Root(root) => {
                put(plain, root.count);
                root.tail.put(plain);
            }
            Body::Block(block) => block.entries.put(plain),
            Body::Node(node) => put_node(plain, node),
        }
        pack(VERSION, plain, packed);
        packed
    }

    /// `None` for bytes that no such page was written as.
    pub(crate) fn decode(kind: Kind, bytes: &[u8]) -> Option<Self> {
        let plain = unpack(VERSION, bytes)?;
        let reader = &mut Reader::new(&plain);
        let sequence = reader.number()?;
        let body = match kind {
            Kind::Heads => Body::Heads(Slots::take(reader)?),
            Kind::Root => Body::Root(Root::new(reader.number()?, Slots::take(reader)?)),
            Kind::Block => Body::Block(Block { entries: Slots::take(reader)?, ..Block::default() }),
            Kind::Node => Body::Node(take_node(reader)?),
            Kind::Spill => Body::Spill(Slots::take(reader)?),
        };
        reader.is_empty().then_some(Self { sequence, body })
    }
}

/// A version byte and the compressed bytes, in place of what was in `out`.
pub(crate) fn pack(version: u8, plain: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(plain.len()).expect("pages and parts of the log are far below 4 GiB");
    out.clear();
    out.push(version);
    out.extend(length.to_le_bytes());
    let header = out.len();
    out.resize(header + get_maximum_output_size(plain.len()), 0);
    let compressed = compress_into(plain, &mut out[header..]).expect("the buffer has the maximum size");
    out.truncate(header + compressed);
}

/// What [`pack`] packed; `None` for other bytes or another version.
pub(crate) fn unpack(version: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    let (first, compressed) = bytes.split_first()?;
    // The length is checked before it is believed: LZ4 cannot shrink anything more than 255 times.
    let length = u32::from_le_bytes(*compressed.first_chunk()?) as usize;
    let possible = *first == version && length <= compressed.len().saturating_mul(255);
    if possible { lz4_flex::block::decompress_size_prepended(compressed).ok() } else { None }
}

fn put_node(out: &mut Vec<u8>, node: &Node) {
    put(out, node.children.len() as u64);
    for child in &node.children {
        out.push(u8::from(child.is_some()));
        if let Some(digest) = child {
            digest.put(out);
        }
    }
}

fn take_node(reader: &mut Reader<'_>) -> Option<Node> {
    let count = reader.length()?;
    let mut children = Vec::with_capacity(count);
    for _ in 0..count {
        let known = reader.byte()? == 1;
        children.push(if known { Some(Arc::new(Digest::take(reader)?)) } else { None });
    }
    Some(Node { children })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(kind: Kind, body: Body) -> Page {
        let page = Page { sequence: 7, body };
        let back = Page::decode(kind, page.encode(&mut Scratch::default())).expect("decodes");
        assert_eq!(back.sequence, 7);
        back
    }

    proptest! {
        #[test]
        fn pages_of_slots_round_trip(
            strings in prop::collection::vec(prop::collection::vec(0u8..3, 0..6), 0..9),
            count in any::<u64>(),
        ) {
            let mut slots = Slots::default();
            strings.iter().for_each(|bytes| slots.push(bytes));
            let block = Block { entries: slots.clone(), ..Block::default() };
            let root = Root::new(count, slots.clone());
            let bodies = [
                (Kind::Heads, Body::Heads(slots.clone())),
                (Kind::Spill, Body::Spill(slots.clone())),
                (Kind::Block, Body::Block(block)),
                (Kind::Root, Body::Root(root)),
            ];
            for (kind, body) in bodies {
                let page = written(kind, body);
                prop_assert_eq!(page.slots(), &slots);
                prop_assert!(kind != Kind::Root || page.root().count == count);
            }
        }

        #[test]
        fn damaged_pages_never_panic(kind in 0usize..5, bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let kind = [Kind::Heads, Kind::Root, Kind::Block, Kind::Node, Kind::Spill][kind];
            let mut packed = Vec::new();
            pack(VERSION, &bytes, &mut packed);
            if let Some(page) = Page::decode(kind, &packed) {
                prop_assert!(Page::decode(kind, page.encode(&mut Scratch::default())).is_some());
            }
            packed[0] += 1;
            prop_assert!(Page::decode(kind, &packed).is_none());
        }
    }

    #[test]
    fn nodes_round_trip() {
        let node = Node { children: vec![None, Some(Arc::new(Digest::empty(2)))] };
        assert_eq!(written(Kind::Node, Body::Node(node.clone())).node(), &node);
    }
}
