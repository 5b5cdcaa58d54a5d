//! Edges that a reader is not shown, chosen by chance.

use std::hash::Hasher;

use relational::{ForeignKeyId, Row, Schema, TableId, Value};
use rustc_hash::FxHasher;

use crate::Version;
use crate::encoding::encode_key;

/// Which edges are left out: each with the same chance, whoever reads and whenever.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DroppedLinks {
    /// Decides which.
    pub seed: u64,
    /// The share of the edges that are left out, from 0 to 1.
    pub share: f64,
}

impl DroppedLinks {
    /// Whether the edge that the row with this encoded key holds by this foreign key is left out.
    pub(crate) fn drops(&self, foreign_key: ForeignKeyId, child: &[u8]) -> bool {
        let mut hasher = FxHasher::default();
        hasher.write_u64(self.seed);
        hasher.write_u16(foreign_key.0);
        hasher.write(child);
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let place = (mixed(hasher.finish()) >> 11) as f64 / (1_u64 << 53) as f64;
        place < self.share
    }
}

/// Spreads what the hasher leaves uneven (the finaliser of D. Stafford's variant 13, as in SplitMix64).
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// The row as it is shown: foreign keys that are left out are null.
pub(crate) fn shown(dropped: Option<&DroppedLinks>, schema: &Schema, table: TableId, mut version: Version) -> Version {
    let Some(dropped) = dropped else { return version };
    let child = encode_key(&version.key);
    for (id, link) in schema.foreign_keys().filter(|(_, link)| link.child == table) {
        if dropped.drops(id, &child) {
            let values = version.row.values().iter().enumerate().map(|(place, value)| {
                let is_of_link = link.columns.iter().any(|column| usize::from(column.0) == place);
                if is_of_link { Value::Null } else { value.clone() }
            });
            version.row = Row::new(values.collect::<Vec<_>>());
        }
    }
    version
}
