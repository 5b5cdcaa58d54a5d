//! One version of a row as pages keep it, and the extent of several.

use relational::{AsOf, EventTime, Window};

use crate::bytes::{Reader, put, put_bytes, put_delta};
use crate::packed::{Packed, difference};

/// What a change made of a row. An entry of a parent's history ends with a version without a row when the row was
/// deleted or has moved to another parent. The packed row ([`crate::packed`]) is at hand, or lies somewhere on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version<R> {
    pub sequence: u64,
    /// The sequence of the first version of this life of the row.
    pub born: u64,
    pub valid_from: i64,
    pub known: i64,
    /// The row's own time; the beginning where there is no row.
    pub time: i64,
    pub from_snapshot: bool,
    pub row: Option<R>,
}

impl<R> Version<R> {
    /// Whether the bounds admit it. The latest admitted version of a row is the current one.
    pub(crate) fn admitted(&self, bounds: &AsOf) -> bool {
        self.sequence <= bounds.sequence.0 && self.valid_from <= bounds.cutoff.0 && self.known <= bounds.known.0
    }

    /// The same with the row elsewhere.
    pub(crate) fn with<S>(&self, row: Option<S>) -> Version<S> {
        let Self { sequence, born, valid_from, known, time, from_snapshot, .. } = *self;
        Version { sequence, born, valid_from, known, time, from_snapshot, row }
    }
}

impl Version<Box<[u8]>> {
    /// The same with the row borrowed.
    pub(crate) fn borrow(&self) -> Version<&[u8]> {
        self.with(self.row.as_deref())
    }
}

/// The last version written or read, from which the next one is told apart in few bytes.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Base {
    sequence: i64,
    valid_from: i64,
}

/// The last whole row of the same key, and its own time.
pub(crate) type Whole<'a> = Option<(&'a [u8], i64)>;

const HAS_ROW: u8 = 1;
const FROM_SNAPSHOT: u8 = 2;
const IS_DIFFERENCE: u8 = 4;

impl Base {
    /// Layout: flags, sequence (as difference from the last one), sequence - born, valid_from (as difference from the
    /// last one), known - valid_from; with a row: time - valid_from and the length and bytes of the packed row, or of
    /// what differs from the last whole one.
    pub(crate) fn put<'a>(&mut self, out: &mut Vec<u8>, version: &Version<&'a [u8]>, whole: &mut Whole<'a>) {
        let same_time = whole.filter(|(_, time)| *time == version.time).zip(version.row);
        let difference = same_time.and_then(|((full, _), row)| difference(full, row));
        let mut flags = if version.from_snapshot { FROM_SNAPSHOT } else { 0 };
        flags |= if version.row.is_some() { HAS_ROW } else { 0 };
        out.push(flags | if difference.is_some() { IS_DIFFERENCE } else { 0 });
        put_delta(out, version.sequence.cast_signed(), self.sequence);
        put(out, version.sequence.wrapping_sub(version.born));
        put_delta(out, version.valid_from, self.valid_from);
        put_delta(out, version.known, version.valid_from);
        if let Some(row) = version.row {
            put_delta(out, version.time, version.valid_from);
            put_bytes(out, difference.as_deref().unwrap_or(row));
            if difference.is_none() {
                *whole = Some((row, version.time));
            }
        }
        *self = Self { sequence: version.sequence.cast_signed(), valid_from: version.valid_from };
    }

    pub(crate) fn take<'a>(&mut self, reader: &mut Reader<'a>, whole: &mut Whole<'a>) -> Option<Version<Packed<'a>>> {
        let flags = reader.byte()?;
        let sequence = reader.delta(self.sequence)?;
        let born = sequence.cast_unsigned().wrapping_sub(reader.number()?);
        let valid_from = reader.delta(self.valid_from)?;
        let known = reader.delta(valid_from)?;
        let (mut time, mut row) = (EventTime::MIN.0, None);
        if flags & HAS_ROW != 0 {
            time = reader.delta(valid_from)?;
            let bytes = reader.bytes()?;
            row = Some(if flags & IS_DIFFERENCE == 0 {
                *whole = Some((bytes, time));
                Packed { full: bytes, diff: &[], time }
            } else {
                Packed { full: (*whole)?.0, diff: bytes, time }
            });
        }
        *self = Self { sequence, valid_from };
        let from_snapshot = flags & FROM_SNAPSHOT != 0;
        Some(Version { sequence: sequence.cast_unsigned(), born, valid_from, known, time, from_snapshot, row })
    }
}

/// The least and greatest of each bound over some versions. The times are of versions with a row only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub sequence: (u64, u64),
    pub valid_from: (i64, i64),
    pub known: (i64, i64),
    pub time: (i64, i64),
    /// The greatest only.
    pub born: u64,
}

impl Extent {
    pub(crate) const EMPTY: Self = Self {
        sequence: (u64::MAX, 0),
        valid_from: (i64::MAX, i64::MIN),
        known: (i64::MAX, i64::MIN),
        time: (i64::MAX, i64::MIN),
        born: 0,
    };

