//! Foreshore is under the Apache licence 2.0: what it is built on must allow that.

use std::process::Command;

use serde_json::Value;

use crate::files::{none, root};

/// Permissive licences: they ask for no more than to be named.
const ALLOWED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages whose licence is not allowed as such, and why they may stay.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("forust-ml", "its manifest names a file, and the file is the Apache licence 2.0"),
    (
        "option-ext",
        "MPL-2.0 asks only for that package's own files, which are used as they are, by the Fluvio client alone",
    ),
];

#[test]
fn every_package_has_a_permissive_licence() {
    let mut findings = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().expect("a package has a name");
        let licence = package["license"].as_str().unwrap_or("none given");
        let excepted = EXCEPTIONS.iter().any(|(exception, _)| *exception == name);
        if !excepted && !permits(licence) {
            findings.push(format!("{name}: {licence}: do without it, or say in EXCEPTIONS why it may stay"));
        }
    }
    none(&findings);
}

/// Every package that this machine's build is made of, ours and those of the Fluvio client included.
fn packages() -> Vec<Value> {
    let version = run(env!("CARGO"), &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    let arguments = ["metadata", "--format-version", "1", "--locked", "--features", "pipeline/fluvio"];
    let metadata = run(env!("CARGO"), &[&arguments, ["--filter-platform", host].as_slice()].concat());
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let used: Vec<&str> =
        metadata["resolve"]["nodes"].as_array().into_iter().flatten().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages.filter(|package| used.contains(&package["id"].as_str().unwrap_or_default())).cloned().collect()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// Whether an SPDX expression can be met with allowed licences alone.
fn permits(expression: &str) -> bool {
    // `/` is how old manifests write OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    alternatives(&mut rest) && rest.is_empty()
}

fn alternatives(words: &mut &[&str]) -> bool {
    let mut permitted = together(words);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        permitted |= together(words);
    }
    permitted
}

fn together(words: &mut &[&str]) -> bool {
    let mut permitted = single(words);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        permitted &= single(words);
    }
    permitted
}

fn single(words: &mut &[&str]) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let permitted = alternatives(words);
            *words = words.strip_prefix(&[")"]).unwrap_or_default();
            permitted
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            ALLOWED.contains(&format!("{licence} WITH {exception}").as_str())
        }
        [licence, rest @ ..] => {
            *words = rest;
            ALLOWED.contains(licence)
        }
        [] => false,
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    assert!(permits("MIT/Apache-2.0") && permits("MIT OR GPL-3.0") && permits("(MIT OR GPL-3.0) AND Zlib"));
    assert!(permits("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
    assert!(!permits("MIT AND GPL-3.0") && !permits("GPL-3.0 WITH Classpath-exception") && !permits("none given"));
}
