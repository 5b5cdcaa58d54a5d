//! One column of some rows, held compactly.

use std::sync::Arc;

use arrow::array::{
    Array, BinaryArray, BooleanArray, BooleanBuilder, Date32Array, Date32Builder, Decimal128Array, Float64Array,
    Float64Builder, Int64Array, Int64Builder, ListArray, StringArray, StringBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder,
};
use relational::{DataType, Decimal, EventTime, Value};
use rustc_hash::FxHashSet;

use super::arrays;
use crate::coerce;

/// The values of a column in consecutive rows.
#[derive(Debug, Clone)]
pub(super) enum Column {
    Bool(BooleanArray),
    Int(Int64Array),
    Float(Float64Array),
    Time(TimestampMicrosecondArray),
    Date(Date32Array),
    Text(StringArray),
    Decimal(Decimal128Array),
    Bytes(BinaryArray),
    List(ListArray),
    /// Values as they are written, of a type whose values are worth no array of their own: decimals that keep each its
    /// own scale, bytes and lists from text. Every one has been read once, so that none can fail.
    Written(StringArray, DataType),
}

impl Column {
    /// The value in a row. NaN is null.
    pub(super) fn value(&self, row: usize, texts: &mut Texts) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        match self {
            Self::Bool(array) => Value::Bool(array.value(row)),
            Self::Int(array) => Value::Int(array.value(row)),
            Self::Float(array) => Value::Float(array.value(row)),
            Self::Time(array) => Value::Time(EventTime(array.value(row))),
            Self::Date(array) => Value::Date(array.value(row)),
            Self::Text(array) => Value::Text(texts.get(array.value(row))),
            Self::Decimal(array) => Value::Decimal(Decimal { unscaled: array.value(row), scale: array.scale() }),
            Self::Bytes(array) => Value::Bytes(array.value(row).into()),
            Self::List(array) => list(&array.value(row), texts),
            Self::Written(array, data_type) => coerce::from_text(array.value(row), *data_type).unwrap_or_default(),
        }
    }

    /// Whether a row has no value here.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array().is_null(row) || matches!(self, Self::Float(array) if array.value(row).is_nan())
    }

    /// The values of a time or date column as microseconds, [`i64::MIN`] for null and for columns of other types.
    pub(super) fn times(&self) -> Vec<i64> {
        match self {
            Self::Time(array) => array.iter().map(|time| time.unwrap_or(i64::MIN)).collect(),
            Self::Date(array) => {
                array.iter().map(|days| days.map_or(i64::MIN, |days| i64::from(days) * EventTime::DAY)).collect()
            }
            other => vec![i64::MIN; other.array().len()],
        }
    }

    /// The values as an array.
    pub(super) fn array(&self) -> &dyn Array {
        match self {
            Self::Bool(array) => array,
            Self::Int(array) => array,
            Self::Float(array) => array,
            Self::Time(array) => array,
            Self::Date(array) => array,
            Self::Text(array) | Self::Written(array, _) => array,
            Self::Decimal(array) => array,
            Self::Bytes(array) => array,
            Self::List(array) => array,
        }
    }

    /// The type of the values.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Bool(_) => DataType::Bool,
            Self::Int(_) => DataType::Int,
            Self::Float(_) => DataType::Float,
            Self::Time(_) => DataType::Time,
            Self::Date(_) => DataType::Date,
            Self::Text(_) => DataType::Text,
            Self::Decimal(_) => DataType::Decimal,
            Self::Bytes(_) => DataType::Bytes,
            Self::List(_) => DataType::List,
            Self::Written(_, data_type) => *data_type,
        }
    }
}

/// Elements of a type that cannot be read are null.
fn list(elements: &arrow::array::ArrayRef, texts: &mut Texts) -> Value {
    match arrays::column_of(elements) {
        Some(column) => Value::List((0..elements.len()).map(|index| column.value(index, texts)).collect()),
        None => Value::List((0..elements.len()).map(|_| Value::Null).collect()),
    }
}

/// Texts that were met before, so that equal ones share their memory.
#[derive(Debug, Default)]
pub(super) struct Texts(FxHashSet<Arc<str>>);

/// Beyond this many distinct texts a column is not worth sharing: new ones get memory of their own.
const SHARED_TEXTS_MAX: usize = 1 << 16;

impl Texts {
    fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(shared) = self.0.get(text) {
            return Arc::clone(shared);
        }
        let shared = Arc::from(text);
        if self.0.len() < SHARED_TEXTS_MAX {
            self.0.insert(Arc::clone(&shared));
        }
        shared
    }
}

/// Makes a [`Column`] of one type.
#[derive(Debug)]
pub(super) enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Time(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Text(StringBuilder),
    Written(StringBuilder, DataType),
}

impl Builder {
    /// An empty column of this type.
    pub(super) fn new(data_type: DataType) -> Self {
        match data_type {
            DataType::Bool => Self::Bool(BooleanBuilder::new()),
            DataType::Int => Self::Int(Int64Builder::new()),
            DataType::Float => Self::Float(Float64Builder::new()),
            DataType::Time => Self::Time(TimestampMicrosecondBuilder::new()),
            DataType::Date => Self::Date(Date32Builder::new()),
            DataType::Text => Self::Text(StringBuilder::new()),
            DataType::Decimal | DataType::Bytes | DataType::List => Self::Written(StringBuilder::new(), data_type),
        }
    }

    /// Adds a text that needs no reading.
    pub(super) fn push_text(&mut self, text: &str) {
        match self {
            Self::Text(builder) | Self::Written(builder, _) => builder.append_value(text),
            _ => self.push(&Value::Null),
        }
    }

    /// Adds a value of the column's type; anything else is null.
    pub(super) fn push(&mut self, value: &Value) {
        match (self, value) {
            (Self::Bool(builder), Value::Bool(value)) => builder.append_value(*value),
            (Self::Int(builder), Value::Int(value)) => builder.append_value(*value),
            (Self::Float(builder), Value::Float(value)) => builder.append_value(*value),
            (Self::Time(builder), Value::Time(value)) => builder.append_value(value.0),
            (Self::Date(builder), Value::Date(value)) => builder.append_value(*value),
            (Self::Text(builder), Value::Text(value)) => builder.append_value(value),
            (Self::Written(builder, _), Value::Decimal(value)) => builder.append_value(value.to_string()),
            (Self::Bool(builder), _) => builder.append_null(),
            (Self::Int(builder), _) => builder.append_null(),
            (Self::Float(builder), _) => builder.append_null(),
            (Self::Time(builder), _) => builder.append_null(),
            (Self::Date(builder), _) => builder.append_null(),
            (Self::Text(builder) | Self::Written(builder, _), _) => builder.append_null(),
        }
    }

    /// The column.
    pub(super) fn finish(self) -> Column {
        match self {
            Self::Bool(mut builder) => Column::Bool(builder.finish()),
            Self::Int(mut builder) => Column::Int(builder.finish()),
            Self::Float(mut builder) => Column::Float(builder.finish()),
            Self::Time(mut builder) => Column::Time(builder.finish()),
            Self::Date(mut builder) => Column::Date(builder.finish()),
            Self::Text(mut builder) => Column::Text(builder.finish()),
            Self::Written(mut builder, data_type) => Column::Written(builder.finish(), data_type),
        }
    }
}
