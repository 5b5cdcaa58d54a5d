//! Consecutive records of a file, read as the types of their table. Every value that gets into a chunk fits; records
//! with a value that does not are kept beside, with the reason.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use relational::{DataType, EventTime, Stage, Value};

use super::arrays;
use super::column::{Builder, Column, Texts};
use super::csv_file::CsvFile;
use super::parquet_file::BATCH_ROWS;
use crate::Error;
use crate::coerce::{self, EpochUnit, Misfit};

/// What is read of a table's files.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) table: String,
    pub(super) columns: Vec<Wanted>,
    /// The place of the time column among `columns`.
    pub(super) time: Option<usize>,
}

/// One column to read.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) unit: Option<EpochUnit>,
    pub(super) null_values: Vec<String>,
    /// What the column is to its table when a row cannot do without.
    pub(super) required: Option<&'static str>,
}

/// Why a record was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) stage: Stage,
    pub(super) reason: String,
    /// As it stands in the file, for text.
    pub(super) original: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// Which of the table's files.
    pub(super) file: usize,
    /// The number of the first record in that file.
    pub(super) first_in_file: u64,
    /// The number of the first record in the table.
    pub(super) first_in_table: u64,
    pub(super) rows: usize,
    pub(super) columns: Vec<Column>,
    pub(super) refused: BTreeMap<usize, Refusal>,
    /// For tables with time; [`EventTime::MIN`] for refused records.
    times: Vec<i64>,
}

impl Chunk {
    /// The row's own time; [`EventTime::MIN`] where it has none.
    pub(super) fn time(&self, row: usize) -> EventTime {
        EventTime(self.times.get(row).copied().unwrap_or(i64::MIN))
    }

    fn new(layout: &Layout, rows: usize, columns: Vec<Column>, mut refused: BTreeMap<usize, Refusal>) -> Self {
        for (wanted, column) in layout.columns.iter().zip(&columns) {
            let Some(role) = wanted.required else { continue };
            for row in (0..rows).filter(|row| column.is_null(*row)) {
                let reason = format!("column `{}` is empty, but it is {role} of table `{}`", wanted.name, layout.table);
                let refusal = Refusal { stage: Stage::Fit, reason, original: None };
                refused.entry(row).or_insert(refusal);
            }
        }
        let mut times = layout.time.map(|time| columns[time].times()).unwrap_or_default();
        for row in refused.keys().filter(|_| layout.time.is_some()) {
            times[*row] = i64::MIN;
        }
        Self { file: 0, first_in_file: 0, first_in_table: 0, rows, columns, refused, times }
    }
}

/// The next records of a CSV file; `places` are the wanted columns' places in its header. `None` at the end.
pub(super) fn from_csv(file: &mut CsvFile, places: &[usize], layout: &Layout) -> Result<Option<Chunk>, Error> {
    let fields = file.header().len();
    let mut builders: Vec<Builder> = layout.columns.iter().map(|wanted| Builder::new(wanted.data_type)).collect();
    let mut refused = BTreeMap::new();
    let mut rows = 0;
    while rows < BATCH_ROWS && file.advance()? {
        let record = file.record();
        let mut refusal = (record.len() != fields)
            .then(|| (Stage::Decode, format!("the line has {} fields but the header {fields} columns", record.len())));
        let mut missing = None;
        for ((wanted, builder), place) in layout.columns.iter().zip(&mut builders).zip(places) {
            let field = record.get(*place).unwrap_or_default();
            let read = if refusal.is_some() { Ok(None) } else { wanted.read(field, builder) };
            match read {
                Ok(Some(())) => {}
                Ok(None) => {
                    builder.push(&Value::Null);
                    missing = missing.or(wanted.required.map(|role| (wanted, role)));
                }
                Err((stage, reason)) => {
                    builder.push(&Value::Null);
                    refusal = Some((stage, format!("column `{}`: {reason}", wanted.name)));
                }
            }
        }
        if let (None, Some((wanted, role))) = (&refusal, missing) {
            let reason = format!("column `{}` is empty, but it is {role} of table `{}`", wanted.name, layout.table);
            refusal = Some((Stage::Fit, reason));
        }
        if let Some((stage, reason)) = refusal {
            refused.insert(rows, Refusal { stage, reason, original: Some(file.original()) });
        }
        rows += 1;
    }
    let columns = builders.into_iter().map(Builder::finish).collect();
    Ok((rows > 0).then(|| Chunk::new(layout, rows, columns, refused)))
}

