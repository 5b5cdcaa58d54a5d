//! Foreign keys by the names of columns and tables.
//!
//! A column that is named like an id points at the table that it names (`customer_id` at `customers` or `customer`), or
//! at the one whose key has the same name. Both must hold the same type, and the table must have a key of one column.

use super::{LearnedTable, Said, is_whole};
use crate::files::named_like_an_id;

/// Adds the foreign keys of the tables whose own are not named in the config.
pub(super) fn find(tables: &mut [LearnedTable], said: &[Said]) {
    let named = |table: &str| said.iter().any(|said| said.table == table && (said.has_foreign_keys || is_whole(said)));
    let mut found = Vec::new();
    for (place, child) in tables.iter().enumerate().filter(|(_, child)| !named(&child.table)) {
        for column in child.columns.iter().filter(|column| named_like_an_id(&column.name)) {
            let parent = match parents(tables, child, &column.name).as_slice() {
                [] => continue,
                [parent] => *parent,
                several => {
                    let names: Vec<String> = several.iter().map(|parent| format!("`{}`", parent.table)).collect();
                    let names = names.join(", ");
                    let note = format!("column `{}` could point at {names}: say it with `foreign_keys`", column.name);
                    found.push((place, Err(note)));
                    continue;
                }
            };
            let key = parent.columns.iter().find(|other| other.name == parent.key[0]);
            let types = (column.data_type.name(), key.map_or("nothing", |key| key.data_type.name()));
            found.push((
                place,
                if types.0 == types.1 {
                    Ok((column.name.clone(), parent.table.clone()))
                } else {
                    Err(format!(
                        "column `{}` is named like a key of table `{}`, but is {} where that is {}: no foreign key",
                        column.name, parent.table, types.0, types.1
                    ))
                },
            ));
        }
    }
    for (place, result) in found {
        match result {
            Ok(link) => tables[place].foreign_keys.push(link),
            Err(note) => tables[place].notes.push(note),
        }
    }
}

/// The tables that a column may point at: those that it names, else those whose key has its name.
fn parents<'a>(tables: &'a [LearnedTable], child: &LearnedTable, column: &str) -> Vec<&'a LearnedTable> {
    let others = || tables.iter().filter(|table| table.table != child.table && table.key.len() == 1);
    let by_table: Vec<_> = others().filter(|table| names_table(column, &table.table)).collect();
    let is_own_name = child.key.as_slice() == [column];
    if !by_table.is_empty() || is_own_name || matches!(column.to_lowercase().as_str(), "id" | "code") {
        return by_table;
    }
    others().filter(|table| table.key[0].eq_ignore_ascii_case(column)).collect()
}

/// Whether `customer_id`, `customerId` or `id_customer` names table `customers`.
fn names_table(column: &str, table: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace('_', "");
    let (column, table) = (plain(column), plain(table));
    let stems = ["id", "code"].iter().filter_map(|suffix| column.strip_suffix(suffix)).chain(column.strip_prefix("id"));
    stems.filter(|stem| !stem.is_empty()).any(|stem| {
        let singular = stem.strip_suffix('y').map(|start| format!("{start}ies"));
        table == stem
            || [format!("{stem}s"), format!("{stem}es")].contains(&table)
            || singular.is_some_and(|plural| plural == table)
    })
}

#[cfg(test)]
mod tests {
    use relational::DataType;

    use super::super::LearnedColumn;
    use super::*;

    fn table(name: &str, key: &[&str], columns: &[(&str, DataType)]) -> LearnedTable {
        let column = |(name, data_type): &(&str, DataType)| LearnedColumn {
            name: (*name).to_owned(),
            data_type: *data_type,
            unit: None,
        };
        LearnedTable {
            table: name.to_owned(),
            columns: columns.iter().map(column).collect(),
            key: key.iter().map(ToString::to_string).collect(),
            time: None,
            foreign_keys: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn links_of(tables: &mut [LearnedTable], child: usize) -> Vec<(String, String)> {
        find(tables, &[]);
        tables[child].foreign_keys.clone()
    }

    fn link(column: &str, parent: &str) -> (String, String) {
        (column.to_owned(), parent.to_owned())
    }

    #[test]
    fn names_lead_from_columns_to_tables() {
        use DataType::{Int, Text};
        let mut tables = [
            table("customers", &["id"], &[("id", Int)]),
            table("category", &["code"], &[("code", Text)]),
            table("terminal_units", &["terminal"], &[("terminal", Int)]),
            table(
                "payments",
                &["id"],
                &[
                    ("id", Int),
                    ("customer_id", Int),
                    ("categoryCode", Text),
                    ("terminal_unit_id", Int),
                    ("note_id", Int),
                ],
            ),
        ];
        let expected = [
            link("customer_id", "customers"),
            link("categoryCode", "category"),
            link("terminal_unit_id", "terminal_units"),
        ];
        assert_eq!(links_of(&mut tables, 3), expected);
        assert!(tables[..3].iter().all(|table| table.foreign_keys.is_empty()));
    }

    #[test]
    fn a_key_of_the_same_name_is_pointed_at_but_a_tables_own_key_points_nowhere() {
        use DataType::Int;
        let mut tables = [
            table("clients", &["customer_id"], &[("customer_id", Int)]),
            table("orders", &["order_id"], &[("order_id", Int), ("customer_id", Int)]),
        ];
        assert_eq!(links_of(&mut tables, 1), [link("customer_id", "clients")]);
        assert!(tables[0].foreign_keys.is_empty());
    }

    #[test]
    fn other_types_and_several_parents_are_told_and_not_linked() {
        use DataType::{Int, Text};
        let mut tables = [
            table("shop", &["id"], &[("id", Int)]),
            table("shops", &["id"], &[("id", Int)]),
            table("user", &["id"], &[("id", Text)]),
            table("visits", &["id"], &[("id", Int), ("shop_id", Int), ("user_id", Int)]),
        ];
        assert!(links_of(&mut tables, 3).is_empty());
        assert_eq!(tables[3].notes.len(), 2, "{:?}", tables[3].notes);
    }

    #[test]
    fn named_foreign_keys_are_the_only_ones() {
        let mut tables = [
            table("customers", &["id"], &[("id", DataType::Int)]),
            table("payments", &["id"], &[("id", DataType::Int), ("customer_id", DataType::Int)]),
        ];
        let said = Said { table: "payments".into(), has_foreign_keys: true, ..Said::default() };
        find(&mut tables, &[said]);
        assert!(tables[1].foreign_keys.is_empty());
    }
}
