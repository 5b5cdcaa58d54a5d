//! Constants take the type of what they are compared with.

use relational::{Aggregate, ColumnRef, DataType, Decimal, EventTime, Function, Schema, Value};

use super::names;
use crate::error::Fault;
use crate::parser::function_name;
use crate::syntax::{Literal, LiteralKind};

/// What a constant is compared with.
pub(crate) struct Comparand {
    data_type: DataType,
    name: String,
}

impl Comparand {
    pub(crate) fn column(schema: &Schema, column: ColumnRef) -> Self {
        let data_type = schema.table(column.table).columns[usize::from(column.column.0)].data_type;
        Self { data_type, name: format!("`{}`", names::written(schema, column.table, column.column)) }
    }

    pub(crate) fn aggregate(schema: &Schema, aggregate: &Aggregate) -> Self {
        let data_type = result_type(schema, aggregate);
        Self { data_type, name: function_name(aggregate.function).to_owned() }
    }

    /// How its values are stored.
    pub(crate) fn data_type(&self) -> DataType {
        self.data_type
    }

    /// How it is named in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The constant of `IS` and `IS NOT`: null, or a boolean where that is the type.
    pub(crate) fn truth(&self, literal: &Literal) -> Result<Value, Fault> {
        match (&literal.kind, self.data_type) {
            (LiteralKind::Null, _) => Ok(Value::Null),
            (LiteralKind::Bool(_), DataType::Bool) => self.value(literal),
            (LiteralKind::Bool(_), _) => Err(self.mismatch(literal, "a boolean")),
            _ => Err(Fault::new(literal.span, "IS asks for NULL, TRUE or FALSE").hint("compare other values with =")),
        }
    }

    /// The literal as a value of this type.
    pub(crate) fn value(&self, literal: &Literal) -> Result<Value, Fault> {
        match &literal.kind {
            LiteralKind::Null => Ok(Value::Null),
            LiteralKind::Bool(value) => match self.data_type {
                DataType::Bool | DataType::List => Ok(Value::Bool(*value)),
                _ => Err(self.mismatch(literal, "a boolean")),
            },
            LiteralKind::Number(number) => self.number(literal, number),
            LiteralKind::Text(text) => match self.data_type {
                DataType::Text | DataType::List => Ok(Value::text(text)),
                DataType::Time | DataType::Date => self.moment(literal, text),
                DataType::Int | DataType::Decimal | DataType::Float => {
                    Err(self.mismatch(literal, "a text").hint("numbers are written without quotes"))
                }
                DataType::Bool | DataType::Bytes => Err(self.mismatch(literal, "a text")),
            },
            LiteralKind::Moment(text) => match self.data_type {
                DataType::Text => Ok(Value::text(text)),
                DataType::Time | DataType::Date | DataType::List => self.moment(literal, text),
                _ => Err(self.mismatch(literal, "a time")),
            },
        }
    }

    fn number(&self, literal: &Literal, number: &str) -> Result<Value, Fault> {
        let float: f64 = number
            .parse()
            .ok()
            .filter(|float: &f64| float.is_finite())
            .ok_or_else(|| Fault::new(literal.span, format!("the number `{number}` is too large")))?;
        let whole = number.parse::<i64>().ok();
        Ok(match self.data_type {
            DataType::Text => Value::text(number),
            DataType::Float => Value::Float(float),
            DataType::Decimal => {
                // Display never writes an exponent, which decimals cannot read.
                let exact = Decimal::parse(number).or_else(|| Decimal::parse(&float.to_string()));
                exact.map_or(Value::Float(float), Value::Decimal)
            }
            DataType::Int | DataType::List => whole.map_or(Value::Float(float), Value::Int),
            DataType::Bool => match whole {
                Some(0) => Value::Bool(false),
                Some(1) => Value::Bool(true),
                _ => return Err(self.mismatch(literal, "a number").hint("booleans are TRUE, FALSE, 1 and 0")),
            },
            DataType::Time | DataType::Date => {
                let fault = self.mismatch(literal, "a number");
                return Err(fault.hint("a time is written '2024-01-31 12:00:00' or 2024-01-31"));
            }
            DataType::Bytes => return Err(self.mismatch(literal, "a number")),
        })
    }

    /// A day stays a day unless the column holds instants.
    fn moment(&self, literal: &Literal, text: &str) -> Result<Value, Fault> {
        let Some(time) = EventTime::parse(text) else {
            let fault = Fault::new(literal.span, format!("`{text}` is not a time"));
            return Err(fault.hint("a time is written '2024-01-31', '2024-01-31 12:00:00' or in RFC 3339"));
        };
        let day = i32::try_from(time.0.div_euclid(EventTime::DAY)).ok().filter(|_| time.0 % EventTime::DAY == 0);
        Ok(match (self.data_type, day) {
            (DataType::Date | DataType::List, Some(day)) => Value::Date(day),
            _ => Value::Time(time),
        })
    }

    fn mismatch(&self, literal: &Literal, found: &str) -> Fault {
        let message = format!("{} is of type {} and cannot be compared with {found}", self.name, self.data_type.name());
        Fault::new(literal.span, message)
    }
}

/// How the values of an aggregate are stored.
pub(crate) fn result_type(schema: &Schema, aggregate: &Aggregate) -> DataType {
    let of_column = || {
        let column = aggregate.column.expect("only COUNT takes rows, checked by the resolver");
        schema.table(aggregate.table).columns[usize::from(column.0)].data_type
    };
    match aggregate.function {
        Function::Sum | Function::Avg => DataType::Float,
        Function::Count | Function::CountDistinct => DataType::Int,
        Function::Min | Function::Max | Function::First | Function::Last => of_column(),
        Function::ListDistinct => DataType::List,
    }
}
