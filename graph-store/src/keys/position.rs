//! Where to read on: key = topic, 0, partition (4 bytes, big-endian, sign bit flipped); value = version 1, offset (8
//! bytes, big-endian).

use std::sync::Arc;

use relational::Position;

const VERSION: u8 = 1;

pub(crate) fn encode_key(topic: &str, partition: i32) -> Vec<u8> {
    let mut key = topic.as_bytes().to_vec();
    key.push(0);
    key.extend((partition ^ i32::MIN).to_be_bytes());
    key
}

pub(crate) fn encode_value(offset: i64) -> Vec<u8> {
    let mut value = vec![VERSION];
    value.extend(offset.to_be_bytes());
    value
}

pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<Position> {
    let (topic, partition) = key.split_last_chunk::<4>()?;
    let topic = Arc::from(str::from_utf8(topic.strip_suffix(&[0])?).ok()?);
    let partition = i32::from_be_bytes(*partition) ^ i32::MIN;
    let offset = i64::from_be_bytes(value.strip_prefix(&[VERSION])?.try_into().ok()?);
    Some(Position { topic, partition, offset })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_round_trip(topic in ".{0,9}", partition in any::<i32>(), offset in any::<i64>()) {
            let back = decode(&encode_key(&topic, partition), &encode_value(offset));
            prop_assert_eq!(back, Some(Position { topic: Arc::from(topic), partition, offset }));
        }

        #[test]
        fn partitions_of_a_topic_are_in_order(a in any::<i32>(), b in any::<i32>()) {
            prop_assert_eq!(encode_key("t", a).cmp(&encode_key("t", b)), a.cmp(&b));
        }
    }
}
