//! Rules of the house that no compiler keeps. Each message says what to do.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files::{CRATES, files, none, text};

/// Which of our crates each may use. Arrows point down only: ARCHITECTURE.md shows the picture.
const ARROWS: [(&str, &[&str]); 10] = [
    ("relational", &[]),
    ("pql", &["relational"]),
    ("fluvio-log", &[]),
    ("ingest", &["relational", "fluvio-log"]),
    ("graph-store", &["relational"]),
    ("predictor", &["relational", "pql", "graph-store"]),
    ("sinks", &["relational", "fluvio-log"]),
    ("pipeline", &["relational", "pql", "fluvio-log", "ingest", "graph-store", "predictor", "sinks"]),
    ("pretrain", &["relational", "pql", "graph-store", "predictor"]),
    ("integration-tests", &["relational", "pql", "ingest", "graph-store", "predictor", "sinks", "pipeline"]),
];

/// Libraries that may have to be replaced one day, and the only files or folders that may name them.
const CONFINED: [(&str, &[&str]); 4] = [
    (
        "rdkafka",
        &["ingest/src/kafka.rs", "ingest/src/kafka/", "sinks/src/kafka/", "integration-tests/tests/it/broker.rs"],
    ),
    ("sled", &["graph-store/src/disk.rs", "graph-store/src/error.rs"]),
    ("fluvio", &["fluvio-log/src/client.rs"]),
    ("candle_core", &["predictor/src/model/", "predictor/src/small/"]),
];

/// Crates in which nothing may depend on a clock, the environment, threads or hash order.
const CORE: [&str; 4] = ["relational", "pql", "graph-store", "predictor"];

const LINES_MAX: usize = 400;

fn manifest(folder: &str) -> toml::Table {
    text(Path::new(folder).join("Cargo.toml")).parse().expect("a manifest is TOML")
}

/// Names and definitions of all dependencies of a crate, those of tests included.
fn dependencies(manifest: &toml::Table) -> Vec<(String, toml::Value)> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = kinds.iter().filter_map(|kind| manifest.get(*kind)?.as_table());
    tables.flat_map(|table| table.iter().map(|(name, value)| (name.clone(), value.clone()))).collect()
}

