//! Every fuzz target's check on its seeds, and on texts that are deep rather than clever.
#![expect(clippy::disallowed_methods, reason = "reads the seeds beside it")]
#![expect(unreachable_pub, reason = "the checks are a library to the fuzz targets")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

#[path = "fuzz/checks/lib.rs"]
mod checks;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn entries(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fuzz().join(directory)).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

fn names(directory: &str) -> BTreeSet<String> {
    let name = |path: PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    entries(directory).into_iter().filter_map(name).collect()
}

#[test]
fn every_check_is_a_target_with_seeds() {
    let checks: BTreeSet<_> = checks::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let targets = names("targets");
    assert_eq!(targets, checks.iter().map(|name| format!("{name}.rs")).collect());
    assert_eq!(names("seeds"), checks);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &checks {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no [[bin]]");
    }
}

#[test]
fn every_seed_passes_the_check_of_its_target() {
    for (name, check) in checks::TARGETS {
        let seeds = entries(&format!("seeds/{name}"));
        assert!(seeds.len() > 1, "{name} has hardly any seeds");
        for seed in seeds {
            let input = fs::read(&seed).unwrap();
            let half = &input[..input.len() / 2];
            let run = || [input.as_slice(), half].into_iter().for_each(check);
            let passed = std::panic::catch_unwind(run).is_ok();
            assert!(passed, "{} or its first half, see above", seed.display());
        }
    }
}

/// A parser that calls itself for every bracket ends the process when its stack ends, with nothing
/// but the name of the thread as its last words.
#[test]
fn no_depth_exhausts_the_stack() {
    for (name, check) in checks::TARGETS {
        let deep = move || {
            for text in ["[", "{", "[[", "{\"a\":", "a=[", "a={a=", "a.", "[a.", "-----BEGIN "] {
                check(text.repeat(20_000).as_bytes());
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(deep).unwrap().join().unwrap();
    }
}
