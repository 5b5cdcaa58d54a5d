//! What the documentation shows is true: every config in it is accepted, every command in it exists.

use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;
use pipeline::cli::Cli;
use pipeline::config::{Document, parse};

use crate::files::{files, none, text};

/// What an example of single settings is put into, section by section, to make a whole config.
const REST: [(&str, &str); 2] =
    [("[source]", "[source]\nkind = \"files\"\n"), ("[tables.", "[tables.anything]\nfiles = \"a.csv\"\n")];

#[test]
fn every_config_in_the_documentation_is_accepted() {
    let mut findings = Vec::new();
    for path in files("", &[".md"]) {
        for (number, block) in blocks(&path, &["toml"]) {
            // Tables of a stream may be learnt.
            let is_stream = block.contains("[source]") && !block.contains("kind = \"files\"");
            let missing = REST.iter().filter(|(section, _)| !block.contains(section));
            let missing = missing.filter(|(section, _)| !(is_stream && *section == "[tables."));
            let rest: String = missing.map(|(_, rest)| *rest).collect();
            let document = Document { file: path.clone(), text: without_variables(&format!("{block}\n{rest}")) };
            if let Err(error) = parse(document, []) {
                findings.push(format!("{}:{number}: {error}", path.display()));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_config_file_is_accepted() {
    let mut findings = Vec::new();
    let paths = files("configs", &[".toml"]);
    assert!(paths.len() > 3, "{paths:?}");
    for path in paths.into_iter().filter(|path| !path.ends_with("default.toml")) {
        let document = Document { file: path.clone(), text: without_variables(&text(&path)) };
        if let Err(error) = parse(document, []) {
            findings.push(format!("{}: {error}", path.display()));
        }
    }
    none(&findings);
}

#[test]
fn every_command_in_the_documentation_exists() {
    let mut findings = Vec::new();
    let mut seen = 0;
    for path in files("", &[".md"]) {
        let shell = blocks(&path, &["sh", "bash", "console", "shell"]);
        let lines = shell.iter().flat_map(|(_, block)| commands(block));
        let content = text(&path);
        let inline = content.split('`').skip(1).step_by(2).filter(|code| code.starts_with("foreshore "));
        for command in lines.chain(inline.map(str::to_owned)) {
            seen += 1;
            if let Some(reason) = refused(&command) {
                findings.push(format!("{}: `{command}`: {reason}", path.display()));
            }
        }
    }
    none(&findings);
    assert!(seen > 0, "the documentation shows no command at all");
}

/// Why the command line is not one of the program, if it is not. A command that is only named may lack arguments.
fn refused(command: &str) -> Option<String> {
    let words: Vec<String> = words(command);
    if words.iter().any(|word| word.contains("...") || word.contains('…')) {
        return None;
    }
    match Cli::try_parse_from(words) {
        Ok(_) => None,
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => None,
            _ => error.to_string().lines().next().map(str::to_owned),
        },
    }
}

/// The program's calls in a shell block, each on one line.
fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.trim().trim_start_matches("$ "));
    let programs = ["foreshore ", "target/release/foreshore "];
    let calls = lines.filter_map(|line| programs.iter().find_map(|program| line.strip_prefix(program)));
    calls.map(|arguments| format!("foreshore {arguments}")).collect()
}

/// The words of a command as a shell would split them, up to a comment, pipe or redirection.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut quote = None;
    let mut word = String::new();
    for letter in command.chars().chain([' ']) {
        match (quote, letter) {
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, ' ') if !word.is_empty() => words.push(std::mem::take(&mut word)),
            (None, ' ') => {}
            _ => word.push(letter),
        }
    }
    let end = words.iter().position(|word| ["#", "|", ">", "&&", "&", "2>"].contains(&word.as_str()));
    words.truncate(end.unwrap_or(words.len()));
    words
}

/// Blocks of these languages with the number of their first line.
fn blocks(path: &Path, languages: &[&str]) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (number, line) in (1..).zip(text(path).lines()) {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => open = Some((number + 1, languages.contains(&language.trim()), String::new())),
            (Some((start, wanted, block)), Some(_)) => {
                if *wanted {
                    blocks.push((*start, std::mem::take(block)));
                }
                open = None;
            }
            (Some((_, _, block)), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// With a variable that is always set in the place of those that the examples name, and a file that is always there in
/// the place of their secrets and certificates.
fn without_variables(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().unwrap_or_default().to_owned();
    let set = parts.fold(first, |done, part| {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        done + name.split_once(":-").map_or("${PATH}", |(_, default)| default) + rest
    });
    set.replace("{ file = \"/run/secrets/", "{ file = \"/dev/null\" } # ")
        .replace("\"/etc/foreshore/authority.pem\"", "\"/dev/null\"")
}
