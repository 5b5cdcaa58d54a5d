//! Where the row of a key is: some keys of a table, in order. A slot is the place in the table's timeline (8 bytes,
//! little-endian) and the encoded key.

use crate::pages::slots::Slots;

const PLACE_BYTES: usize = 8;

/// The place of a key's row; `Err` with the slot where it would be.
pub(crate) fn find(rows: &Slots, key: &[u8]) -> Result<u64, usize> {
    let (mut least, mut end) = (0, rows.len());
    while least < end {
        let middle = least.midpoint(end);
        match self::key(rows, middle).cmp(key) {
            std::cmp::Ordering::Less => least = middle + 1,
            std::cmp::Ordering::Equal => return Ok(place(rows, middle)),
            std::cmp::Ordering::Greater => end = middle,
        }
    }
    Err(least)
}

/// The key in a slot.
pub(crate) fn key(rows: &Slots, slot: usize) -> &[u8] {
    rows.get(slot).get(PLACE_BYTES..).unwrap_or_default()
}

/// The place in a slot.
pub(crate) fn place(rows: &Slots, slot: usize) -> u64 {
    rows.get(slot).first_chunk::<PLACE_BYTES>().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
}

/// Keys and places, in key order.
pub(crate) fn iter(rows: &Slots) -> impl Iterator<Item = (&[u8], u64)> {
    (0..rows.len()).map(|slot| (key(rows, slot), place(rows, slot)))
}

/// Notes the place of a new key's row.
pub(crate) fn insert(rows: &mut Slots, slot: usize, key: &[u8], place: u64) {
    let mut bytes = Vec::with_capacity(PLACE_BYTES + key.len());
    bytes.extend(place.to_le_bytes());
    bytes.extend(key);
    rows.insert(slot, &bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn heads_are_a_map_in_key_order(
            keys in prop::collection::vec((prop::collection::vec(0u8..3, 0..4), any::<u64>()), 0..20),
        ) {
            let (mut rows, mut map) = (Slots::default(), BTreeMap::new());
            for (key, place) in keys {
                match find(&rows, &key) {
                    Ok(found) => prop_assert_eq!(Some(&found), map.get(&key)),
                    Err(slot) => {
                        insert(&mut rows, slot, &key, place);
                        map.insert(key, place);
                    }
                }
            }
            let found: Vec<_> = iter(&rows).map(|(key, place)| (key.to_vec(), place)).collect();
            prop_assert_eq!(found, map.into_iter().collect::<Vec<_>>());
        }
    }
}
