//! One schema of the registry, ready to rewrite bodies.

use apache_avro::Schema;
use serde_json::Value as Json;

use super::avro;
use super::client::{Client, Reference, Trouble};
use super::json_schema;

/// Schemas that one schema may refer to, directly or not.
const REFERENCES_MAX: usize = 200;

#[derive(Debug)]
pub(super) struct Registered {
    /// `{"schema":..,"payload":`
    prefix: String,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// The schema, and those that it refers to.
    Avro(Box<Schema>, Vec<Schema>),
    Json,
}

impl Registered {
    pub(super) fn fetch(client: &Client, id: u32) -> Result<Self, Trouble> {
        let answer = client.by_id(id)?;
        let mut others: Vec<(String, String)> = Vec::new();
        collect(client, &answer.references, &mut others)?;
        Self::parse(&answer.kind, &answer.schema, &others).map_err(Trouble::Unusable)
    }

    /// `others`: names and texts of the schemas that it refers to, each after those that it needs itself.
    pub(super) fn parse(kind: &str, schema: &str, others: &[(String, String)]) -> Result<Self, String> {
        let text = |text: &str| serde_json::from_str::<Json>(text).map_err(|error| format!("it is not JSON: {error}"));
        let (connect, body) = match kind {
            "AVRO" => {
                let (parsed, parsed_others) = parse_avro(schema, others)?;
                let others = others.iter().map(|(_, other)| text(other)).collect::<Result<Vec<_>, _>>()?;
                (avro::connect_schema(&text(schema)?, &others)?, Body::Avro(Box::new(parsed), parsed_others))
            }
            "JSON" => {
                let others = others.iter().map(|(name, other)| Ok((name.clone(), text(other)?)));
                let others = others.collect::<Result<Vec<_>, String>>()?;
                (json_schema::connect_schema(&text(schema)?, &others), Body::Json)
            }
            other => {
                return Err(format!(
                    "it is of type {other}, and only AVRO and JSON are read; set the connector's converter to one of them"
                ));
            }
        };
        Ok(Self { prefix: format!("{{\"schema\":{connect},\"payload\":"), body })
    }

    /// A body as the JSON converter writes it, its schema included.
    pub(super) fn rewrite(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let mut text = Vec::with_capacity(self.prefix.len() + 4 * body.len() + 64);
        text.extend_from_slice(self.prefix.as_bytes());
        match &self.body {
            Body::Avro(schema, others) => avro::write(schema, others, body, &mut text)?,
            Body::Json => {
                let json = str::from_utf8(body).map_err(|_| "the body is not UTF-8".to_owned())?;
                serde_json::from_str::<serde::de::IgnoredAny>(json)
                    .map_err(|error| format!("the body is not JSON: {error}"))?;
                text.extend_from_slice(json.trim().as_bytes());
            }
        }
        text.push(b'}');
        Ok(text)
    }
}

/// The schema, and those that it refers to. Only a schema with a name can refer to others.
fn parse_avro(schema: &str, others: &[(String, String)]) -> Result<(Schema, Vec<Schema>), String> {
    let wrong = |error: apache_avro::Error| format!("it is not Avro: {error}");
    if others.is_empty() {
        return Ok((Schema::parse_str(schema).map_err(wrong)?, Vec::new()));
    }
    let texts: Vec<&str> = others.iter().map(|(_, text)| text.as_str()).chain([schema]).collect();
    let mut parsed = Schema::parse_list(&texts).map_err(wrong)?;
    let last = parsed.pop().ok_or("it is not Avro: nothing is left of it")?;
    Ok((last, parsed))
}

/// What a schema refers to, depth first, so that each comes after what it needs.
fn collect(client: &Client, references: &[Reference], found: &mut Vec<(String, String)>) -> Result<(), Trouble> {
    for reference in references {
        if found.iter().any(|(name, _)| *name == reference.name) {
            continue;
        }
        if found.len() >= REFERENCES_MAX {
            return Err(Trouble::Unusable(format!("it refers to more than {REFERENCES_MAX} schemas")));
        }
        let answer = client.by_reference(reference)?;
        // A place is kept before its own references are looked at: a circle ends here.
        let place = found.len();
        found.push((reference.name.clone(), String::new()));
        collect(client, &answer.references, found)?;
        let (name, _) = found.remove(place);
        found.push((name, answer.schema));
    }
    Ok(())
}
