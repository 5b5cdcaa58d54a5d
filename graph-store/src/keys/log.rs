//! The log: key = sequence of the first change (8 bytes, big-endian); value = some changes in sequence order.
//!
//! | part | bytes |
//! |---|---|
//! | version | 1; this page is version 1 |
//! | the rest | compressed with LZ4, its length before it in 4 bytes little-endian: the changes |
//!
//! A change is resolved: it says what becomes of which page without a look at any other change.
//!
//! | part | content |
//! |---|---|
//! | table, key, version | number, bytes, version |
//! | place, flags | place of the row in its table's timeline; 1 when the row is new there |
//! | edges | for each foreign key of the table: flags, then parent and place of the entry left, kept, joined |

use std::sync::Arc;

use crate::bytes::{Reader, put, put_bytes};
use crate::pages::version::{Base, Version};
use crate::pages::{pack, unpack};

const VERSION: u8 = 1;

/// One change, resolved.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub table: u16,
    /// Encoded primary key.
    pub key: Arc<[u8]>,
    pub version: Version<Box<[u8]>>,
    /// Place of the row in its table's timeline.
    pub place: u64,
    /// Whether the row never had a version before.
    pub new: bool,
    /// One per foreign key of the table, in the schema's order.
    pub edges: Vec<Edge>,
}

/// What becomes of a row's membership with its parent by one foreign key.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Edge {
    /// The entry that ends.
    pub left: Option<Place>,
    /// The entry that gets the version.
    pub kept: Option<Place>,
    /// The entry that begins.
    pub joined: Option<Place>,
}

/// An entry in a parent's history.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// The parent's encoded key.
    pub parent: Arc<[u8]>,
    pub entry: u64,
}

pub(crate) fn encode_key(first: u64) -> [u8; 8] {
    first.to_be_bytes()
}

pub(crate) fn decode_key(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

/// Collects the changes of one value of the log.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    plain: Vec<u8>,
    base: Base,
}

impl Chunk {
    pub(crate) fn put(&mut self, record: &Record) {
        let out = &mut self.plain;
        put(out, u64::from(record.table));
        put_bytes(out, &record.key);
        self.base.put(out, &record.version.borrow(), &mut None);
        put(out, record.place << 1 | u64::from(record.new));
        for edge in &record.edges {
            let places = [&edge.left, &edge.kept, &edge.joined];
            out.push((0..).zip(places).map(|(bit, place)| u8::from(place.is_some()) << bit).sum());
            for place in places.into_iter().flatten() {
                put_bytes(out, &place.parent);
                put(out, place.entry);
            }
        }
    }

    /// Bytes before compression.
    pub(crate) fn len(&self) -> usize {
        self.plain.len()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        pack(VERSION, &self.plain, &mut out);
        out
    }

    /// The changes of a value; `edges` says how many foreign keys a table has. `None` for bytes that are no such value.
    pub(crate) fn decode(bytes: &[u8], edges: impl Fn(u16) -> Option<usize>) -> Option<Vec<Record>> {
        let plain = unpack(VERSION, bytes)?;
        let mut reader = Reader::new(&plain);
        let mut base = Base::default();
        let mut records = Vec::new();
        while !reader.is_empty() {
            records.push(take(&mut reader, &mut base, &edges)?);
        }
        Some(records)
    }
}

fn take(reader: &mut Reader<'_>, base: &mut Base, edges: impl Fn(u16) -> Option<usize>) -> Option<Record> {
    let table = u16::try_from(reader.number()?).ok()?;
    let key = Arc::from(reader.bytes()?);
    let version = base.take(reader, &mut None)?;
    let version = version.with(version.row.map(|row| Box::from(row.full)));
    let place = reader.number()?;
    let mut record = Record { table, key, version, place: place >> 1, new: place & 1 == 1, edges: Vec::new() };
    for _ in 0..edges(table)? {
        let flags = reader.byte()?;
        let mut next = |bit: u8| {
            if flags >> bit & 1 == 0 {
                return Some(None);
            }
            Some(Some(Place { parent: Arc::from(reader.bytes()?), entry: reader.number()? }))
        };
        record.edges.push(Edge { left: next(0)?, kept: next(1)?, joined: next(2)? });
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pages::version::tests::version;

    fn place() -> impl Strategy<Value = Option<Place>> {
        let place = (prop::collection::vec(any::<u8>(), 0..5), any::<u64>());
        prop::option::of(place.prop_map(|(parent, entry)| Place { parent: parent.into(), entry }))
    }

    fn record() -> impl Strategy<Value = Record> {
        let edges = (place(), place(), place()).prop_map(|(left, kept, joined)| Edge { left, kept, joined });
        let key = prop::collection::vec(any::<u8>(), 0..5);
        let edges = prop::collection::vec(edges, 2..3);
        (any::<u16>(), key, version(), 0u64..1 << 40, any::<bool>(), edges).prop_map(
            |(table, key, version, place, new, edges)| Record { table, key: key.into(), version, place, new, edges },
        )
    }

    proptest! {
        #[test]
        fn changes_round_trip(records in prop::collection::vec(record(), 0..5)) {
            let mut chunk = Chunk::default();
            records.iter().for_each(|record| chunk.put(record));
            prop_assert_eq!(Chunk::decode(&chunk.encode(), |_| Some(2)), Some(records));
        }

        #[test]
        fn keys_are_in_sequence_order(a in any::<u64>(), b in any::<u64>()) {
            prop_assert_eq!(encode_key(a).cmp(&encode_key(b)), a.cmp(&b));
            prop_assert_eq!(decode_key(&encode_key(a)), Some(a));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut packed = Vec::new();
            pack(VERSION, &bytes, &mut packed);
            if let Some(records) = Chunk::decode(&packed, |table| Some(usize::from(table % 3))) {
                prop_assert!(records.len() <= bytes.len());
            }
        }
    }
}
