//! Which store's outbox a record came from, and its sequence there: written beside every record, read back after a
//! crash.

use std::fmt;
use std::str::FromStr;

use crate::StoreId;

/// Written `<store>:<sequence>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) store: StoreId,
    pub(crate) sequence: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.store, self.sequence)
    }
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(store, sequence)| {
            Some(Self { store: StoreId(u64::from_str_radix(store, 16).ok()?), sequence: sequence.parse().ok()? })
        });
        parts.ok_or_else(|| format!("`{text}` is not an outbox mark"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_round_trip(store: u64, sequence: u64) {
            let mark = Mark { store: StoreId(store), sequence };
            prop_assert_eq!(mark.to_string().parse(), Ok(mark));
        }
    }
}
