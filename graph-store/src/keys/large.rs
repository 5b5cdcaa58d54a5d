//! Values that are too large for a page: [`crate::packed`] leaves their digest in the row. Whatever has the same bytes is
//! there once, however many rows, versions and histories hold it.
//!
//! Key: digest of the value (XXH3, 16) | number of the part (4). Value: version 1 and a part of the value's bytes, packed as
//! a page is ([`crate::pages`]); before the bytes of part 0 stands how many parts there are. Part 0 is written last: where
//! it is, the others are.

use crate::bytes::{Reader, put};
use crate::pages::{pack, unpack};

const VERSION: u8 = 1;

/// Bytes of a part: sled keeps up to 16 values together and copies all of them for each insert, and the copies stay in
/// memory for some inserts more. With parts of 24 KiB that is twice the memory.
const PART_BYTES: usize = if cfg!(test) { 7 } else { 4 << 10 };

pub(crate) fn encode_key(digest: u128, part: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..16].copy_from_slice(&digest.to_be_bytes());
    key[16..].copy_from_slice(&part.to_be_bytes());
    key
}

/// The parts of a value in the order in which they are written, each with its number.
pub(crate) fn encode(value: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let parts: Vec<&[u8]> = value.chunks(PART_BYTES).collect();
    let part = |(number, bytes): (u32, &[u8])| {
        let mut plain = Vec::with_capacity(bytes.len() + 5);
        if number == 0 {
            put(&mut plain, parts.len() as u64);
        }
        plain.extend_from_slice(bytes);
        let mut out = Vec::new();
        pack(VERSION, &plain, &mut out);
        (number, out)
    };
    let mut all: Vec<_> = (0..).zip(parts.iter().copied()).map(part).collect();
    all.reverse();
    all
}

/// How many parts there are, and the bytes of part 0. `None` for bytes that are no such part.
pub(crate) fn decode_first(bytes: &[u8]) -> Option<(u32, Vec<u8>)> {
    let plain = unpack(VERSION, bytes)?;
    let mut reader = Reader::new(&plain);
    let parts = u32::try_from(reader.number()?).ok()?;
    Some((parts, reader.take(reader.remaining())?.to_vec()))
}

/// The bytes of another part.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    unpack(VERSION, bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_round_trip(value in prop::collection::vec(any::<u8>(), 1..60)) {
            let mut parts = encode(&value);
            let (number, first) = parts.pop().expect("a part");
            let (count, mut found) = decode_first(&first).expect("part 0");
            prop_assert_eq!((number, count as usize), (0, parts.len() + 1));
            for (_, part) in parts.iter().rev() {
                found.extend(decode(part).expect("a part"));
            }
            prop_assert_eq!(found, value);
        }

        #[test]
        fn keys_are_in_the_order_of_the_parts(digest in any::<u128>(), a in any::<u32>(), b in any::<u32>()) {
            prop_assert_eq!(encode_key(digest, a).cmp(&encode_key(digest, b)), a.cmp(&b));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut packed = Vec::new();
            pack(VERSION, &bytes, &mut packed);
            prop_assert_eq!(decode(&packed), Some(bytes));
            prop_assert!(decode_first(&packed).is_none_or(|(_, first)| first.len() < packed.len() * 255));
        }
    }
}
