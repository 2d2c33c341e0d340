//! How long `regtrust apply` takes, as a ratio to the bare system calls for the same files.
//!
//! Absolute times say more about the machine than about the program. So in one run, by turns and on
//! one file system, this measures the whole process `regtrust --root TREE apply` and the least that
//! any program would have to do with the files it keeps on the node, and prints both and their
//! ratio. It fails when a bar is missed. A first apply is held against what each file takes by
//! itself; a no-op apply against a whole process too, which opens and reads the files and nothing
//! else.
//!
//! ```text
//! make bench                              everything: about ten minutes
//! cargo bench --bench apply -- --quick    without 10,000 registries, and fewer repetitions
//! cargo bench --bench apply -- --in DIR   on another file system
//! cargo bench --bench apply -- --only 10000   one number of registries
//! ```
#![expect(
    clippy::cast_precision_loss,
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    clippy::format_collect,
    reason = "it prints rounded figures, and what it does beside measuring may take its time"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark acts on the node by itself, and ends when it cannot"
)]

mod bare;
mod machine;
mod measure;
mod report;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use measure::{Case, Figures};
use report::Report;
use tree::Authorities;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [flag, program, rest @ ..] if flag == measure::RUN => return measure::run(program, rest),
        [flag, list] if flag == measure::READ => return bare::read(list),
        _ => {}
    }
    // `cargo test --all-targets` starts benchmarks as well, and they are no tests: this takes
    // minutes, and what it says depends on what else the machine does.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let directory = directory(&arguments);
    println!("{}", machine::line(&directory));
    let mut report = Report::default();
    let only: Option<usize> = after(&arguments, "--only").and_then(|number| number.parse().ok());
    let is_asked_for = |case: &Case| only.is_none_or(|only| case.registries == only);
    // Asked for by its number, no case is too long.
    for case in cases(quick && only.is_none()).into_iter().filter(is_asked_for) {
        let figures = Figures::measure(&case, &directory);
        report.add(&case, figures);
    }
    report.finish()
}

fn directory(arguments: &[String]) -> PathBuf {
    let named = after(arguments, "--in");
    named.map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned(), PathBuf::from)
}

fn after<'a>(arguments: &'a [String], flag: &str) -> Option<&'a String> {
    arguments.iter().skip_while(|argument| *argument != flag).nth(1)
}

fn cases(quick: bool) -> Vec<Case> {
    let case = |registries, applies, looks| Case {
        registries,
        authorities: Authorities::Shared,
        applies: if quick { 2 } else { applies },
        looks: if quick { looks / 2 } else { looks },
    };
    let mut cases = vec![case(100, 9, 60), case(1_000, 5, 30)];
    if !quick {
        cases.push(case(10_000, 2, 10));
    }
    let distinct = Case { authorities: Authorities::Distinct, ..case(1_000, 2, 20) };
    cases.push(distinct);
    cases
}
