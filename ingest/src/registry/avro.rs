//! Avro: schemas as Connect writes them, and bodies as JSON.
//!
//! Connect's converter keeps its own types in properties of the Avro schema (`connect.name`, `connect.parameters`); where
//! these are missing, Avro's logical types say the same.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum_schemata};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use relational::limits::RECORD_BYTES_MAX;
use serde_json::{Map, Value as Json, json};

/// Nodes of one schema once everything that it refers to stands in its place.
const NODES_MAX: usize = 50_000;

/// An Avro schema as Connect's JSON converter writes it.
///
/// # Errors
///
/// When it refers to something unknown, or to itself: rows are flat, and a body could nest as deep as it is long.
pub(super) fn connect_schema(schema: &Json, others: &[Json]) -> Result<Json, String> {
    let mut walk = Walk { named: BTreeMap::new(), open: Vec::new(), nodes: 0 };
    for schema in others.iter().chain([schema]) {
        walk.collect(schema, "");
    }
    walk.node(schema, "")
}

struct Walk<'a> {
    /// Full names, and what they name with the namespace around it.
    named: BTreeMap<String, (&'a Json, String)>,
    /// The names that are being written.
    open: Vec<String>,
    nodes: usize,
}

impl<'a> Walk<'a> {
    fn collect(&mut self, schema: &'a Json, namespace: &str) {
        match schema {
            Json::Array(variants) => variants.iter().for_each(|variant| self.collect(variant, namespace)),
            Json::Object(object) => {
                let mut inner = namespace.to_owned();
                if let Some((name, own)) = full_name(object, namespace) {
                    self.named.insert(name, (schema, namespace.to_owned()));
                    inner = own;
                }
                for part in ["type", "items", "values"] {
                    object
                        .get(part)
                        .filter(|part| !part.is_string())
                        .into_iter()
                        .for_each(|part| self.collect(part, &inner));
                }
                for field in object.get("fields").and_then(Json::as_array).into_iter().flatten() {
                    field.get("type").into_iter().for_each(|part| self.collect(part, &inner));
                }
            }
            _ => {}
        }
    }

