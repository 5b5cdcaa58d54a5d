//! Pages as bytes.
//!
//! | part | bytes |
//! |---|---|
//! | version | 1; this page is version 1 |
//! | the rest | compressed with LZ4, its length before it in 4 bytes little-endian: sequence, then the body |
//!
//! | body | content |
//! |---|---|
//! | heads | number of rows; for each: bytes shared with the key before, the other bytes, place in the timeline |
//! | root | count; number of entries; entries |
//! | block | number of entries; entries |
//! | node | number of children; for each 0, or 1 and its digest |
//! | spill | number of versions; versions |
//!
//! The kind stands in the page's key.

use std::sync::Arc;

use crate::bytes::{Reader, put, put_bytes};
use crate::keys::Kind;
use crate::pages::entry::Entry;
use crate::pages::summary::Digest;
use crate::pages::version::Base;
use crate::pages::{Block, Body, Heads, Node, Page, Root};

const VERSION: u8 = 1;

impl Page {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(self.weight / 2);
        put(&mut plain, self.sequence);
        match &self.body {
            Body::Heads(heads) => put_heads(&mut plain, heads),
            Body::Root(root) => {
                put(&mut plain, root.count);
                put_entries(&mut plain, &root.tail);
            }
            Body::Block(block) => put_entries(&mut plain, &block.entries),
            Body::Node(node) => put_node(&mut plain, node),
            Body::Spill(versions) => Base::default().put_all(&mut plain, versions),
        }
        pack(VERSION, &plain)
    }

    /// `None` for bytes that no such page was written as.
    pub(crate) fn decode(kind: Kind, bytes: &[u8]) -> Option<Self> {
        let plain = unpack(VERSION, bytes)?;
        let reader = &mut Reader::new(&plain);
        let sequence = reader.number()?;
        let body = match kind {
            Kind::Heads => Body::Heads(take_heads(reader)?),
            Kind::Root => Body::Root(Root { count: reader.number()?, tail: take_entries(reader)? }),
            Kind::Block => Body::Block(Block { entries: take_entries(reader)?, ..Block::default() }),
            Kind::Node => Body::Node(take_node(reader)?),
            Kind::Spill => Body::Spill(Base::default().take_all(reader)?),
        };
        let mut page = Self { sequence, weight: 0, body };
        page.weigh();
        reader.is_empty().then_some(page)
    }
}

/// A version byte and the compressed bytes.
pub(crate) fn pack(version: u8, plain: &[u8]) -> Vec<u8> {
    let mut out = lz4_flex::block::compress_prepend_size(plain);
    out.push(version);
    out.rotate_right(1);
    out
}

/// What [`pack`] packed; `None` for other bytes or another version.
pub(crate) fn unpack(version: u8, bytes: &[u8]) -> Option<Vec<u8>> {
    let (first, compressed) = bytes.split_first()?;
    // The length is checked before it is believed: LZ4 cannot shrink anything more than 255 times.
    let length = u32::from_le_bytes(*compressed.first_chunk()?) as usize;
    let possible = *first == version && length <= compressed.len().saturating_mul(255);
    if possible { lz4_flex::block::decompress_size_prepended(compressed).ok() } else { None }
}

fn put_heads(out: &mut Vec<u8>, heads: &Heads) {
    put(out, heads.rows.len() as u64);
    let mut last: &[u8] = &[];
    for (key, place) in &heads.rows {
        let shared = last.iter().zip(key.iter()).take_while(|(a, b)| a == b).count();
        put(out, shared as u64);
        put_bytes(out, &key[shared..]);
        put(out, *place);
        last = key;
    }
}

fn take_heads(reader: &mut Reader<'_>) -> Option<Heads> {
    let count = reader.length()?;
    let mut rows: Vec<(Arc<[u8]>, u64)> = Vec::with_capacity(count);
    for _ in 0..count {
        let shared = usize::try_from(reader.number()?).ok()?;
        let rest = reader.bytes()?;
        let last: &[u8] = rows.last().map_or(&[], |(key, _)| key);
        let key: Arc<[u8]> = last.get(..shared)?.iter().chain(rest).copied().collect();
        rows.push((key, reader.number()?));
    }
    Some(Heads { rows })
}

fn put_entries(out: &mut Vec<u8>, entries: &[Entry]) {
    put(out, entries.len() as u64);
    let mut base = Base::default();
    entries.iter().for_each(|entry| entry.put(out, &mut base));
}

fn take_entries(reader: &mut Reader<'_>) -> Option<Vec<Entry>> {
    let count = reader.length()?;
    let mut base = Base::default();
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(Entry::take(reader, &mut base)?);
    }
    Some(entries)
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
    use crate::pages::entry::tests::entry;

    fn written(kind: Kind, body: Body) -> Page {
        let mut page = Page { sequence: 7, weight: 0, body };
        page.weigh();
        let back = Page::decode(kind, &page.encode()).expect("decodes");
        assert_eq!((back.sequence, back.weight), (7, page.weight));
        back
    }

    proptest! {
        #[test]
        fn heads_round_trip(keys in prop::collection::btree_map(prop::collection::vec(0u8..3, 0..6), any::<u64>(), 0..9)) {
            let heads = Heads { rows: keys.into_iter().map(|(key, place)| (Arc::from(key), place)).collect() };
            let page = written(Kind::Heads, Body::Heads(heads.clone()));
            prop_assert_eq!(page.heads(), &heads);
        }

        #[test]
        fn entries_round_trip(entries in prop::collection::vec(entry(), 0..4), count in any::<u64>()) {
            let block = Block { entries: entries.clone(), ..Block::default() };
            let page = written(Kind::Block, Body::Block(block));
            prop_assert_eq!(&page.block().entries, &entries);
            let root = Root { count, tail: entries };
            let page = written(Kind::Root, Body::Root(root.clone()));
            prop_assert_eq!(page.root(), &root);
        }

        #[test]
        fn damaged_pages_never_panic(kind in 0usize..5, bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let kind = [Kind::Heads, Kind::Root, Kind::Block, Kind::Node, Kind::Spill][kind];
            if let Some(page) = Page::decode(kind, &pack(VERSION, &bytes)) {
                prop_assert!(Page::decode(kind, &page.encode()).is_some());
            }
            prop_assert!(Page::decode(kind, &pack(VERSION + 1, &bytes)).is_none());
        }
    }

    #[test]
    fn nodes_round_trip() {
        let node = Node { children: vec![None, Some(Arc::new(Digest::empty(2)))] };
        assert_eq!(written(Kind::Node, Body::Node(node.clone())).node(), &node);
    }
}
