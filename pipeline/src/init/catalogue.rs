//! What PostgreSQL's catalogue says of tables, asked through its own client `psql`.

use std::process::Command;

use percent_encoding::percent_decode_str;
use relational::DataType;
use serde::Deserialize;

use crate::world::Failure;

/// Tables, partitioned ones as a whole, and what is known of them. One row, one JSON value.
const QUERY: &str = include_str!("catalogue.sql");

/// A database as its catalogue shows it.
#[derive(Debug, Deserialize)]
pub(super) struct Catalogue {
    pub(super) database: String,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: String,
    pub(super) wal_level: String,
    pub(super) schema: String,
    pub(super) tables: Vec<Table>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    /// `d` the primary key, `n` nothing, `f` the whole row, `i` an index.
    pub(super) identity: String,
    pub(super) partitioned: bool,
    pub(super) columns: Vec<Column>,
    pub(super) key: Vec<String>,
    pub(super) foreign_keys: Vec<ForeignKey>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type's own name: `int8`, `timestamptz`, `_text`.
    #[serde(rename = "type")]
    pub(super) type_name: String,
    /// `e` for an enum, `A` for an array, by `pg_type`.
    pub(super) kind: String,
    /// As people write it: `numeric(10,2)`.
    pub(super) shown: String,
    /// The type's modifier, -1 when it has none.
    pub(super) modifier: i32,
    pub(super) nullable: bool,
    pub(super) has_default: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ForeignKey {
    pub(super) columns: Vec<String>,
    pub(super) parent: String,
    pub(super) parent_columns: Vec<String>,
}

impl Catalogue {
    pub(super) fn read(url: &str, schema: &str) -> Result<Self, Failure> {
        let (url, password) = split(url)?;
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-v"]).arg(format!("schema={schema}"));
        psql.args(["-d", &url, "-f", "-"]).env("PGCONNECT_TIMEOUT", "10").env("PGAPPNAME", "foreshore");
        if let Some(password) = password {
            psql.env("PGPASSWORD", password);
        }
        let answer = crate::process::talk(&mut psql, QUERY).map_err(|error| match error {
            None => Failure::Usage(
                "`psql` is not installed, and init asks PostgreSQL through it; install PostgreSQL's client".into(),
            ),
            Some(said) => Failure::Usage(format!("the database cannot be asked: {}", said.trim())),
        })?;
        serde_json::from_str(&answer)
            .map_err(|error| Failure::Usage(format!("the catalogue's answer is not understood: {error}")))
    }
}

/// The address without a password, which must not show in the list of processes, and the password.
fn split(url: &str) -> Result<(String, Option<String>), Failure> {
    let wrong = || Failure::Usage("--postgres takes postgres://USER@HOST:PORT/DATABASE".to_owned());
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(wrong());
    }
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some((user, host)) = rest[..authority].rsplit_once('@') else { return Ok((url.to_owned(), None)) };
    let Some((user, password)) = user.split_once(':') else { return Ok((url.to_owned(), None)) };
    let password = percent_decode_str(password).decode_utf8().map_err(|_| wrong())?.into_owned();
    Ok((format!("{scheme}://{user}@{host}{}", &rest[authority..]), Some(password)))
}

/// What a column is here, and what a record without a schema does not say of it.
pub(super) struct Meaning {
    pub(super) data_type: DataType,
    pub(super) scale: Option<i32>,
    pub(super) unit: Option<&'static str>,
}

impl Column {
    /// As Debezium's connector writes the column with its default settings.
    pub(super) fn meaning(&self) -> Meaning {
        let plain = |data_type| Meaning { data_type, scale: None, unit: None };
        if self.kind == "A" {
            return plain(DataType::List);
        }
        match self.type_name.as_str() {
            "int2" | "int4" | "int8" | "oid" | "time" | "interval" => plain(DataType::Int),
            "float4" | "float8" => plain(DataType::Float),
            "bool" => plain(DataType::Bool),
            "numeric" => Meaning { scale: self.scale(), ..plain(DataType::Decimal) },
            "money" => Meaning { scale: Some(2), ..plain(DataType::Decimal) },
            "date" => plain(DataType::Date),
            // The connector writes milliseconds up to three digits behind the second, else microseconds.
            "timestamp" => Meaning {
                unit: Some(if (0..=3).contains(&self.modifier) { "ms" } else { "us" }),
                ..plain(DataType::Time)
            },
            "timestamptz" => plain(DataType::Time),
            "bytea" => plain(DataType::Bytes),
            _ => plain(DataType::Text),
        }
    }

    /// Digits behind the point: the lower 11 bits of `numeric`'s modifier less 4, a signed number. Without a modifier each
    /// value brings its own.
    fn scale(&self) -> Option<i32> {
        let bits = self.modifier.checked_sub(4).filter(|bits| *bits >= 0)? & 0x7ff;
        Some(if bits > 1_023 { bits - 2_048 } else { bits })
    }

    /// A numeric of any scale, which only a schema in the record, or a struct, can carry.
    pub(super) fn is_of_any_scale(&self) -> bool {
        self.type_name == "numeric" && self.scale().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(type_name: &str, modifier: i32) -> Column {
        Column {
            name: "a".into(),
            type_name: type_name.into(),
            kind: "N".into(),
            shown: type_name.into(),
            modifier,
            nullable: true,
            has_default: false,
        }
    }

    #[test]
    fn a_password_does_not_stay_in_the_address() {
        let (url, password) = split("postgres://u:p%40x@h:5432/d?sslmode=require").expect("an address");
        assert_eq!((url.as_str(), password.as_deref()), ("postgres://u@h:5432/d?sslmode=require", Some("p@x")));
        let (url, password) = split("postgresql://h/d").expect("an address");
        assert_eq!((url.as_str(), password), ("postgresql://h/d", None));
        assert!(split("h:5432").is_err() && split("mysql://h/d").is_err());
    }

    #[test]
    fn scales_and_units_follow_the_modifier() {
        // numeric(10, 2) is ((10 << 16) | 2) + 4.
        assert_eq!(column("numeric", (10 << 16 | 2) + 4).meaning().scale, Some(2));
        assert_eq!(column("numeric", (4 << 16 | 2_046) + 4).meaning().scale, Some(-2));
        assert!(column("numeric", -1).is_of_any_scale());
        assert_eq!(column("timestamp", -1).meaning().unit, Some("us"));
        assert_eq!(column("timestamp", 3).meaning().unit, Some("ms"));
        assert_eq!(column("timestamp", 6).meaning().unit, Some("us"));
    }
}
