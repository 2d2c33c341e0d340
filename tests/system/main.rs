//! The product on real nodes: before, a pull fails with the runtime's own words; after
//! `regtrust apply` and exactly the effects that it named, the same pull works.
//!
//! Every case runs on each generation of runtimes that it names. `lab` boots the nodes; see there
//! for how to write a case. It needs root. Where nodes cannot be booted the cases are ignored and one
//! line says why; with `CI=true` that is a failure.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "boots machines and looks at them from outside"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::process::ExitCode;

use case::Case;
use libtest_mimic::{Arguments, Trial};

mod case;
mod cases_certificates;
mod cases_lab;
mod cases_neighbours;
mod cases_trust;
mod lab;

/// A module of cases has one constant; its cases run when that is named here.
const CASES: &[&[Case]] =
    &[cases_lab::CASES, cases_trust::CASES, cases_certificates::CASES, cases_neighbours::CASES];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some(lab::keeper::ARGUMENT) => {
            lab::keeper::keep(&words.next().unwrap_or_default());
            return ExitCode::SUCCESS;
        }
        Some(cases_lab::HOLD) => cases_lab::hold(),
        _ => {}
    }
    let arguments = Arguments::from_args();
    let obstacle = if arguments.list { None } else { lab::machine::obstacle() };
    if let Some(why) = &obstacle {
        eprintln!("SYSTEM TESTS SKIPPED: {why}");
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return ExitCode::FAILURE;
        }
    }
    let trials = trials(obstacle.is_some());
    let conclusion = libtest_mimic::run(&arguments, trials);
    lab::pool::drain();
    conclusion.exit_code()
}

/// By suite, so that nodes can be used again before the next suite's are booted.
fn trials(skipped: bool) -> Vec<Trial> {
    let mut trials = Vec::new();
    for suite in lab::Suite::ALL {
        for case in CASES.iter().copied().flatten().filter(|case| case.suites.contains(&suite)) {
            let name = format!("{suite}::{}", case.name);
            let trial = Trial::test(name, move || {
                case.run(suite);
                Ok(())
            });
            trials.push(trial.with_ignored_flag(skipped));
        }
    }
    trials
}
