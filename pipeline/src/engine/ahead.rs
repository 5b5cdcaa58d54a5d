//! What left in a later life of the store, from which it was brought back: it must not leave once more.
//!
//! A store that is restored from an older copy, or built anew, comes to many scores a second time, and in a live run
//! not at the same cutoffs. So each score is looked up: by task, entity, cutoff and revision, and by what it says.

use graph_store::{Keyspace, Store, Transaction};
use relational::EventTime;
use sinks::Stamp;

/// Whether there is anything of the kind, so that nothing is looked up as a rule.
#[derive(Debug)]
pub(super) struct Ahead {
    is_empty: bool,
}

/// What an earlier life says to a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it may leave.
    New,
    /// It has left under this revision.
    Left(u32),
    /// One of a later cutoff has left, and nothing older is wanted any more.
    Outdated,
    /// Other things have left under its revision and later ones: it may leave under this one.
    Revised(u32),
}

impl Ahead {
    pub(super) fn load(store: &Store) -> Result<Self, graph_store::Error> {
        Ok(Self { is_empty: store.range(Keyspace::Ahead, &[], 1)?.is_empty() })
    }

    pub(super) fn add(&mut self, stamps: impl Iterator<Item = Stamp>, transaction: &mut Transaction<'_>) {
        for stamp in stamps {
            self.is_empty = false;
            transaction.put(Keyspace::Ahead, encode(&stamp), stamp.digest.to_be_bytes().to_vec());
        }
    }

    /// Judges a record by what has left of the same subject. Of a subject that is only kept `current`, nothing older than
    /// what has left is wanted any more.
    pub(super) fn judge(&self, store: &Store, stamp: &Stamp, current: bool) -> Result<Verdict, graph_store::Error> {
        if self.is_empty {
            return Ok(Verdict::New);
        }
        // What left under earlier revisions has been come to already.
        let mut start = encode(stamp);
        let mut verdict = Verdict::New;
        loop {
            let page = store.range(Keyspace::Ahead, &start, 100)?;
            for (key, value) in &page {
                let Some(left) = decode(key, value).filter(|left| left.subject == stamp.subject) else {
                    return Ok(verdict);
                };
                if left.cutoff > stamp.cutoff {
                    let is_outdated = current && !matches!(verdict, Verdict::Left(_));
                    return Ok(if is_outdated { Verdict::Outdated } else { verdict });
                }
                verdict = weigh(verdict, &left, stamp);
            }
            let Some((last, _)) = page.last() else { return Ok(verdict) };
            start = [last.as_slice(), &[0]].concat();
        }
    }
}

/// Revisions come in rising order, from that of the score on.
fn weigh(verdict: Verdict, left: &Stamp, stamp: &Stamp) -> Verdict {
    match verdict {
        Verdict::Left(_) => verdict,
        _ if left.digest == stamp.digest => Verdict::Left(left.revision),
        _ => Verdict::Revised(left.revision + 1),
    }
}

/// `subject (16) | cutoff, so that its bytes are in its order (8) | revision (4)`, big-endian; the value is the digest.
fn encode(stamp: &Stamp) -> Vec<u8> {
    let mut bytes = stamp.subject.to_be_bytes().to_vec();
    bytes.extend((stamp.cutoff.0 ^ i64::MIN).to_be_bytes());
    bytes.extend(stamp.revision.to_be_bytes());
    bytes
}

fn decode(key: &[u8], value: &[u8]) -> Option<Stamp> {
    let (subject, rest) = key.split_first_chunk()?;
    let (cutoff, revision) = rest.split_first_chunk()?;
    Some(Stamp {
        subject: u128::from_be_bytes(*subject),
        cutoff: EventTime(i64::from_be_bytes(*cutoff) ^ i64::MIN),
        revision: u32::from_be_bytes(revision.try_into().ok()?),
        digest: u64::from_be_bytes(value.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(revision: u32, digest: u64) -> Stamp {
        Stamp { subject: 1, cutoff: EventTime(5), revision, digest }
    }

    fn judged(left: &[(u32, u64)], score: Stamp) -> Verdict {
        let left = left.iter().map(|(revision, digest)| stamp(*revision, *digest));
        left.fold(Verdict::New, |verdict, left| weigh(verdict, &left, &score))
    }

    #[test]
    fn what_was_said_is_not_said_again_and_what_is_new_gets_its_own_revision() {
        assert_eq!(judged(&[], stamp(0, 7)), Verdict::New);
        assert_eq!(judged(&[(0, 7), (1, 8), (2, 7)], stamp(0, 7)), Verdict::Left(0));
        assert_eq!(judged(&[(0, 7), (1, 8), (2, 9)], stamp(0, 8)), Verdict::Left(1));
        assert_eq!(judged(&[(1, 8), (2, 7)], stamp(1, 7)), Verdict::Left(2));
        assert_eq!(judged(&[(0, 7), (1, 8)], stamp(0, 9)), Verdict::Revised(2));
    }

    proptest! {
        #[test]
        fn keys_round_trip_in_the_order_of_cutoffs(subject: u128, one: i64, other: i64, revision: u32, digest: u64) {
            let stamp = |cutoff| Stamp { subject, cutoff: EventTime(cutoff), revision, digest };
            prop_assert_eq!(decode(&encode(&stamp(one)), &digest.to_be_bytes()), Some(stamp(one)));
            prop_assert_eq!(encode(&stamp(one)).cmp(&encode(&stamp(other))), one.cmp(&other));
        }
    }
}