impl Wanted {
    /// Reads a CSV field into the column; `None` when it is null and nothing was added.
    fn read(&self, field: &[u8], builder: &mut Builder) -> Result<Option<()>, (Stage, String)> {
        if field.is_empty() {
            return Ok(None);
        }
        let Ok(text) = std::str::from_utf8(field) else {
            let shown = String::from_utf8_lossy(&field[..field.len().min(80)]);
            return Err((Stage::Decode, format!("`{shown}` is not UTF-8; convert the file to UTF-8")));
        };
        let is_number = matches!(self.data_type, DataType::Int | DataType::Float | DataType::Decimal);
        if is_null_text(text, &self.null_values) || is_number && text.eq_ignore_ascii_case("nan") {
            return Ok(None);
        }
        if self.data_type == DataType::Text {
            builder.push_text(text);
            return Ok(Some(()));
        }
        let value = self.value(text).map_err(|misfit| (Stage::Fit, misfit.to_string()))?;
        match (self.data_type, builder) {
            // The scale and the spelling are kept.
            (DataType::Decimal | DataType::Bytes | DataType::List, builder) => builder.push_text(text),
            (_, builder) => builder.push(&value),
        }
        Ok(Some(()))
    }

    fn value(&self, text: &str) -> Result<Value, Misfit> {
        if self.data_type == DataType::Time
            && let Ok(number @ (Value::Int(_) | Value::Float(_))) =
                coerce::from_text(text, DataType::Int).or_else(|_| coerce::from_text(text, DataType::Float))
        {
            return self.convert(number);
        }
        coerce::from_text(text, self.data_type)
    }

    fn convert(&self, value: Value) -> Result<Value, Misfit> {
        if let (DataType::Time, Some(unit)) = (self.data_type, self.unit)
            && let Ok(Value::Int(number)) = coerce::to_type(value.clone(), DataType::Int)
        {
            return Ok(Value::Time(unit.instant(number)));
        }
        coerce::to_type(value, self.data_type)
    }
}

/// Whether a text means null: `\N`, or one of these.
pub(super) fn is_null_text(text: &str, null_values: &[String]) -> bool {
    text == "\\N" || null_values.iter().any(|null| null == text)
}

/// Rows of a Parquet file.
pub(super) fn from_batch(path: &Path, batch: &RecordBatch, layout: &Layout) -> Result<Chunk, Error> {
    let mut refused = BTreeMap::new();
    let mut columns = Vec::with_capacity(layout.columns.len());
    for wanted in &layout.columns {
        let natural = batch.column_by_name(&wanted.name).and_then(|array| Some((array, arrays::column_of(array)?)));
        let Some((array, natural)) = natural else {
            let reason = format!("has no column `{}` of a type that can be read", wanted.name);
            return Err(Error::Content { path: path.to_owned(), reason });
        };
        if natural.array().null_count() > array.null_count() {
            let lost = (0..batch.num_rows()).filter(|row| array.is_valid(*row) && natural.array().is_null(*row));
            for row in lost {
                let value = array_value_to_string(array, row).unwrap_or_default();
                refuse(&mut refused, row, &wanted.name, Misfit { value, wanted: natural.data_type() });
            }
        }
        let as_is = natural.data_type() == wanted.data_type && wanted.null_values.is_empty();
        columns.push(if as_is { natural } else { converted(&natural, wanted, &mut refused) });
    }
    Ok(Chunk::new(layout, batch.num_rows(), columns, refused))
}

fn converted(natural: &Column, wanted: &Wanted, refused: &mut BTreeMap<usize, Refusal>) -> Column {
    let mut texts = Texts::default();
    let mut builder = Builder::new(wanted.data_type);
    for row in 0..natural.array().len() {
        let value = natural.value(row, &mut texts);
        let text = if let Value::Text(text) = &value { Some(text.clone()) } else { None };
        if text.as_ref().is_some_and(|text| is_null_text(text, &wanted.null_values)) {
            builder.push(&Value::Null);
            continue;
        }
        match (wanted.convert(value), text, &mut builder) {
            (Ok(_), Some(text), Builder::Written(..)) => builder.push_text(&text),
            (Ok(value), ..) => builder.push(&value),
            (Err(misfit), ..) => {
                builder.push(&Value::Null);
                refuse(refused, row, &wanted.name, misfit);
            }
        }
    }
    builder.finish()
}

fn refuse(refused: &mut BTreeMap<usize, Refusal>, row: usize, column: &str, misfit: Misfit) {
    let reason = format!("column `{column}`: {misfit}");
    refused.entry(row).or_insert(Refusal { stage: Stage::Fit, reason, original: None });
}
