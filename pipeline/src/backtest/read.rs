//! `scores.parquet` as it is evaluated.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Schema, SchemaRef, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use relational::{EventTime, TaskKind};

use super::parts::named;
use super::table::{Layout, QUANTILES};
use crate::world::Failure;

/// Rows that are read at once.
const BATCH: usize = 65_536;

/// The rows of a file.
#[derive(Debug)]
pub(super) struct Scores {
    rows: RecordBatch,
    layout: Layout,
}

/// What came true of the rows that are evaluated.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Truths {
    Binary(Vec<bool>),
    Classes(Vec<String>),
    Numbers(Vec<f64>),
    Lists(Vec<Vec<String>>),
}

/// What one member says of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answers {
    Binary(Vec<f64>),
    Classes(Vec<BTreeMap<String, f64>>),
    Quantiles(Vec<[f64; 9]>),
    Rankings(Vec<Vec<String>>),
}

impl Truths {
    /// Those of some rows.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Binary(all) => Self::Binary(select(all, rows)),
            Self::Classes(all) => Self::Classes(select(all, rows)),
            Self::Numbers(all) => Self::Numbers(select(all, rows)),
            Self::Lists(all) => Self::Lists(select(all, rows)),
        }
    }
}

impl Answers {
    /// Those of some rows.
    pub(super) fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Binary(all) => Self::Binary(select(all, rows)),
            Self::Classes(all) => Self::Classes(select(all, rows)),
            Self::Quantiles(all) => Self::Quantiles(select(all, rows)),
            Self::Rankings(all) => Self::Rankings(select(all, rows)),
        }
    }
}

pub(super) fn select<T: Clone>(all: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|row| all[*row].clone()).collect()
}

impl Scores {
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(super) fn open(path: &Path, layout: Layout) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| named(path, error);
        let file = File::open(path).map_err(|error| failed(&error))?;
        let as_written = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|error| failed(&error))?;
        let options = ArrowReaderOptions::new().with_schema(compact(as_written.schema()));
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
        let builder = builder.map_err(|error| failed(&error))?.with_batch_size(BATCH);
        let schema = Arc::clone(builder.schema());
        let reader = builder.build().map_err(|error| failed(&error))?;
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| failed(&error))?;
        let rows = concat_batches(&schema, &batches).map_err(|error| failed(&error))?;
        Ok(Self { rows, layout })
    }

    /// The rows of one level of a stress test, in their order.
    pub(super) fn of_level(&self, curve: &str, level: &str) -> Self {
        let (curves, levels) = (self.texts("curve"), self.texts("level"));
        let is = curves.iter().zip(levels).map(|(of, at)| *of == Some(curve) && at == Some(level));
        let is: BooleanArray = is.map(Some).collect();
        let rows = filter_record_batch(&self.rows, &is).expect("there is an answer for every row");
        Self { rows, layout: self.layout.clone() }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn len(&self) -> usize {
        self.rows.num_rows()
    }

    fn column(&self, name: &str) -> &dyn Array {
        self.rows.column_by_name(name).expect("the file was written with this layout")
    }

    pub(super) fn cutoffs(&self) -> Vec<EventTime> {
        let times = self.column("cutoff").as_primitive::<TimestampMicrosecondType>();
        times.values().iter().map(|micros| EventTime(*micros)).collect()
    }

    pub(super) fn texts(&self, name: &str) -> Vec<Option<&str>> {
        let column = self.column(name);
        match column.as_dictionary_opt::<Int32Type>().and_then(|column| column.downcast_dict::<StringArray>()) {
            Some(texts) => texts.into_iter().collect(),
            None => column.as_string::<i32>().iter().collect(),
        }
    }

    pub(super) fn whole(&self, name: &str) -> Vec<Option<i32>> {
        self.column(name).as_primitive::<Int32Type>().iter().collect()
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        self.column(name).as_primitive::<Float64Type>().iter().map(|number| number.unwrap_or(f64::NAN)).collect()
    }

    /// The rows whose label of a timeframe is known and that every member has answered.
    pub(super) fn evaluated(&self, timeframe: usize) -> Vec<usize> {
        let state = self.texts(&format!("label_state{}", self.layout.suffix(timeframe)));
        let answered = self.texts("context");
        (0..self.len()).filter(|row| state[*row] == Some("known") && answered[*row].is_some()).collect()
    }

    /// What came true of some rows.
    pub(super) fn truths(&self, timeframe: usize, rows: &[usize]) -> Truths {
        let name = format!("label{}", self.layout.suffix(timeframe));
        match self.layout.kind {
            TaskKind::Binary => {
                let labels = self.whole(&name);
                Truths::Binary(rows.iter().map(|row| labels[*row] == Some(1)).collect())
            }
            TaskKind::Regression | TaskKind::Forecast => {
                let labels = self.numbers(&name);
                Truths::Numbers(rows.iter().map(|row| labels[*row]).collect())
            }
            TaskKind::Multiclass => {
                let labels = self.texts(&name);
                Truths::Classes(rows.iter().map(|row| labels[*row].unwrap_or_default().to_owned()).collect())
            }
            TaskKind::Ranking => {
                let labels = self.texts(&name);
                Truths::Lists(rows.iter().map(|row| json(labels[*row])).collect())
            }
        }
    }

    /// What a member says of some rows.
    pub(super) fn answers(&self, member: usize, timeframe: usize, rows: &[usize]) -> Answers {
        let (prefix, suffix) = (self.layout.prefix(member), self.layout.suffix(timeframe));
        let name = |column: &str| format!("{prefix}{column}{suffix}");
        match self.layout.kind {
            TaskKind::Binary => {
                let scores = self.numbers(&name("prediction"));
                Answers::Binary(rows.iter().map(|row| scores[*row]).collect())
            }
            TaskKind::Regression | TaskKind::Forecast => {
                let columns = QUANTILES.map(|quantile| self.numbers(&name(quantile)));
                Answers::Quantiles(
                    rows.iter().map(|row| std::array::from_fn(|quantile| columns[quantile][*row])).collect(),
                )
            }
            TaskKind::Multiclass => {
                let shares = self.texts(&name("probabilities"));
                Answers::Classes(rows.iter().map(|row| json(shares[*row])).collect())
            }
            TaskKind::Ranking => {
                let ranked = self.texts(&name("prediction"));
                let keys =
                    |row: &usize| json::<Vec<(String, f64)>>(ranked[*row]).into_iter().map(|(key, _)| key).collect();
                Answers::Rankings(rows.iter().map(keys).collect())
            }
        }
    }
}

/// The columns of few different texts as numbers of those: of millions of rows they are most of the file.
fn compact(schema: &Schema) -> SchemaRef {
    let is_of_few = |name: &str| {
        let starts = ["label_state", "segment_"].iter().any(|start| name.starts_with(start));
        starts || ["model", "fallback", "context", "curve", "level"].contains(&name)
    };
    let fields = schema.fields().iter().map(|field| {
        if !is_of_few(field.name()) {
            return field.as_ref().clone();
        }
        let of_few = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        field.as_ref().clone().with_data_type(of_few)
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn json<T: serde::de::DeserializeOwned + Default>(text: Option<&str>) -> T {
    text.map_or_else(T::default, |text| serde_json::from_str(text).expect("the file was written by this program"))
}
