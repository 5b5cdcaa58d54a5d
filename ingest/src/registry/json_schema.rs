//! JSON Schema as Connect writes it. Bodies are not held against it: it only says how values are written.
//!
//! Confluent's converter keeps Connect's types in `title`, `connect.type` and `connect.parameters`.

use serde_json::{Map, Value as Json, json};

/// How deep a schema is looked into.
const DEPTH_MAX: usize = 32;

/// A schema as Connect's JSON converter writes it; `others` are those that it refers to, by name.
pub(super) fn connect_schema(schema: &Json, others: &[(String, Json)]) -> Json {
    Walk { root: schema, others }.node(schema, DEPTH_MAX)
}

struct Walk<'a> {
    root: &'a Json,
    others: &'a [(String, Json)],
}

/// What can be of any type is read by its looks.
fn any() -> Json {
    json!({ "type": "union", "optional": true })
}

impl<'a> Walk<'a> {
    fn node(&self, schema: &'a Json, depth: usize) -> Json {
        let Json::Object(object) = schema else { return any() };
        if depth == 0 {
            return any();
        }
        if let Some(reference) = object.get("$ref").and_then(Json::as_str) {
            let Some((root, target)) = self.target(reference) else { return any() };
            return Walk { root, others: self.others }.node(target, depth - 1);
        }
        if let Some(variants) = ["oneOf", "anyOf", "allOf"].iter().find_map(|kind| object.get(*kind)?.as_array()) {
            let is_null = |variant: &&Json| variant.get("type").is_some_and(|kind| kind == "null");
            let mut others = variants.iter().filter(|variant| !is_null(variant));
            let (Some(only), None) = (others.next(), others.next()) else { return any() };
            let mut node = self.node(only, depth - 1);
            node["optional"] = json!(variants.iter().any(|variant| is_null(&variant)));
            describe(&mut node, object);
            return node;
        }
        let mut kinds = match object.get("type") {
            Some(Json::String(kind)) => vec![kind.as_str()],
            Some(Json::Array(kinds)) => kinds.iter().filter_map(Json::as_str).collect(),
            _ if object.contains_key("properties") => vec!["object"],
            _ => return any(),
        };
        let optional = kinds.contains(&"null");
        kinds.retain(|kind| *kind != "null");
        let [kind] = kinds.as_slice() else { return any() };
        let mut node = self.typed(kind, object, depth);
        node["optional"] = json!(optional);
        describe(&mut node, object);
        node
    }

    fn typed(&self, kind: &str, object: &'a Map<String, Json>, depth: usize) -> Json {
        let connect = object.get("connect.type").and_then(Json::as_str);
        match (kind, connect) {
            ("object", _) => match object.get("properties").and_then(Json::as_object) {
                Some(properties) if connect != Some("map") => {
                    let mut fields: Vec<(i64, Json)> = Vec::new();
                    for (name, property) in properties {
                        let mut node = self.node(property, depth - 1);
                        node["field"] = json!(name);
                        fields.push((index(property), node));
                    }
                    // Stable, so that without numbers the order is the schema's.
                    fields.sort_by_key(|(index, _)| *index);
                    json!({ "type": "struct", "fields": fields.into_iter().map(|(_, node)| node).collect::<Vec<_>>() })
                }
                _ => json!({ "type": "map" }),
            },
            ("array", _) => {
                json!({ "type": "array", "items": object.get("items").map_or_else(any, |items| self.node(items, depth - 1)) })
            }
            (_, Some("bytes")) => json!({ "type": "bytes" }),
            ("integer", _) => json!({ "type": "int64" }),
            ("number", Some(kind @ ("int8" | "int16" | "int32" | "int64"))) => json!({ "type": kind }),
            ("number", _) => json!({ "type": "double" }),
            ("boolean", _) => json!({ "type": "boolean" }),
            ("string", _) if object.get("contentEncoding").is_some_and(|encoding| encoding == "base64") => {
                json!({ "type": "bytes" })
            }
            ("string", _) => match object.get("format").and_then(Json::as_str) {
                Some("date-time") => json!({ "type": "string", "name": "io.debezium.time.ZonedTimestamp" }),
                Some("date") => json!({ "type": "string", "name": "io.debezium.time.IsoDate" }),
                _ => json!({ "type": "string" }),
            },
            _ => any(),
        }
    }

    /// What a `$ref` points at, and the document that it stands in.
    fn target(&self, reference: &str) -> Option<(&'a Json, &'a Json)> {
        let (document, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let root = match document {
            "" => self.root,
            name => &self.others.iter().find(|(other, _)| other == name)?.1,
        };
        Some((root, root.pointer(pointer)?))
    }
}

/// Connect's own place of a property; for an optional one it stands with its type.
fn index(property: &Json) -> i64 {
    let own = |schema: &Json| schema.get("connect.index").and_then(Json::as_i64);
    let nested = || property.get("oneOf")?.as_array()?.iter().find_map(own);
    own(property).or_else(nested).unwrap_or(i64::MAX)
}

fn describe(node: &mut Json, object: &Map<String, Json>) {
    if let Some(name) = object.get("title").filter(|_| object.get("type").is_some()) {
        node["name"] = name.clone();
    }
    if let Some(parameters) = object.get("connect.parameters") {
        node["parameters"] = parameters.clone();
    }
    if let Some(default) = object.get("default").filter(|value| !value.is_null()) {
        node["default"] = default.clone();
    }
}
