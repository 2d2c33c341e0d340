//! What the house rules say and the compiler does not: that what decides cannot act, that files stay
//! small, and that the documentation speaks of a program that exists.
#![expect(clippy::disallowed_methods, reason = "a test reads the source")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends at the first surprise")]

#[path = "common/machine.rs"]
mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Outcome, REGTRUST};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `directory`, with their names from the project's root and their text.
fn sources(directory: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    find(&project().join(directory), &mut files);
    files.sort();
    let named = |path: PathBuf| {
        let name = path.strip_prefix(project()).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(named).collect()
}

fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // What `make fuzz` has built is nobody's text.
            if !path.ends_with("fuzz/target") {
                find(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs") || name.contains("fixtures")
}

/// The lines that are compiled into the program and say something: no comments, and nothing below a
/// `#[cfg(test)] mod`.
fn code(text: &str) -> Vec<(usize, &str)> {
    let mut lines = Vec::new();
    let mut all = (1..).zip(text.lines()).peekable();
    while let Some((number, line)) = all.next() {
        let trimmed = line.trim_start();
        if trimmed == "#[cfg(test)]" {
            match all.peek() {
                Some((_, next)) if next.ends_with(';') => _ = all.next(),
                // By house rule the tests are the last thing in a file.
                _ => break,
            }
        } else if !trimmed.starts_with("//") {
            lines.push((number, line));
        }
    }
    lines
}

const PURE: &[&str] = &[
    "trust",
    "target",
    "plan",
    "ledger",
    "observed",
    "content",
    "path",
    "gate",
    "generation",
    "identity",
    "jobs",
    "owners",
    "settings",
    "pushed",
    "status",
    "window",
    "metrics",
];
/// Beside others in a module that acts.
const PURE_FILES: [&str; 3] =
    ["src/verify/classify.rs", "src/verify/cure.rs", "src/verify/words.rs"];
const IMPURE: [&str; 14] = [
    "std::fs",
    "std::env",
    "std::process",
    "std::net::Tcp",
    "std::net::Udp",
    "std::net::ToSocketAddrs",
    "std::io",
    "std::time",
    "rustix",
    "nix::",
    "tracing",
    "SystemTime",
    "Instant",
    "Timestamp::now",
];

#[test]
fn what_decides_cannot_act() {
    let mut looked = 0;
    let mut faults = Vec::new();
    for (name, text) in sources("src") {
        let module = name.trim_start_matches("src/").split(['/', '.']).next().unwrap();
        let is_pure = PURE.contains(&module) || PURE_FILES.contains(&&*name);
        if !is_pure || is_test(&name) {
            continue;
        }
        looked += 1;
        for (number, line) in code(&text) {
            let found = IMPURE.iter().filter(|word| line.contains(**word));
            faults.extend(found.map(|word| format!("{name}:{number}: {word}")));
            // A pure module may know the others that are, and nothing that reads the node.
            let reads = [
                "crate::node::",
                "crate::txn",
                "crate::source",
                "crate::state",
                "crate::cli",
                "crate::effect",
                "crate::runtime",
                "tokio",
            ];
            let found = reads.iter().filter(|word| line.contains(**word));
            faults.extend(found.map(|word| format!("{name}:{number}: {word}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(looked > 60, "only {looked} files");
}

/// Each is a decision: what stands here can read or change the node, or knows the time.
#[test]
fn the_list_of_privileged_code_is_what_it_was() {
    let privileged: BTreeSet<String> = sources("src")
        .into_iter()
        .filter(|(name, text)| {
            let exempt = |(_, line): &(usize, &str)| line.contains("expect(clippy::disallowed");
            !is_test(name) && code(text).iter().any(exempt)
        })
        .map(|(name, _)| name)
        .collect();
    let known: BTreeSet<String> = [
        "src/agent/time.rs",
        "src/cli/job.rs",
        "src/cli/session.rs",
        "src/daemon/outside.rs",
        "src/telemetry.rs",
        "src/txn/disk.rs",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(privileged, known);
}

#[test]
fn no_lint_is_switched_off_without_a_reason() {
    for (name, text) in sources("src").into_iter().chain(sources("tests")) {
        for (at, _) in text.match_indices("allow(") {
            let before = &text[..at];
            let is_attribute = before.ends_with("#[") || before.ends_with("#![");
            let end = text[at..].find(")]").map_or(text.len(), |length| at + length);
            let is_excused = text[at..end].contains("reason = ");
            assert!(!is_attribute || is_excused, "{name}: {}", &text[at..end]);
        }
    }
}

#[test]
fn files_and_functions_are_small() {
    const LONGEST_FILE: usize = 400;
    const LONGEST_FUNCTION: usize = 60;
    let mut faults = Vec::new();
    for (name, text) in sources("src").into_iter().chain(sources("tests")) {
        if text.lines().count() > LONGEST_FILE {
            faults.push(format!("{name}: {} lines", text.lines().count()));
        }
        let lines: Vec<&str> = text.lines().collect();
        for (start, length) in functions(&lines) {
            let excused = lines[..start]
                .iter()
                .rev()
                .take_while(|line| {
                    line.trim_start().starts_with("//") || line.trim_start().starts_with('#')
                })
                .any(|line| line.contains("Longer than usual: "));
            // A table is long because the cases are many.
            if length > LONGEST_FUNCTION && !excused && name.starts_with("src") && !is_test(&name) {
                faults.push(format!("{name}:{}: a function of {length} lines", start + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Where each function begins, and how many lines it has. rustfmt has indented them: one ends at the
/// first brace that stands where its `fn` does.
fn functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function =
            trimmed.starts_with("fn ") || (trimmed.starts_with("pub") && trimmed.contains(" fn "));
        if !is_function || trimmed.ends_with(';') || trimmed.ends_with('}') {
            continue;
        }
        let end = format!("{}}}", " ".repeat(line.len() - trimmed.len()));
        let length = lines[start..].iter().position(|line| *line == end);
        found.extend(length.map(|length| (start, length + 1)));
    }
    found
}

#[test]
fn there_is_no_unsafe_code() {
    for (name, text) in sources("src") {
        let line = code(&text).into_iter().find(|(_, line)| line.contains("unsafe "));
        assert_eq!(line, None, "{name}");
    }
}

/// What is said in the documentation: the command lines in it, and `regtrust …` in backticks.
fn spoken_commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for line in text.lines() {
        let typed = line.trim_start().trim_start_matches(['#', '$', '>']).trim_start();
        if line.starts_with(['#', '$']) && !typed.starts_with("regtrust") {
            continue;
        }
        if let Some(rest) = typed.strip_prefix("regtrust ") {
            commands.push(rest.split(" # ").next().unwrap_or(rest).trim().to_owned());
        }
        for quoted in line.split('`').skip(1).step_by(2) {
            commands.extend(quoted.strip_prefix("regtrust ").map(str::to_owned));
        }
    }
    commands
}

fn documents() -> Vec<PathBuf> {
    let mut documents = vec![project().join("README.md"), project().join("CHANGELOG.md")];
    if let Ok(entries) = fs::read_dir(project().join("docs")) {
        let paths = entries.map(|entry| entry.unwrap().path());
        documents.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    documents
}

#[test]
fn the_documentation_names_no_command_that_does_not_exist() {
    let help =
        |arguments: &[&str]| Outcome::of(Command::new(REGTRUST).args(arguments).arg("--help"));
    let general = help(&[]).exits(0).stdout;
    let mut texts: Vec<(String, String)> = documents()
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .collect();
    texts.push(("--help".to_owned(), general.clone()));
    let mut checked = 0;
    for (document, text) in texts {
        for spoken in spoken_commands(&text) {
            let words: Vec<&str> = spoken.split_whitespace().collect();
            let is_word = |word: &&&str| word.starts_with(|c: char| c.is_ascii_lowercase());
            let Some(command) = words.iter().find(is_word) else { continue };
            let listed = general.contains(&format!("\n  {command} "));
            assert!(listed, "{document}: `regtrust {spoken}`: there is no `{command}`");
            let help = help(&[command]).exits(0).stdout;
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                let known = help.split([' ', ',', '\n', '=']).any(|word| word == flag);
                assert!(known, "{document}: `regtrust {spoken}`: there is no `{flag}`");
            }
            checked += 1;
        }
    }
    println!("{checked} command lines in the documentation");
    assert!(checked >= 10, "only {checked}");
}

/// Flags that stand alone in the text, such as `--json`.
#[test]
fn the_documentation_names_no_flag_that_does_not_exist() {
    const OF_OTHERS: [&str; 6] = [
        "--config-file",
        "--insecure-registry",
        "--registry-mirror",
        "--nocapture",
        "--release",
        "--test",
    ];
    let mut known = BTreeSet::new();
    let commands = [
        "", "plan", "apply", "status", "explain", "lint", "adopt", "history", "rollback", "pause",
        "restart",
    ];
    for command in commands {
        let arguments = [command, "--help"].into_iter().filter(|word| !word.is_empty());
        let help = Outcome::of(Command::new(REGTRUST).args(arguments)).exits(0).stdout;
        let words =
            help.split([' ', ',', '\n', '=', '[', ']']).filter(|word| word.starts_with("--"));
        known.extend(words.map(str::to_owned));
    }
    let daemon = Command::new(env!("CARGO_BIN_EXE_regtrustd")).arg("--help").output().unwrap();
    let daemon = String::from_utf8(daemon.stdout).unwrap();
    known
        .extend(daemon.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned));
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for quoted in text.split('`').skip(1).step_by(2).filter(|quoted| quoted.starts_with("--")) {
            let flag = quoted.split([' ', '=']).next().unwrap();
            let exists = known.contains(flag) || OF_OTHERS.contains(&flag);
            assert!(exists, "{}: `{quoted}`", document.display());
        }
    }
}

/// A deliberate break that no longer fits the code would be noticed only by the next soak.
#[test]
fn every_deliberate_break_still_applies() {
    let mut hunks = 0;
    for entry in fs::read_dir(project().join("tests/breaks")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "patch") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\ncase: ") && text.contains("\nsays: "), "{}", path.display());
        for file in text.split("\n--- a/").skip(1) {
            let (name, rest) = file.split_once('\n').unwrap();
            let code = fs::read_to_string(project().join(name)).unwrap();
            for hunk in rest.split("\n@@ ").skip(1) {
                let lines =
                    hunk.lines().skip(1).take_while(|line| line.starts_with([' ', '-', '+']));
                let before = lines.filter(|line| !line.starts_with('+')).map(|line| &line[1..]);
                let before = before.collect::<Vec<_>>().join("\n");
                assert!(code.contains(&before), "{}: {name} has no\n{before}", path.display());
                hunks += 1;
            }
        }
    }
    assert!(hunks >= 3, "only {hunks}");
}
