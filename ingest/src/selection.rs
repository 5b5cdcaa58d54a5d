//! Which topics of a cluster are read.

use regex_lite::Regex;

/// Topics by name and by pattern.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) names: Vec<String>,
    /// One more, which may not be there yet.
    optional: Option<String>,
    patterns: Vec<Regex>,
    own: Vec<String>,
}

impl Selection {
    /// Names, and patterns that start with `^`; `own` are those that no pattern means.
    ///
    /// # Errors
    ///
    /// What cannot be used and why, when there is none, or a pattern is not a regular expression.
    pub(crate) fn new(topics: &[String], own: &[String]) -> Result<Self, (String, String)> {
        let mut selection = Self { names: Vec::new(), optional: None, patterns: Vec::new(), own: own.to_vec() };
        for topic in topics {
            if topic.starts_with('^') {
                let pattern = Regex::new(topic);
                let pattern =
                    pattern.map_err(|error| (format!("topic `{topic}`"), format!("it is not a pattern: {error}")))?;
                selection.patterns.push(pattern);
            } else {
                selection.names.push(topic.clone());
            }
        }
        if topics.is_empty() {
            let reason = "there are none; set `source.topics` to names, or to a pattern such as \"^shop\\\\..*\"";
            return Err(("topics".to_owned(), reason.to_owned()));
        }
        Ok(selection)
    }

    /// With one more topic, which may not be there yet.
    pub(crate) fn with_optional(self, topic: Option<String>) -> Self {
        Self { optional: topic, ..self }
    }

    pub(crate) fn contains(&self, topic: &str) -> bool {
        let is_internal = matches!(topic, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
            || self.own.iter().any(|own| own == topic);
        self.names.iter().any(|name| name == topic)
            || self.optional.as_deref() == Some(topic)
            || (!is_internal && self.patterns.iter().any(|pattern| pattern.is_match(topic)))
    }

    /// A name that is asked for and not among these, with what to do about it.
    pub(crate) fn missing<'a>(&self, topics: impl Iterator<Item = &'a str> + Clone) -> Option<(&str, String)> {
        let name = self.names.iter().find(|name| topics.clone().all(|topic| topic != name.as_str()))?;
        let near = topics.max_by(|a, b| {
            let similarity = |other: &str| strsim::jaro_winkler(name, other);
            similarity(a).total_cmp(&similarity(b))
        });
        let hint = near.map_or_else(String::new, |near| format!("; the nearest that is there is `{near}`"));
        Some((
            name,
            format!("it does not exist, or may not be read by us{hint}; create it, or correct `source.topics`"),
        ))
    }
}
