//! A backtest as one HTML file for people: no network, no script, everything in it.

mod latency;
mod page;
mod plots;
mod robustness;
mod words;

pub(crate) use page::{compared, page};

/// The command that runs, as a shell takes it.
pub(crate) fn command_line() -> String {
    let plain = |text: &str| text.chars().all(|char| char.is_alphanumeric() || "-_./:=,@%+".contains(char));
    let quoted = |text: String| {
        if plain(&text) && !text.is_empty() { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
    };
    let mut words: Vec<String> = std::env::args().map(quoted).collect();
    if let Some(program) = words.first_mut() {
        "foreshore".clone_into(program);
    }
    words.join(" ")
}

/// A config without what nobody should read.
fn without_secrets(config: &str) -> String {
    let is_secret =
        |name: &str| ["password", "secret", "token", "jaas"].iter().any(|word| name.to_lowercase().contains(word));
    let masked = |line: &str| match line.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{}= (hidden)", name),
        _ => line.to_owned(),
    };
    config.lines().map(masked).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let config = "brokers = \"a\"\n\"sasl.password\" = \"hunter2\"\n# a note";
        assert_eq!(without_secrets(config), "brokers = \"a\"\n\"sasl.password\" = (hidden)\n# a note");
    }
}