    fn node(&mut self, schema: &Json, namespace: &str) -> Result<Json, String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("it has more than {NODES_MAX} parts"));
        }
        match schema {
            Json::String(name) => match primitive(name) {
                Some(kind) => Ok(json!({ "type": kind })),
                None => self.reference(name, namespace),
            },
            Json::Array(variants) => self.union(variants, namespace),
            Json::Object(object) => self.object(object, namespace),
            other => Err(format!("`{other}` is no Avro type")),
        }
    }

    fn reference(&mut self, name: &str, namespace: &str) -> Result<Json, String> {
        let full =
            if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") };
        let found = self.named.get(&full).or_else(|| self.named.get(name)).cloned();
        let (schema, around) = found.ok_or_else(|| format!("it names `{full}`, which is nowhere defined"))?;
        self.node(schema, &around)
    }

    fn union(&mut self, variants: &[Json], namespace: &str) -> Result<Json, String> {
        let mut others = variants.iter().filter(|variant| *variant != "null");
        match (others.next(), others.next()) {
            (Some(only), None) => {
                let mut node = self.node(only, namespace)?;
                node["optional"] = json!(variants.len() > 1);
                Ok(node)
            }
            // Of several types: the value shows which.
            _ => Ok(json!({ "type": "union", "optional": true })),
        }
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<Json, String> {
        let kind = match object.get("type") {
            Some(Json::String(kind)) => kind.as_str(),
            Some(nested) => return self.node(nested, namespace),
            None => return Err("a part of it has no type".to_owned()),
        };
        let mut node = match kind {
            "record" | "error" => self.record(object, namespace)?,
            "array" => self.array(object.get("items").unwrap_or(&Json::Null), namespace)?,
            "map" => json!({ "type": "map" }),
            "enum" => json!({ "type": "string" }),
            "fixed" => json!({ "type": "bytes" }),
            name => match primitive(name) {
                Some(kind) => json!({ "type": kind }),
                None => self.reference(name, namespace)?,
            },
        };
        match (object.get("connect.name"), object.get("logicalType").and_then(Json::as_str)) {
            (Some(name), _) => {
                node["name"] = name.clone();
                object
                    .get("connect.parameters")
                    .into_iter()
                    .for_each(|parameters| node["parameters"] = parameters.clone());
            }
            (None, Some(logical)) => name_logical(&mut node, logical, object),
            (None, None) => {}
        }
        object
            .get("connect.default")
            .filter(|value| !value.is_null())
            .into_iter()
            .for_each(|value| node["default"] = value.clone());
        Ok(node)
    }

    /// Items of no bytes are refused: a body of a few bytes could hold millions of them.
    fn array(&mut self, items: &Json, namespace: &str) -> Result<Json, String> {
        let node = self.node(items, namespace)?;
        let is_nothing = *items == "null" || node.get("fields").and_then(Json::as_array).is_some_and(Vec::is_empty);
        if is_nothing {
            return Err("it has an array of nothing".to_owned());
        }
        Ok(json!({ "type": "array", "items": node }))
    }

    fn record(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<Json, String> {
        let (name, inner) = full_name(object, namespace).ok_or("a record of it has no name")?;
        if self.open.contains(&name) {
            return Err(format!("`{name}` contains itself, which no row of a table does"));
        }
        self.open.push(name.clone());
        let mut fields = Vec::new();
        for field in object.get("fields").and_then(Json::as_array).into_iter().flatten() {
            let mut node = self.node(field.get("type").unwrap_or(&Json::Null), &inner)?;
            node["field"] = field.get("name").cloned().unwrap_or_default();
            field
                .get("default")
                .filter(|value| !value.is_null())
                .into_iter()
                .for_each(|value| node["default"] = value.clone());
            fields.push(node);
        }
        self.open.pop();
        Ok(json!({ "type": "struct", "name": name, "fields": fields }))
    }
}

/// The full name of a record, enum or fixed, and the namespace for what stands in it.
fn full_name(object: &Map<String, Json>, around: &str) -> Option<(String, String)> {
    let is_named = matches!(object.get("type").and_then(Json::as_str), Some("record" | "error" | "enum" | "fixed"));
    let name = object.get("name").and_then(Json::as_str).filter(|_| is_named)?;
    if let Some((namespace, _)) = name.rsplit_once('.') {
        return Some((name.to_owned(), namespace.to_owned()));
    }
    let namespace = object.get("namespace").and_then(Json::as_str).unwrap_or(around);
    let full = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") };
    Some((full, namespace.to_owned()))
}

fn primitive(name: &str) -> Option<&'static str> {
    Some(match name {
        "null" | "string" => "string",
        "boolean" => "boolean",
        "int" => "int32",
        "long" => "int64",
        "float" => "float",
        "double" => "double",
        "bytes" => "bytes",
        _ => return None,
    })
}

/// Avro's own logical types by the names that Debezium and Connect have for them.
fn name_logical(node: &mut Json, logical: &str, object: &Map<String, Json>) {
    let name = match logical {
        "date" => "io.debezium.time.Date",
        "timestamp-millis" | "local-timestamp-millis" => "io.debezium.time.Timestamp",
        "timestamp-micros" | "local-timestamp-micros" => "io.debezium.time.MicroTimestamp",
        "timestamp-nanos" | "local-timestamp-nanos" => "io.debezium.time.NanoTimestamp",
        "decimal" | "big-decimal" => "org.apache.kafka.connect.data.Decimal",
        _ => return,
    };
    node["name"] = json!(name);
    if name.ends_with("Decimal") {
        let scale = object.get("scale").and_then(Json::as_i64).unwrap_or(0);
        node["parameters"] = json!({ "scale": scale.to_string() });
    }
}

