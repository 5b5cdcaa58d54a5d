//! What stands in a table's files: its columns, and what their values tell.

use std::path::Path;

use super::TableFile;
use super::arrays;
use super::chunk::is_null_text;
use super::column::Texts;
use super::csv_file::CsvFile;
use super::names::unknown;
use super::open::{Format, format_of};
use super::parquet_file::{self, ParquetFile};
use super::profile::Profile;
use crate::Error;

/// The columns of a table that are read, and their values seen once.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) names: Vec<String>,
    pub(super) profiles: Vec<Profile>,
}

impl Survey {
    /// Reads the table's files.
    pub(super) fn of(file: &TableFile) -> Result<Self, Error> {
        let Some(first) = file.paths.first() else { return Self::implied(file) };
        let header = header(first, file.delimiter)?;
        for path in &file.paths[1..] {
            same_columns(path, &self::header(path, file.delimiter)?, &header)?;
        }
        check_names(file, &header)?;
        let names: Vec<String> = header.into_iter().filter(|name| is_read(file, name)).collect();
        let mut profiles = vec![None; names.len()];
        for path in &file.paths {
            match format_of(path)? {
                Format::Csv { .. } => see_csv(path, file, &names, &mut profiles)?,
                Format::Parquet => see_parquet(path, file, &names, &mut profiles)?,
            }
        }
        let profiles = profiles.into_iter().map(|profile| profile.unwrap_or_else(|| Profile::new(None))).collect();
        Ok(Self { names, profiles })
    }

    /// A table without files has the columns of its key.
    fn implied(file: &TableFile) -> Result<Self, Error> {
        if file.key.is_empty() {
            return Err(error(file, "it has neither files nor a key: name its files, or the key that others point at"));
        }
        if file.time.is_some() || !file.foreign_keys.is_empty() {
            return Err(error(file, "it has no files, so it can have no time column and no foreign keys"));
        }
        check_names(file, &file.key)?;
        Ok(Self { names: file.key.clone(), profiles: vec![Profile::new(None); file.key.len()] })
    }
}

/// The names of a file's columns.
pub(super) fn header(path: &Path, delimiter: Option<u8>) -> Result<Vec<String>, Error> {
    match format_of(path)? {
        Format::Csv { .. } => Ok(CsvFile::open(path, delimiter)?.header().to_vec()),
        Format::Parquet => parquet_file::header(path),
    }
}

fn same_columns(path: &Path, header: &[String], first: &[String]) -> Result<(), Error> {
    let lacking = |here: &[String], there: &[String]| there.iter().find(|name| !here.contains(name)).cloned();
    let reason = match (lacking(header, first), lacking(first, header)) {
        (Some(name), _) => format!("has no column `{name}`, which the table's first file has"),
        (None, Some(name)) => format!("has a column `{name}`, which the table's first file has not"),
        (None, None) => return Ok(()),
    };
    Err(Error::Content {
        path: path.to_owned(),
        reason: format!("{reason}: the files of one table need equal columns"),
    })
}

fn is_read(file: &TableFile, name: &String) -> bool {
    let needed = file.key.contains(name)
        || file.time.as_ref() == Some(name)
        || file.foreign_keys.iter().any(|(columns, _)| columns.contains(name));
    let hidden = file.columns.get(name).is_some_and(|said| said.hidden);
    needed || !hidden && file.only.as_ref().is_none_or(|only| only.contains(name))
}

/// Every name that the config uses must be a column, and what it says must go together.
fn check_names(file: &TableFile, header: &[String]) -> Result<(), Error> {
    let foreign = file.foreign_keys.iter().flat_map(|(columns, _)| columns);
    let named = file.key.iter().chain(&file.time).chain(foreign).chain(file.columns.keys());
    for name in named.chain(file.only.iter().flatten()) {
        if !header.contains(name) {
            return Err(error(file, unknown("column", name, header.iter().map(String::as_str))));
        }
    }
    for (name, said) in &file.columns {
        let needed = is_read(&TableFile { only: Some(Vec::new()), ..file.clone() }, name);
        if said.hidden && needed {
            return Err(error(file, format!("column `{name}` is hidden, but keys or the time need it")));
        }
        let delay = said.arrives_after.unwrap_or(0);
        if delay < 0 {
            return Err(error(file, format!("column `{name}` arrives before its row; give a time of 0 or more")));
        }
        if delay > 0 && (file.time.is_none() || file.time.as_ref() == Some(name) || file.key.contains(name)) {
            let reason = "arrives late, which needs a table with a time column, and cannot be its key or time";
            return Err(error(file, format!("column `{name}` {reason}")));
        }
    }
    Ok(())
}

fn error(file: &TableFile, reason: impl Into<String>) -> Error {
    Error::Table { table: file.table.clone(), reason: reason.into() }
}

fn see_csv(path: &Path, file: &TableFile, names: &[String], profiles: &mut [Option<Profile>]) -> Result<(), Error> {
    let mut csv = CsvFile::open(path, file.delimiter)?;
    let place = |name: &String| csv.header().iter().position(|column| column == name).unwrap_or(usize::MAX);
    let places: Vec<usize> = names.iter().map(place).collect();
    let nulls: Vec<Vec<String>> = names.iter().map(|name| null_values(file, name)).collect();
    let fields = csv.header().len();
    while csv.advance()? {
        let record = csv.record();
        if record.len() != fields {
            continue;
        }
        for ((place, nulls), profile) in places.iter().zip(&nulls).zip(profiles.iter_mut()) {
            let field = record.get(*place).unwrap_or_default();
            // What is not UTF-8 will be refused with its record, so it says nothing of the type.
            let Ok(text) = std::str::from_utf8(field) else { continue };
            if !text.is_empty() && !is_null_text(text, nulls) {
                profile.get_or_insert_with(|| Profile::new(None)).see_text(text);
            }
        }
    }
    Ok(())
}

fn see_parquet(path: &Path, file: &TableFile, names: &[String], profiles: &mut [Option<Profile>]) -> Result<(), Error> {
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let nulls: Vec<Vec<String>> = names.iter().map(|name| null_values(file, name)).collect();
    let fields = parquet_file::fields(path)?;
    for (name, profile) in names.iter().zip(profiles.iter_mut()) {
        let declared = fields.field_with_name(name).ok().and_then(|field| arrays::type_of(field.data_type()));
        profile.get_or_insert_with(|| Profile::new(declared));
    }
    let mut parquet = ParquetFile::open(path, Some(&wanted))?;
    let mut texts: Vec<Texts> = names.iter().map(|_| Texts::default()).collect();
    while let Some(batch) = parquet.next()? {
        for (((name, profile), nulls), texts) in names.iter().zip(profiles.iter_mut()).zip(&nulls).zip(&mut texts) {
            let column = batch.column_by_name(name).and_then(arrays::column_of);
            let (Some(column), Some(profile)) = (column, profile) else { continue };
            for row in (0..batch.num_rows()).filter(|row| !column.is_null(*row)) {
                let value = column.value(row, texts);
                let null = matches!(&value, relational::Value::Text(text) if is_null_text(text, nulls));
                if !null {
                    profile.see_value(&value);
                }
            }
        }
    }
    Ok(())
}

/// The texts that mean null in a column.
pub(super) fn null_values(file: &TableFile, column: &str) -> Vec<String> {
    let said = file.columns.get(column).into_iter().flat_map(|said| &said.null_values);
    file.null_values.iter().chain(said).cloned().collect()
}
