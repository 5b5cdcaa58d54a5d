//! What the columns mean, by the values of a sample.

use relational::{Cell, DeadLetter, Op, SemanticType, TableId};

use crate::decode::{Decoded, OwnedRecord, Tables, decode};
use crate::files::{Profile, meaning};

/// What a sample shows once its tables are known.
#[derive(Debug, Default)]
pub struct Meanings {
    /// Per table and column of the schema.
    pub semantics: Vec<Vec<SemanticType>>,
    /// Rows that were read, per table.
    pub rows: Vec<u64>,
    /// Records that would be refused.
    pub refused: Vec<DeadLetter>,
}

/// Decodes a sample, and looks at the values of each column by the rules for plain tables.
#[must_use]
pub fn meanings(tables: &Tables, records: &[OwnedRecord]) -> Meanings {
    let schema = tables.schema();
    let profiles = |(_, table): (TableId, &relational::Table)| -> Vec<Profile> {
        table.columns.iter().map(|column| Profile::new(Some(column.data_type))).collect()
    };
    let mut seen: Vec<Vec<Profile>> = schema.tables().map(profiles).collect();
    let mut found = Meanings { rows: vec![0; seen.len()], ..Meanings::default() };
    for record in records {
        match decode(tables, &record.as_record()) {
            Ok(Decoded::Changes { changes, .. }) => {
                for change in changes {
                    let (Op::Upsert(cells) | Op::Snapshot(cells)) = &change.op else { continue };
                    let table = usize::from(change.table.0);
                    found.rows[table] += 1;
                    for (profile, cell) in seen[table].iter_mut().zip(cells) {
                        if let Cell::Value(value) = cell
                            && !value.is_null()
                        {
                            profile.see_value(value);
                        }
                    }
                }
            }
            Ok(Decoded::SetAside { .. }) => {}
            Err(refusal) => found.refused.push(record.clone().refused(refusal)),
        }
    }
    found.semantics = schema
        .tables()
        .zip(&seen)
        .map(|((id, table), profiles)| {
            let linked = |column| schema.parents_of(id).any(|(_, link)| link.columns.contains(&column));
            let columns = table.columns().zip(profiles);
            let of = |((place, column), profile): ((relational::ColumnId, &relational::Column), &Profile)| {
                let is_key = table.key.contains(&place) || linked(place);
                // A sample is not the whole: a column without values in it may get some, a label for one.
                if profile.is_empty() && !is_key {
                    return SemanticType::of(column.data_type);
                }
                meaning(&column.name, column.data_type, profile, is_key, table.time == Some(place))
            };
            columns.map(of).collect()
        })
        .collect();
    found
}
