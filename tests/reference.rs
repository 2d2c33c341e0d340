//! The reference of errors and exit codes says what the code does: no name and no number is missing on
//! either side.
#![expect(clippy::disallowed_methods, reason = "a test reads the source")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The cells of a table's rows, below a heading.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = below.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        row.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect()
    };
    rows.map(cells).collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The names in capitals that the API's code has in quotes.
fn spoken() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"), &mut files);
    let mut names = BTreeSet::new();
    for text in files.into_iter().map(|path| fs::read_to_string(path).unwrap()) {
        let quoted = text.split('"').skip(1).step_by(2);
        let is_name = |word: &&str| {
            word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        };
        names.extend(quoted.filter(is_name).map(str::to_owned));
    }
    names
}

/// What the contract lists before its first statement: a reason and its gRPC code.
fn contract() -> BTreeMap<String, String> {
    let text = read("proto/regtrust/v1/regtrust.proto");
    let header = text.split("\nsyntax = ").next().unwrap();
    let mut reasons = BTreeMap::new();
    for line in header.lines().filter_map(|line| line.strip_prefix("//   ")) {
        let mut words = line.split_whitespace();
        reasons.insert(words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    }
    reasons
}

#[test]
fn every_reason_of_the_api_is_in_the_contract_and_in_the_reference() {
    let contract = contract();
    let rows = table("docs/errors.md", "Reasons of the API");
    let documented: BTreeMap<String, String> =
        rows.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(documented, contract);
    let spoken = spoken();
    // What cargo tells the build is no reason.
    let is_of_cargo = |name: &str| name.starts_with("CARGO_") || name == "OUT_DIR";
    let is_unknown = |name: &&String| !contract.contains_key(*name) && !is_of_cargo(name);
    let unknown: Vec<&String> = spoken.iter().filter(is_unknown).collect();
    assert!(unknown.is_empty(), "the contract does not have {unknown:?}");
    let unused: Vec<&String> = contract.keys().filter(|name| !spoken.contains(*name)).collect();
    assert!(unused.is_empty(), "nothing is refused with {unused:?}");
}

/// The numbers that stand after `=` or `=>` between two pieces of the code.
fn numbers(path: &str, begin: &str, end: &str) -> BTreeSet<u8> {
    let text = read(path);
    let (_, rest) = text.split_once(begin).unwrap();
    let lines = rest.split(end).next().unwrap().lines();
    let number = |line: &str| {
        let (_, value) = line.rsplit_once("=> ").or_else(|| line.rsplit_once("= "))?;
        value.trim_end_matches([',', ';']).parse().ok()
    };
    lines.filter_map(number).collect()
}

fn documented(heading: &str) -> BTreeSet<u8> {
    let rows = table("docs/errors.md", heading);
    rows.iter().map(|row| row[0].parse().unwrap()).collect()
}

#[test]
fn every_exit_code_is_in_the_reference_and_in_the_help() {
    for (heading, code, program) in [
        (
            "Exit codes of `regtrust`",
            numbers("src/cli/failure.rs", "match exit {", "\n        })"),
            env!("CARGO_BIN_EXE_regtrust"),
        ),
        (
            "Exit codes of `regtrustd`",
            numbers("src/daemon.rs", "const DONE", "\n\n").into_iter().chain([0]).collect(),
            env!("CARGO_BIN_EXE_regtrustd"),
        ),
    ] {
        assert!(code.len() >= 5, "{heading}: {code:?}");
        assert_eq!(documented(heading), code, "{heading}");
        let output = Command::new(program).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let (_, listed) = help.split_once("Exit codes:").unwrap();
        let words: BTreeSet<&str> = listed.split_whitespace().collect();
        for number in code {
            assert!(words.contains(number.to_string().as_str()), "{program} --help: {number}");
        }
    }
}
