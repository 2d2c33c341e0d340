//! A fault at any system call, or two, leaves all of a change or nothing of it.
#![expect(
    clippy::disallowed_methods,
    reason = "makes nodes, breaks them, and looks at them from outside"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

use std::path::Path;
use std::time::Instant;

use chance::{Chance, seed};
use sweep::{SAMPLE, SOAK, Tally};

#[path = "common/calls.rs"]
mod calls;
#[path = "faults/careless.rs"]
mod careless;
#[path = "common/chance.rs"]
mod chance;
#[path = "faults/durable.rs"]
mod durable;
#[path = "faults/fault.rs"]
mod fault;
#[path = "faults/node.rs"]
mod node;
#[path = "faults/oracle.rs"]
mod oracle;
#[path = "faults/sample.rs"]
mod sample;
#[path = "faults/scenario.rs"]
mod scenario;
#[path = "faults/strace.rs"]
mod strace;
#[path = "faults/sweep.rs"]
mod sweep;
#[path = "faults/tree.rs"]
mod tree;
#[path = "faults/workers.rs"]
mod workers;

/// Fewer would not be what the sample promises.
const AT_LEAST: usize = 2000;

#[test]
fn every_fault_leaves_all_or_nothing() {
    if !strace::is_available() {
        return;
    }
    let began = Instant::now();
    let seed = seed();
    let mut chance = Chance::from(seed);
    let extent = if std::env::var_os("REGTRUST_SOAK").is_some() { SOAK } else { SAMPLE };
    let directory = workers::scratch();
    let scenarios = scenario::all(&directory.path().join("node"));
    let sweep = |scenario| (scenario, sweep::sweep(scenario, extent, &mut chance));
    let tallies: Vec<_> = scenarios.iter().map(sweep).collect();

    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(|(_, tally)| of(tally)).sum::<usize>();
    let injected = sum(|tally| tally.injected);
    let each = tallies.iter().map(|(of, tally)| format!("{} {}", of.name, tally.injected));
    let failures: Vec<_> = tallies.iter().flat_map(|(_, tally)| &tally.failures).collect();
    strace::say(&format!(
        "{injected} faults injected ({}; of them {} double), {} survived \
         (old {}, new {}, a smaller change that was reported {}), seed {seed}, {} s",
        each.collect::<Vec<_>>().join(", "),
        sum(|tally| tally.double),
        injected - failures.len(),
        sum(|tally| tally.old),
        sum(|tally| tally.new),
        sum(|tally| tally.between),
        began.elapsed().as_secs(),
    ));
    for failure in failures.iter().take(20) {
        strace::say(failure);
    }
    assert!(failures.is_empty(), "{} faults were not survived, seed {seed}", failures.len());
    assert!(injected >= AT_LEAST, "only {injected} faults");
    assert_eq!(sum(|tally| tally.not_reached), 0, "faults that no call met");
}

/// Otherwise a directory that could not be listed once would leave trust behind that is forgotten.
#[test]
fn what_cannot_be_read_is_not_taken_for_absent() {
    if !strace::is_available() {
        return;
    }
    let directory = workers::scratch();
    let root = directory.path().join("node");
    for scenario in [scenario::first_apply(&root), scenario::withdrawal(&root)] {
        let tally = sweep::sweep_reading(&scenario);
        assert!(tally.failures.is_empty(), "{}", tally.failures.join("\n"));
        assert!(tally.injected > 50 && tally.between > 0, "{tally:?}");
    }
}

/// Recovery took it for a change that cannot be finished, and undid what may have been acknowledged.
#[test]
fn what_is_in_place_is_not_undone_because_it_cannot_be_tidied_up() {
    if !strace::is_available() {
        return;
    }
    let directory = workers::scratch();
    let root = directory.path().join("node");
    for scenario in [scenario::first_apply(&root), scenario::withdrawal(&root)] {
        let seen = durable::sweep(&scenario);
        strace::say(&format!("{}: {} nodes, {} faults", scenario.name, seen.nodes, seen.injected));
        assert!(seen.failures.is_empty(), "{}", seen.failures.join("\n"));
        assert!(seen.nodes > 2 && seen.injected > 30, "{seen:?}");
    }
}

#[test]
fn the_sweep_catches_careless_protocols() {
    if !strace::is_available() {
        return;
    }
    let directory = workers::scratch();
    let scenario = scenario::on_a_bare_node(&directory.path().join("node"));
    for protocol in careless::PROTOCOLS {
        let seen = careless::sweep(&scenario, protocol);
        strace::say(&format!("self-test, {protocol}: {seen}"));
        assert!(seen.mixed > 0, "{protocol}");
        assert_eq!(seen.torn > 0, protocol == "in-place", "{protocol}");
        assert!(seen.caught >= seen.mixed + seen.torn, "{protocol}");
    }
}

/// `PROTOCOL NODE NEW` are its arguments.
#[test]
#[ignore = "it is no test but a program that the sweep runs"]
fn a_careless_program() {
    let arguments: Vec<String> = std::env::args().collect();
    let [.., protocol, root, new] = arguments.as_slice() else { return };
    if careless::PROTOCOLS.contains(&protocol.as_str()) {
        careless::run(protocol, Path::new(root), &tree::read(Path::new(new)));
    }
}
