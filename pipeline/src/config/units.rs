//! Config values with units, and text that may name environment variables.

use std::fmt;

use relational::EventTime;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

/// A length of time in microseconds, written `200ms`, `30s`, `7d`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub i64);

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!("`{text}` is not a length of time such as \"30s\" or \"7d\": {error}"))
        })?;
        i64::try_from(duration.as_micros()).map(Self).map_err(|_| D::Error::custom(format!("`{text}` is too long")))
    }
}

/// A number of bytes, written `256MiB` or `64kB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let size: bytesize::ByteSize = text
            .parse()
            .map_err(|error| D::Error::custom(format!("`{text}` is not a size such as \"256MiB\": {error}")))?;
        Ok(Self(size.as_u64()))
    }
}

/// An instant, written as `2018-08-01`, `2018-08-01 12:00:00` or RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant(pub EventTime);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let time = EventTime::parse(&text);
        time.map(Self)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is not a time such as \"2018-08-01 12:00:00\"")))
    }
}

/// Text in which `${NAME}` and `${NAME:-default}` stand for environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        variables(&text).map(Self).map_err(D::Error::custom)
    }
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OneOrMany(pub Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = OneOrMany;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                let text = variables(text).map_err(E::custom)?;
                Ok(OneOrMany(vec![text]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = items.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Text with its environment variables replaced.
pub(super) fn variables(text: &str) -> Result<String, String> {
    expand(text, |name| std::env::var(name).ok())
}

/// Replaces `${NAME}` and `${NAME:-default}`; `$${` stands for `${`.
fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if rest[..start].ends_with('$') {
            expanded.push_str(&rest[..start]);
            expanded.push('{');
            rest = &rest[start + 2..];
            continue;
        }
        expanded.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let end = inner.find('}').ok_or_else(|| format!("`${{` without `}}` in `{text}`"))?;
        let (name, default) =
            inner[..end].split_once(":-").map_or((&inner[..end], None), |(name, default)| (name, Some(default)));
        match lookup(name).or_else(|| default.map(str::to_owned)) {
            Some(value) => expanded.push_str(&value),
            None => {
                return Err(format!(
                    "the environment variable `{name}` is not set; set it, or write ${{{name}:-default}}"
                ));
            }
        }
        rest = &inner[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        expand(text, |name| (name == "HOME").then(|| "/home".to_owned()))
    }

    #[test]
    fn variables_and_defaults_are_replaced() {
        assert_eq!(expanded("a ${HOME}/x ${NO:-y}").as_deref(), Ok("a /home/x y"));
        assert_eq!(expanded("$${HOME}").as_deref(), Ok("${HOME}"));
        assert!(expanded("${NO}").is_err_and(|message| message.contains("`NO` is not set")));
        assert!(expanded("${HOME").is_err());
    }
}
