//! One type for all columns that hold the same key.

use relational::DataType;

use crate::Error;

/// A column of some table, as the rules for keys see it.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    pub(super) table: String,
    pub(super) name: String,
    /// The type that the config demands.
    pub(super) demanded: Option<DataType>,
    /// The type of the values; `None` without any. Whole floats and decimals count as int.
    pub(super) natural: Option<DataType>,
}

/// Gives each column the type of its class: `links` join columns (by their places) that hold the same key, the child's
/// first, the parent's second. Columns of a class without values are text.
pub(super) fn unify(columns: &[KeyColumn], links: &[(usize, usize)]) -> Result<Vec<DataType>, Error> {
    let mut class: Vec<usize> = (0..columns.len()).collect();
    for (child, parent) in links {
        let (from, to) = (class[*child], class[*parent]);
        for member in &mut class {
            if *member == from {
                *member = to;
            }
        }
    }
    let mut types = vec![DataType::Text; columns.len()];
    for root in 0..columns.len() {
        let members = || columns.iter().zip(&class).filter(|(_, class)| **class == root).map(|(column, _)| column);
        if let Some(first) = members().next() {
            let common = common_type(first, members)?;
            for (place, _) in class.iter().enumerate().filter(|(_, class)| **class == root) {
                types[place] = common;
            }
        }
    }
    Ok(types)
}

fn common_type<'a, I: Iterator<Item = &'a KeyColumn>>(
    first: &KeyColumn,
    members: impl Fn() -> I,
) -> Result<DataType, Error> {
    if let Some(demanding) = members().find(|column| column.demanded.is_some()) {
        let other = members().find(|column| column.demanded.is_some_and(|other| Some(other) != demanding.demanded));
        return match (demanding.demanded, other) {
            (Some(demanded), None) => Ok(demanded),
            _ => Err(disagree(demanding, other.unwrap_or(first), "set the same type for both")),
        };
    }
    let known = || members().filter_map(|column| Some((column, column.natural?)));
    let Some((one, common)) = known().next() else { return Ok(DataType::Text) };
    let Some((other, _)) = known().find(|(_, other)| *other != common) else { return Ok(common) };
    let all = |types: &[DataType]| known().all(|(_, natural)| types.contains(&natural));
    if all(&[DataType::Int, DataType::Decimal, DataType::Float]) {
        Ok(DataType::Float)
    } else if all(&[DataType::Date, DataType::Time]) {
        Ok(DataType::Time)
    } else if known().any(|(_, natural)| matches!(natural, DataType::Bytes | DataType::List)) {
        Err(disagree(one, other, "they can never be equal; remove the foreign key, or set a type for both"))
    } else {
        Ok(DataType::Text)
    }
}

fn disagree(one: &KeyColumn, other: &KeyColumn, hint: &str) -> Error {
    let name = |column: &KeyColumn| column.demanded.or(column.natural).map_or("nothing", DataType::name);
    Error::Table {
        table: one.table.clone(),
        reason: format!(
            "column `{}` is {} but column `{}` of table `{}`, which holds the same key, is {}: {hint}",
            one.name,
            name(one),
            other.name,
            other.table,
            name(other)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(demanded: Option<DataType>, natural: Option<DataType>) -> KeyColumn {
        KeyColumn { table: "t".into(), name: "c".into(), demanded, natural }
    }

    fn pair(child: KeyColumn, parent: KeyColumn) -> Option<DataType> {
        let types = unify(&[child, parent], &[(0, 1)]).ok()?;
        assert_eq!(types[0], types[1]);
        types.first().copied()
    }

    #[test]
    fn both_sides_of_a_key_have_one_type() {
        use DataType::{Bytes, Float, Int, Text};
        let natural = |natural| column(None, Some(natural));
        assert_eq!(pair(natural(Int), natural(Int)), Some(Int));
        assert_eq!(pair(natural(Int), natural(Text)), Some(Text));
        assert_eq!(pair(natural(Text), natural(Int)), Some(Text));
        assert_eq!(pair(natural(Float), natural(Int)), Some(Float));
        assert_eq!(pair(column(None, None), natural(Int)), Some(Int));
        assert_eq!(pair(natural(Int), column(None, None)), Some(Int));
        assert_eq!(pair(natural(Text), column(Some(Int), None)), Some(Int));
        assert_eq!(pair(natural(Bytes), natural(Int)), None);
        assert_eq!(pair(column(Some(Text), None), column(Some(Int), None)), None);
    }
}
