//! JSON read without copying: only the fields in use are parsed, each once.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object in the order in which they stand, not yet parsed.
#[derive(Debug, Default)]
pub(crate) struct Row<'a>(pub(crate) Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Row<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, json)| *json)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Row<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RowVisitor)
    }
}

struct RowVisitor;

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of columns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(16);
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, map.next_value::<&RawValue>()?.get()));
        }
        Ok(Row(fields))
    }
}

/// One value, parsed as far as its kind.
#[derive(Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(&'a str),
    Object(&'a str),
}

impl<'a> Json<'a> {
    /// Of a text that is known to be valid JSON without space around it.
    pub(super) fn of(json: &'a str) -> Self {
        match json.as_bytes().first() {
            Some(b'n') | None => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'[') => Self::Array(json),
            Some(b'{') => Self::Object(json),
            Some(b'"') => Self::Text(text(json)),
            Some(_) => Self::Number(json),
        }
    }

    /// The content of a JSON text, if it is one.
    pub(super) fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The content of a JSON text; `None` for other JSON.
pub(crate) fn text_of(json: &str) -> Option<Cow<'_, str>> {
    Json::of(json).into_text()
}

fn text(json: &str) -> Cow<'_, str> {
    let inner = &json[1..json.len().saturating_sub(1).max(1)];
    if inner.contains('\\') {
        // A lone surrogate is the only escape that can fail in JSON that was parsed before; its text is kept as written.
        serde_json::from_str(json).map_or(Cow::Borrowed(inner), Cow::Owned)
    } else {
        Cow::Borrowed(inner)
    }
}

/// The start of a value for a message: at most 60 characters.
pub(crate) fn clip(json: &str) -> String {
    match json.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &json[..end]),
        None => json.to_owned(),
    }
}
