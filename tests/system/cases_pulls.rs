//! No pull fails because of us: both runtimes pull again and again from registries that are trusted
//! throughout, while hundreds of declarations change around them, theirs among them.
//!
//! `REGTRUST_SOAK` makes it long, `REGTRUST_SEED` repeats a sequence.

use std::time::Instant;

use crate::case::{Case, case};
use crate::chance::{Chance, seed};
use crate::lab::{Node, Suite};
use changes::Change;
use estate::Estate;
use pulling::{Bell, Clock, Failure, Runtime, Tally};

mod calls;
mod changes;
mod estate;
mod pulling;

use calls::no_pull_fails_while_a_control_plane_changes_trust;

pub(crate) const CASES: &[Case] = &[
    case!(Kubernetes no_pull_fails_while_trust_changes),
    case!(Kubernetes no_pull_fails_while_a_control_plane_changes_trust),
    case!(Kubernetes pulls_fail_where_a_directory_is_written_anew_in_place),
];

/// Changes in a soak; and otherwise on the generation that has the most of them.
const SOAK: usize = 1000;
const CHANGES: usize = 200;
const CHANGES_ELSEWHERE: usize = 60;

/// Replacements by hand. At 500, one runtime failed 115 pulls and the other 76.
const ROUNDS: usize = 100;

/// How many there are to be. All generations read the same files in the same way, so one of them
/// sees the most and the others enough to notice a difference.
fn extent(suite: Suite) -> usize {
    match suite {
        _ if std::env::var_os("REGTRUST_SOAK").is_some() => SOAK,
        Suite::Trixie => CHANGES,
        Suite::Bookworm | Suite::Forky => CHANGES_ELSEWHERE,
    }
}

fn no_pull_fails_while_trust_changes(node: &Node) {
    let (seed, extent, began) = (seed(), extent(node.suite), Instant::now());
    let estate = Estate::build(node);
    let images = images(&estate);
    let pulls = || {
        Runtime::BOTH
            .into_iter()
            .flat_map(|runtime| images.iter().map(move |image| (runtime, image)))
    };
    for (runtime, image) in pulls() {
        runtime.pull(node, image).expect_err("nothing is trusted by itself");
    }
    for steady in &estate.steady {
        node.declare(steady.name, &steady.variants[0]);
    }
    node.perform(&node.apply().effects);
    for (runtime, image) in pulls() {
        runtime.pull(node, image).unwrap_or_else(|words| panic!("{runtime:?} {image}: {words}"));
    }

    let changes: Vec<Change> =
        changes::from(Chance::from(seed), &estate.steady).take(extent).collect();
    let (tallies, reloads) = meanwhile(node, &images, |clock| make(node, &changes, clock));
    report(
        node.suite,
        &tallies,
        &format!(
            "{extent} changes, {reloads} reloads, seed {seed}, {} s",
            began.elapsed().as_secs()
        ),
    );
    judge(&estate, &tallies, &changes, seed);
}

/// Makes the changes one by one, with the reloads that they need, and returns how many those were.
fn make(node: &Node, changes: &[Change], clock: &Clock) -> usize {
    let mut reloads = 0;
    for (number, change) in changes.iter().enumerate() {
        clock.set(number);
        change.declare(node);
        let survey = node.apply();
        let disturbs = |effect: &&str| *effect != "reload-docker";
        assert!(!survey.due().iter().any(disturbs), "{}: {}", change.words, survey.text);
        reloads += survey.effects.len();
        node.perform(&survey.effects);
    }
    reloads
}

/// What the runtimes pulled while `work` was done.
fn meanwhile<T>(node: &Node, images: &[String], work: impl FnOnce(&Clock) -> T) -> ([Tally; 2], T) {
    let clock = Clock::default();
    std::thread::scope(|scope| {
        let pulling =
            Runtime::BOTH.map(|runtime| pulling::begin(scope, (node, &clock), runtime, images));
        let bell = Bell(&clock);
        let result = work(&clock);
        drop(bell);
        (pulling.map(|thread| thread.join().unwrap()), result)
    })
}

fn images(estate: &Estate<'_>) -> Vec<String> {
    estate.steady.iter().map(|steady| steady.image.clone()).collect()
}

fn report(suite: Suite, [docker, containerd]: &[Tally; 2], circumstances: &str) {
    let failures = docker.failures.len() + containerd.failures.len();
    eprintln!(
        "{suite}: {} pulls during {circumstances}: docker {docker}, containerd {containerd}; \
         {failures} failed",
        docker.total() + containerd.total(),
    );
}

fn judge(estate: &Estate<'_>, tallies: &[Tally; 2], changes: &[Change], seed: u64) {
    let failures: Vec<&Failure> = tallies.iter().flat_map(|tally| &tally.failures).collect();
    for Failure { runtime, image, words, changes: (first, last) } in failures.iter().take(10) {
        eprintln!("{runtime:?} could not pull {image}: {words}");
        for (number, change) in changes.iter().enumerate().take(last + 1).skip(*first) {
            eprintln!("    meanwhile, change {number}: {}", change.words);
        }
    }
    assert!(failures.is_empty(), "{} pulls failed, seed {seed}", failures.len());
    for steady in &estate.steady {
        let pulled = tallies
            .each_ref()
            .map(|tally| tally.pulled.get(&steady.image).copied().unwrap_or_default());
        let enough = changes.len() / 4;
        assert!(pulled.iter().all(|count| *count >= enough), "only {pulled:?} of {}", steady.image);
        if let (Some(registry), false) = (&steady.registry, steady.may_be_served_elsewhere) {
            let asked = registry.requests();
            assert!(asked >= pulled.iter().sum(), "{}: {asked} requests", steady.name);
        }
    }
}

/// The self-test: what people do by hand, to the same registries under the same pulls, is seen.
/// If it were not, the case above could not fail.
fn pulls_fail_where_a_directory_is_written_anew_in_place(node: &Node) {
    let estate = Estate::build(node);
    let steady = &estate.steady[0];
    node.declare(steady.name, &steady.variants[0]);
    node.apply();
    let by_hand = |runtime: &str| {
        let directory =
            format!("/etc/{runtime}/certs.d/{}", steady.image.split('/').next().unwrap());
        node.sh(&format!(
            "cp -a {directory} /run/{runtime}-copy
             for round in $(seq {ROUNDS}); do
                 rm -rf {directory}
                 cp -a /run/{runtime}-copy {directory}
             done"
        ));
    };
    let images = [steady.image.clone()];
    for (runtime, name) in [(Runtime::Docker, "docker"), (Runtime::Containerd, "containerd")] {
        let (tallies, ()) = meanwhile(node, &images, |_| by_hand(name));
        report(node.suite, &tallies, &format!("{ROUNDS} replacements by hand for {name}"));
        let failed = |failure: &Failure| failure.runtime == runtime;
        assert!(
            tallies.iter().flat_map(|tally| &tally.failures).any(failed),
            "{name}: none failed"
        );
    }
}