    pub(crate) fn add<R>(&mut self, version: &Version<R>) {
        let time = if version.row.is_some() { (version.time, version.time) } else { Self::EMPTY.time };
        let sequence = (version.sequence, version.sequence);
        let valid_from = (version.valid_from, version.valid_from);
        let known = (version.known, version.known);
        self.merge(&Self { sequence, valid_from, known, time, born: version.born });
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let widen = |a: (i64, i64), b: (i64, i64)| (a.0.min(b.0), a.1.max(b.1));
        self.sequence = (self.sequence.0.min(other.sequence.0), self.sequence.1.max(other.sequence.1));
        self.valid_from = widen(self.valid_from, other.valid_from);
        self.known = widen(self.known, other.known);
        self.time = widen(self.time, other.time);
        self.born = self.born.max(other.born);
    }

    /// No version is admitted.
    pub(crate) fn unseen(&self, bounds: &AsOf) -> bool {
        self.sequence.0 > bounds.sequence.0 || self.valid_from.0 > bounds.cutoff.0 || self.known.0 > bounds.known.0
    }

    /// Every version is admitted.
    pub(crate) fn seen(&self, bounds: &AsOf) -> bool {
        self.sequence.1 <= bounds.sequence.0 && self.valid_from.1 <= bounds.cutoff.0 && self.known.1 <= bounds.known.0
    }

    /// No row's time is in the window.
    pub(crate) fn outside(&self, window: &Window) -> bool {
        let (least, greatest) = self.time;
        let before = window.start != EventTime::MIN && greatest <= window.start.0;
        least > greatest || before || least > window.end.0
    }

    /// Every row's time is in the window.
    pub(crate) fn inside(&self, window: &Window) -> bool {
        window.contains(EventTime(self.time.0)) && window.contains(EventTime(self.time.1))
    }

    /// Whether a version with a row, of this time and first sequence, may be among them.
    pub(crate) fn may_hold(&self, time: i64, born: u64) -> bool {
        (self.time.0..=self.time.1).contains(&time) && born <= self.born
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put(out, self.sequence.0);
        put(out, self.sequence.1.wrapping_sub(self.sequence.0));
        for (least, greatest) in [self.valid_from, self.known, self.time] {
            put_delta(out, least, self.valid_from.0);
            put_delta(out, greatest, least);
        }
        put_delta(out, self.valid_from.0, 0);
        put(out, self.sequence.1.wrapping_sub(self.born));
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Self> {
        let least = reader.number()?;
        let sequence = (least, least.wrapping_add(reader.number()?));
        let mut pairs = [(0i64, 0i64); 3];
        for pair in &mut pairs {
            *pair = (reader.signed()?, reader.signed()?);
        }
        let base = reader.signed()?;
        let [valid_from, known, time] = pairs.map(|(least, width)| {
            let least = base.wrapping_add(least);
            (least, least.wrapping_add(width))
        });
        let born = sequence.1.wrapping_sub(reader.number()?);
        Some(Self { sequence, valid_from, known, time, born })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use relational::{Row, Value};

    use super::*;
    use crate::packed::pack;

    pub(crate) fn version() -> impl Strategy<Value = Version<Box<[u8]>>> {
        let numbers = (1u64.., 0u64..50, any::<i64>(), any::<i64>(), -1i64..1);
        let row = prop::option::of(prop::collection::vec(prop_oneof![Just(5), any::<i64>()], 6..8));
        (numbers, any::<bool>(), row).prop_map(|((sequence, age, valid_from, known, time), from_snapshot, row)| {
            let time = if row.is_some() { time } else { i64::MIN };
            let born = sequence.saturating_sub(age);
            let row = row.map(|values| pack(&Row::new(values.into_iter().map(Value::Int)), EventTime(time)).0);
            Version { sequence, born, valid_from, known, time, from_snapshot, row }
        })
    }

    /// The version with its row whole again.
    pub(crate) fn whole(version: &Version<Packed<'_>>) -> Version<Box<[u8]>> {
        version.with(version.row.map(|row| row.whole().expect("a row")))
    }

    pub(crate) fn extent(versions: &[Version<Box<[u8]>>]) -> Extent {
        let mut extent = Extent::EMPTY;
        versions.iter().for_each(|version| extent.add(version));
        extent
    }

    proptest! {
        #[test]
        fn versions_round_trip(versions in prop::collection::vec(version(), 0..5)) {
            let mut out = Vec::new();
            let (mut base, mut last) = (Base::default(), None);
            versions.iter().for_each(|version| base.put(&mut out, &version.borrow(), &mut last));
            let (mut reader, mut base, mut last) = (Reader::new(&out), Base::default(), None);
            for version in &versions {
                let found = base.take(&mut reader, &mut last).expect("a version");
                prop_assert_eq!(&whole(&found), version);
            }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn extents_round_trip(versions in prop::collection::vec(version(), 0..5)) {
            let extent = extent(&versions);
            let mut out = Vec::new();
            extent.put(&mut out);
            prop_assert_eq!(Extent::take(&mut Reader::new(&out)), Some(extent));
        }
    }
}
