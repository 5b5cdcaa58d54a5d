//! Arrow's many types as ours.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use relational::DataType;

use super::column::Column;

/// Our type for Arrow's; `None` for structs, maps and what else has no counterpart.
pub(super) fn type_of(arrow: &ArrowType) -> Option<DataType> {
    use ArrowType as A;
    Some(match arrow {
        A::Boolean => DataType::Bool,
        A::Int8 | A::Int16 | A::Int32 | A::Int64 | A::UInt8 | A::UInt16 | A::UInt32 | A::UInt64 | A::Duration(_) => {
            DataType::Int
        }
        A::Float16 | A::Float32 | A::Float64 => DataType::Float,
        A::Utf8 | A::LargeUtf8 | A::Utf8View | A::Time32(_) | A::Time64(_) | A::Null => DataType::Text,
        A::Timestamp(..) => DataType::Time,
        A::Date32 | A::Date64 => DataType::Date,
        A::Decimal32(..) | A::Decimal64(..) | A::Decimal128(..) | A::Decimal256(..) => DataType::Decimal,
        A::Binary | A::LargeBinary | A::BinaryView | A::FixedSizeBinary(_) => DataType::Bytes,
        A::Dictionary(_, values) => type_of(values)?,
        A::List(element) | A::LargeList(element) | A::FixedSizeList(element, _) => {
            type_of(element.data_type())?;
            DataType::List
        }
        _ => return None,
    })
}

/// The array as a column; values that ours cannot hold (an unsigned number beyond 63 bits) become null. `None` for
/// types without a counterpart.
pub(super) fn column_of(array: &ArrayRef) -> Option<Column> {
    let target = match type_of(array.data_type())? {
        DataType::Bool => ArrowType::Boolean,
        DataType::Int => ArrowType::Int64,
        DataType::Float => ArrowType::Float64,
        DataType::Text => ArrowType::Utf8,
        // A time zone says how the instant is shown, not which it is.
        DataType::Time => match array.data_type() {
            ArrowType::Timestamp(_, zone) => ArrowType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            _ => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        },
        DataType::Date => ArrowType::Date32,
        DataType::Decimal => ArrowType::Decimal128(38, scale_of(array.data_type())),
        DataType::Bytes => ArrowType::Binary,
        DataType::List => list_type(array.data_type())?,
    };
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let cast = if *array.data_type() == target {
        array.clone()
    } else {
        cast_with_options(array.as_ref(), &target, &options).ok()?
    };
    Some(match target {
        ArrowType::Boolean => Column::Bool(cast.as_boolean().clone()),
        ArrowType::Int64 => Column::Int(cast.as_primitive::<Int64Type>().clone()),
        ArrowType::Float64 => Column::Float(cast.as_primitive::<Float64Type>().clone()),
        ArrowType::Utf8 => Column::Text(cast.as_string::<i32>().clone()),
        ArrowType::Timestamp(..) => Column::Time(cast.as_primitive::<TimestampMicrosecondType>().clone()),
        ArrowType::Date32 => Column::Date(cast.as_primitive::<Date32Type>().clone()),
        ArrowType::Decimal128(..) => Column::Decimal(cast.as_primitive::<Decimal128Type>().clone()),
        ArrowType::Binary => Column::Bytes(cast.as_binary::<i32>().clone()),
        _ => Column::List(cast.as_list::<i32>().clone()),
    })
}

fn scale_of(arrow: &ArrowType) -> i8 {
    match arrow {
        ArrowType::Decimal32(_, scale)
        | ArrowType::Decimal64(_, scale)
        | ArrowType::Decimal128(_, scale)
        | ArrowType::Decimal256(_, scale) => *scale,
        ArrowType::Dictionary(_, values) => scale_of(values),
        _ => 0,
    }
}

fn list_type(arrow: &ArrowType) -> Option<ArrowType> {
    match arrow {
        ArrowType::List(element) | ArrowType::LargeList(element) | ArrowType::FixedSizeList(element, _) => {
            Some(ArrowType::List(element.clone()))
        }
        ArrowType::Dictionary(_, values) => list_type(values),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date64Array, Decimal256Array, DictionaryArray, FixedSizeBinaryArray, Int8Array, LargeStringArray, ListArray,
        TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
    };
    use arrow::datatypes::{Int32Type, i256};
    use relational::{Decimal, EventTime, Value};

    use super::*;
    use crate::files::column::Texts;

    fn first(array: impl Array + 'static) -> Value {
        let array: ArrayRef = Arc::new(array);
        column_of(&array).map_or(Value::Null, |column| column.value(0, &mut Texts::default()))
    }

    #[test]
    fn arrow_types_become_ours() {
        assert_eq!(first(Int8Array::from(vec![-3])), Value::Int(-3));
        assert_eq!(first(UInt64Array::from(vec![u64::MAX])), Value::Null);
        assert_eq!(first(LargeStringArray::from(vec!["a"])), Value::text("a"));
        let zoned = TimestampNanosecondArray::from(vec![1_500]).with_timezone("Europe/Berlin");
        assert_eq!(first(zoned), Value::Time(EventTime(1)));
        assert_eq!(first(TimestampSecondArray::from(vec![2])), Value::Time(EventTime(2_000_000)));
        assert_eq!(first(Date64Array::from(vec![86_400_000])), Value::Date(1));
        let decimal = Decimal256Array::from(vec![i256::from(150)]).with_precision_and_scale(40, 2).expect("valid");
        assert_eq!(first(decimal), Value::Decimal(Decimal { unscaled: 150, scale: 2 }));
        let dictionary: DictionaryArray<Int32Type> = vec!["x", "y"].into_iter().collect();
        assert_eq!(first(dictionary), Value::text("x"));
        let bytes = FixedSizeBinaryArray::try_from_iter([[1u8, 2]].into_iter()).expect("valid");
        assert_eq!(first(bytes), Value::Bytes(vec![1, 2].into()));
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
        assert_eq!(first(list), Value::List(vec![Value::Int(1), Value::Null].into()));
    }
}
