//! Which partition a key belongs to: Kafka's own default partitioner, so that a consumer that joins scores with its own
//! topics finds equal keys in equal partitions.

/// The partition of a key among `count`, `0` for none.
pub(crate) fn partition(key: &[u8], count: i32) -> i32 {
    let positive = i64::from(murmur2(key) & 0x7fff_ffff);
    i32::try_from(positive % i64::from(count.max(1))).expect("a remainder is below its divisor, an i32")
}

/// MurmurHash 2 by Austin Appleby with the seed of `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const MULTIPLIER: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).expect("limits::KEY_BYTES_MAX keeps keys below 4 GiB");
    let mut hash = 0x9747_b28c ^ length;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_equal_those_of_kafka() {
        let cases: [(&str, i32); 7] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
            ("", 275_646_681),
        ];
        for (text, hash) in cases {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn partitions_are_in_range() {
        assert!((0..100).all(|key: i32| (0..7).contains(&partition(key.to_string().as_bytes(), 7))));
    }
}
