//! The product on real nodes: before, a pull fails with the runtime's own words; after
//! `regtrust apply` and exactly the effects that it named, the same pull works.
//!
//! What the runtimes are known to do, by version, is in tables: a row of a table names the case that
//! shows it, and where a version does otherwise the case fails, which is how we learn of it.
//!
//! | what | where |
//! |---|---|
//! | which change needs which effect | `cases_effects`, `cases_effects_store` |
//! | `docker build` | `cases_tables_buildkit` |
//! | Docker Hub and its mirrors | `cases_tables_hub` |
//! | docker with containerd's image store | `cases_tables_image_store` |
//! | certs.d | `cases_traps_docker` |
//! | daemon.json, flags, reloads | `cases_traps_daemon` |
//! | hosts.toml | `cases_traps_containerd` |
//! | config.toml | `cases_traps_config` |
//! | registries that are addresses | `cases_traps_addresses` |
//! | what a restart would interrupt | `cases_jobs` |
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
use std::sync::Mutex;
use std::time::{Duration, Instant};

use case::Case;
use libtest_mimic::{Arguments, Trial};

#[path = "../common/calls.rs"]
mod calls;
mod case;
mod cases_breaks;
mod cases_certificates;
mod cases_control_plane;
mod cases_daemon;
mod cases_demo;
mod cases_effects;
mod cases_effects_api;
mod cases_effects_store;
mod cases_holds;
mod cases_image;
mod cases_jobs;
mod cases_kills;
mod cases_lab;
mod cases_neighbours;
mod cases_packages;
mod cases_presence;
mod cases_pulls;
mod cases_restarts;
mod cases_tables_buildkit;
mod cases_tables_hub;
mod cases_tables_image_store;
mod cases_traps_addresses;
mod cases_traps_config;
mod cases_traps_containerd;
mod cases_traps_daemon;
mod cases_traps_docker;
mod cases_trust;
mod cases_unit;
mod cases_verdicts;
#[path = "../common/chance.rs"]
mod chance;
mod demo;
#[path = "../common/kustomize.rs"]
mod kustomize;
mod lab;
#[path = "../common/venv.rs"]
mod venv;

/// A module of cases has one constant; its cases run when that is named here.
const CASES: &[&[Case]] = &[
    // The long ones first, so that none of them is left alone at the end.
    cases_kills::CASES,
    cases_restarts::CASES,
    cases_pulls::CASES,
    cases_packages::CASES,
    cases_image::CASES,
    cases_presence::CASES,
    cases_daemon::CASES,
    cases_lab::CASES,
    cases_traps_daemon::CASES,
    cases_trust::CASES,
    cases_certificates::CASES,
    cases_neighbours::CASES,
    cases_breaks::CASES,
    cases_demo::CASES,
    cases_effects::CASES,
    cases_effects_store::CASES,
    cases_tables_buildkit::CASES,
    cases_tables_hub::CASES,
    cases_tables_image_store::CASES,
    cases_traps_addresses::CASES,
    cases_traps_config::CASES,
    cases_traps_containerd::CASES,
    cases_traps_docker::CASES,
    cases_effects_api::CASES,
    cases_verdicts::CASES,
    cases_control_plane::CASES,
    cases_jobs::CASES,
    cases_holds::CASES,
    cases_unit::CASES,
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some(lab::keeper::ARGUMENT) => {
            lab::keeper::keep(&words.next().unwrap_or_default());
            return ExitCode::SUCCESS;
        }
        Some(cases_lab::HOLD) => cases_lab::hold(),
        Some(demo::ARGUMENT) => return demo::show(),
        Some(demo::STORY) => return demo::perform(),
        _ => {}
    }
    let mut arguments = Arguments::from_args();
    if !arguments.list {
        lab::machine::make_room();
    }
    arguments.test_threads.get_or_insert_with(lab::machine::cases_at_a_time);
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
    print_slowest();
    conclusion.exit_code()
}

/// Those that share nodes come by suite, so that nodes can be used again before the next suite's are
/// booted. They keep the processors busy, and whoever has a node to itself mostly waits: so some of these
/// begin among the others, all of them before those end.
fn trials(skipped: bool) -> Vec<Trial> {
    let all = || CASES.iter().copied().flatten();
    let alone = all().filter(|case| !case.shares_its_node());
    let mut alone = alone.flat_map(|case| case.suites.iter().map(move |suite| (*suite, case)));
    let sharing = lab::Suite::ALL.into_iter().flat_map(|suite| {
        all()
            .filter(move |case| case.shares_its_node() && case.suites.contains(&suite))
            .map(move |case| (suite, case))
    });
    let mut order: Vec<_> = alone.by_ref().take(lab::Suite::ALL.len()).collect();
    for sharing in sharing {
        order.push(sharing);
        order.extend(alone.next());
    }
    order.extend(alone);
    let trial = |(suite, case): (lab::Suite, &'static Case)| {
        let name = format!("{suite}::{}", case.name);
        let run = {
            let name = name.clone();
            move || {
                let began = Instant::now();
                case.run(suite);
                TIMES.lock().expect("no case panics here").push((began.elapsed(), name));
                Ok(())
            }
        };
        Trial::test(name, run).with_ignored_flag(skipped)
    };
    order.into_iter().map(trial).collect()
}

/// How long the cases took that passed.
static TIMES: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// The whole is as quick as its slowest parts allow, so whoever waits for it sees which those are.
fn print_slowest() {
    let mut times = TIMES.lock().expect("all cases have ended");
    times.sort_unstable();
    let whole: Duration = times.iter().map(|(time, _)| time).sum();
    println!("{} cases took {:.0} s one after another, of which", times.len(), whole.as_secs_f32());
    for (time, name) in times.iter().rev().take(SLOWEST) {
        println!("{:7.1} s  {name}", time.as_secs_f32());
    }
}

const SLOWEST: usize = 12;