/// Writes a body as JSON.
///
/// # Errors
///
/// When the body is not of this schema: too short, too long, or with something else in it.
pub(super) fn write(schema: &Schema, others: &[Schema], body: &[u8], text: &mut Vec<u8>) -> Result<(), String> {
    // Set once for the process: a count in a damaged body must not make the library reserve as much.
    apache_avro::max_allocation_bytes(RECORD_BYTES_MAX);
    let damaged = |error: &dyn std::fmt::Display| format!("the body of {} bytes is damaged: {error}", body.len());
    let schemas = others.iter().chain([schema]).collect();
    let mut bytes = Bytes(body);
    let value = from_avro_datum_schemata(schema, schemas, &mut bytes, None).map_err(|error| damaged(&error))?;
    if !bytes.0.is_empty() {
        return Err(damaged(&format!("{} bytes more than its schema describes", bytes.0.len())));
    }
    write_value(&value, text).map_err(|error| damaged(&error))
}

/// Bytes whose end is an error of its own: where a text, a boolean or a union is cut off, the library would else take
/// null for it.
struct Bytes<'a>(&'a [u8]);

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() && !buffer.is_empty() {
            return Err(io::Error::other("it ends before what its schema describes"));
        }
        self.0.read(buffer)
    }
}

fn write_value(value: &Value, text: &mut Vec<u8>) -> io::Result<()> {
    match value {
        Value::Null => text.write_all(b"null"),
        Value::Boolean(truth) => write!(text, "{truth}"),
        Value::Int(number) | Value::Date(number) | Value::TimeMillis(number) => write!(text, "{number}"),
        Value::Long(number)
        | Value::TimeMicros(number)
        | Value::TimestampMillis(number)
        | Value::TimestampMicros(number)
        | Value::TimestampNanos(number)
        | Value::LocalTimestampMillis(number)
        | Value::LocalTimestampMicros(number)
        | Value::LocalTimestampNanos(number) => write!(text, "{number}"),
        Value::Float(number) => {
            write_float(number.is_finite().then(|| format!("{number:?}")), f64::from(*number), text)
        }
        Value::Double(number) => write_float(number.is_finite().then(|| format!("{number:?}")), *number, text),
        Value::Bytes(bytes) | Value::Fixed(_, bytes) => write!(text, "\"{}\"", STANDARD.encode(bytes)),
        Value::Decimal(decimal) => {
            let bytes = Vec::<u8>::try_from(decimal).map_err(io::Error::other)?;
            write!(text, "\"{}\"", STANDARD.encode(bytes))
        }
        Value::BigDecimal(decimal) => write!(text, "{}", decimal.to_plain_string()),
        Value::Duration(duration) => write!(text, "\"{}\"", STANDARD.encode(<[u8; 12]>::from(*duration))),
        Value::Uuid(uuid) => write!(text, "\"{uuid}\""),
        Value::String(string) | Value::Enum(_, string) => Ok(serde_json::to_writer(text, string)?),
        Value::Union(_, inner) => write_value(inner, text),
        Value::Array(items) => {
            text.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    text.push(b',');
                }
                write_value(item, text)?;
            }
            text.write_all(b"]")
        }
        Value::Map(entries) => {
            // In the order of the names, for that of a hash table is not the same twice.
            let entries: BTreeMap<&String, &Value> = entries.iter().collect();
            write_object(entries.into_iter(), text)
        }
        Value::Record(fields) => write_object(fields.iter().map(|(name, value)| (name, value)), text),
    }
}

fn write_object<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>, text: &mut Vec<u8>) -> io::Result<()> {
    text.push(b'{');
    for (place, (name, value)) in fields.enumerate() {
        if place > 0 {
            text.push(b',');
        }
        serde_json::to_writer(&mut *text, name)?;
        text.push(b':');
        write_value(value, text)?;
    }
    text.write_all(b"}")
}

/// What JSON has no number for is text, as the JSON converter has it.
fn write_float(finite: Option<String>, number: f64, text: &mut Vec<u8>) -> io::Result<()> {
    match finite {
        Some(digits) => text.write_all(digits.as_bytes()),
        None if number.is_nan() => text.write_all(b"\"NaN\""),
        None if number > 0.0 => text.write_all(b"\"Infinity\""),
        None => text.write_all(b"\"-Infinity\""),
    }
}