#[test]
fn arrows_between_crates_point_down() {
    let allowed: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let mut findings = Vec::new();
    for name in CRATES {
        for (dependency, _) in dependencies(&manifest(name)) {
            let ours = CRATES.contains(&dependency.as_str());
            if ours && dependency != name && !allowed[name].contains(&dependency.as_str()) {
                findings.push(format!("{name} may not use {dependency}: move what they share to a crate below both"));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_crate_is_known_here() {
    let workspace = manifest("");
    let members = workspace["workspace"]["members"].as_array().expect("members");
    let members: Vec<_> = members.iter().filter_map(toml::Value::as_str).collect();
    assert_eq!(members, CRATES, "give a new crate its arrows in tidy.rs");
}

#[test]
fn manifests_take_versions_and_lints_from_the_workspace() {
    let mut findings = Vec::new();
    for name in CRATES {
        let manifest = manifest(name);
        for (dependency, value) in dependencies(&manifest) {
            if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                findings.push(format!("{name}: give `{dependency}` its version in the root Cargo.toml"));
            }
        }
        if manifest.get("lints").and_then(|lints| lints.get("workspace")).is_none() {
            findings.push(format!("{name}: its Cargo.toml lacks `[lints] workspace = true`"));
        }
    }
    none(&findings);
}

#[test]
fn every_dependency_is_used() {
    let mut findings = Vec::new();
    for name in CRATES {
        let sources: String = files(name, &[".rs"]).iter().map(text).collect();
        for (dependency, _) in dependencies(&manifest(name)) {
            let module = dependency.replace('-', "_");
            let forms = [format!("{module}::"), format!("use {module}"), format!("{module}!")];
            if !forms.iter().any(|form| sources.contains(form)) {
                findings.push(format!("{name} does not use `{dependency}`: take it out of its Cargo.toml"));
            }
        }
    }
    none(&findings);
}

#[test]
fn replaceable_libraries_stay_where_they_are() {
    let mut findings = Vec::new();
    for path in sources() {
        let content = text(&path);
        for (library, places) in CONFINED {
            let named = names(&content, library);
            let allowed = places.iter().any(|place| path.starts_with(place));
            if named && !allowed {
                findings.push(format!("{}: {library} may only be named in {places:?}", path.display()));
            }
        }
    }
    none(&findings);
}

/// Whether a source names a library; a module of ours may be called like it.
fn names(content: &str, library: &str) -> bool {
    let path = format!("{library}::");
    content.contains(&format!("use {library};"))
        || content.match_indices(&path).any(|(place, _)| {
            !content[..place].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
        })
}

#[test]
fn modules_of_ours_may_be_called_like_a_library() {
    assert!(names("use shed::Db;", "shed") && names("let x: shed::Db", "shed") && names("use shed;", "shed"));
    assert!(!names("use crate::shed::Db;", "shed") && !names("use shed_like::Db;", "shed"));
}

#[test]
fn core_crates_ban_clocks_threads_environment_and_hash_order() {
    let bans = [
        "std::collections::HashMap",
        "std::collections::HashSet",
        "std::time::SystemTime::now",
        "std::time::Instant::now",
        "std::thread::spawn",
        "std::env::var",
    ];
    let mut findings = Vec::new();
    for name in CORE {
        let content = text(Path::new(name).join("clippy.toml"));
        let missing = bans.iter().filter(|ban| !content.contains(&format!("\"{ban}\"")));
        findings.extend(missing.map(|ban| format!("{name}/clippy.toml does not ban {ban}")));
    }
    none(&findings);
}

#[test]
fn files_are_short_enough_to_hold_in_mind() {
    let mut findings = Vec::new();
    for path in sources() {
        let lines = text(&path).lines().count();
        if lines > LINES_MAX {
            findings.push(format!("{} has {lines} lines, more than {LINES_MAX}: split it by ideas", path.display()));
        }
    }
    none(&findings);
}

/// The forbidden words are put together here, or this file would be the first to hold them.
#[test]
fn nothing_is_silenced_or_left_for_later() {
    let forbidden = [
        (concat!("#[", "ignore"), "a test runs or is deleted"),
        (concat!("#[", "allow("), "write #[expect(.., reason = \"..\")]"),
        (concat!("TO", "DO"), "do it, or open an issue"),
        (concat!("FIX", "ME"), "do it, or open an issue"),
        (concat!("should_", "panic"), "return an error and match it"),
    ];
    let mut findings = Vec::new();
    for path in sources() {
        let content = text(&path);
        for (number, line) in (1..).zip(content.lines()) {
            let found = forbidden.iter().filter(|(word, _)| line.contains(word));
            findings.extend(found.map(|(word, advice)| format!("{}:{number}: `{word}`: {advice}", path.display())));
        }
    }
    none(&findings);
}

#[test]
fn no_module_of_these_tests_is_forgotten() {
    let main = text("integration-tests/tests/it/main.rs");
    let mut findings = Vec::new();
    for path in files("integration-tests/tests/it", &[".rs"]) {
        let parent = path.parent().expect("in a folder");
        let top = parent.ends_with("it");
        let name = path.file_stem().expect("named").to_string_lossy().into_owned();
        if top && name != "main" && !main.lines().any(|line| line.starts_with(&format!("mod {name};"))) {
            findings.push(format!("{} is not in main.rs and never runs", path.display()));
        }
    }
    none(&findings);
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut findings = Vec::new();
    for path in files("", &[".md"]) {
        let content = text(&path);
        let folder = path.parent().expect("in a folder");
        let targets = content.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap_or_default();
            if !crate::files::root().join(folder).join(file).exists() {
                findings.push(format!("{}: `{target}` does not exist", path.display()));
            }
        }
    }
    none(&findings);
}

/// A path of one machine in a file is a promise that no other machine keeps.
#[test]
fn no_file_names_a_place_on_one_machine() {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let endings =
        [".rs", ".toml", ".md", ".sh", ".yml", ".yaml", ".json", "/test", "/demo", "/setup-lib", "/kafka", "/run"];
    let mut findings = Vec::new();
    for path in files("", &endings) {
        let content = text(&path);
        let found = places.iter().filter(|place| content.contains(**place));
        findings.extend(found.map(|place| format!("{} names `{place}`", path.display())));
    }
    none(&findings);
}

/// "Held by" lines of ARCHITECTURE.md name tests as `crate::test_name`.
#[test]
fn every_invariant_is_held_by_a_test() {
    let architecture = text("ARCHITECTURE.md");
    let start = architecture.find("## Invariants").expect("ARCHITECTURE.md has a section on invariants");
    let section = architecture[start + 3..].split("\n## ").next().unwrap_or_default();
    let mut findings = Vec::new();
    for (number, invariant) in (1..).zip(section.split("\n\n").filter(|part| part.starts_with(char::is_numeric))) {
        if !invariant.starts_with(&format!("{number}. ")) {
            findings.push(format!("invariant {number} is out of order"));
        }
        let names: Vec<_> = invariant.split_once("Held by").map_or(Vec::new(), |(_, held)| test_names(held));
        if names.is_empty() {
            findings.push(format!("invariant {number} has no test"));
        }
        findings.extend(names.iter().filter(|name| !exists(name)).map(|name| format!("there is no test `{name}`")));
    }
    none(&findings);
}

fn test_names(held: &str) -> Vec<String> {
    held.split('`').skip(1).step_by(2).filter(|code| code.contains("::")).map(str::to_owned).collect()
}

fn exists(name: &str) -> bool {
    let folder = name.split("::").next().unwrap_or_default().replace('_', "-");
    let function = format!("fn {}(", name.rsplit("::").next().unwrap_or_default());
    files(&folder, &[".rs"]).iter().any(|path| text(path).contains(&function))
}

/// The Rust sources of all crates, and of the fuzz targets.
fn sources() -> Vec<std::path::PathBuf> {
    CRATES.iter().chain(&["fuzz"]).flat_map(|name| files(name, &[".rs"])).collect()
}
