//! The same with regtrustd, and changes that a control plane applies: nobody reloads by hand.

use regtrust::api::v1::{ApplyRequest, Phase, Registry, Trust, WaitFor};

use crate::chance::{Chance, seed};
use crate::lab::daemon::{Daemon, connect};
use crate::lab::wait::block_on;
use crate::lab::{Authority, Node, Witness};

use super::estate::Estate;
use super::pulling::Runtime;
use super::{Clock, extent, images, meanwhile};

/// As many registries come and go.
const PASSING: usize = 12;

pub(super) fn no_pull_fails_while_a_control_plane_changes_trust(node: &Node) {
    let (seed, calls) = (seed(), extent(node.suite) / 4);
    let estate = Estate::build(node);
    let images = images(&estate);
    for steady in &estate.steady {
        node.declare(steady.name, &steady.variants[0]);
    }
    let daemon = Daemon::start(node);
    daemon.until("everything is trusted", |status| {
        status.registries.len() >= estate.steady.len() && status.phase() == Phase::Settled
    });
    for image in &images {
        for runtime in Runtime::BOTH {
            runtime
                .pull(node, image)
                .unwrap_or_else(|words| panic!("{runtime:?} {image}: {words}"));
        }
    }
    let before = Witness::of(node);
    let authority = Authority::new("passing").root;
    let mut chance = Chance::from(seed);
    let (tallies, calls) = meanwhile(node, &images, |clock: &Clock| {
        let mut number = 0;
        // A few more where pulls take their time: each image is to be pulled meanwhile.
        while number < calls || (clock.pulls() < images.len() && number < 20 * calls) {
            clock.set(number);
            apply(node, any(&mut chance, &authority));
            number += 1;
        }
        number
    });
    let failures: Vec<String> = tallies
        .iter()
        .flat_map(|tally| &tally.failures)
        .map(|failure| format!("{:?} {}: {}", failure.runtime, failure.image, failure.words))
        .collect();
    let after = Witness::of(node);
    eprintln!(
        "{}: {} pulls during {calls} calls and {} reloads, seed {seed}; {} failed",
        node.suite,
        tallies.iter().map(super::Tally::total).sum::<usize>(),
        after.docker.hangups - before.docker.hangups,
        failures.len()
    );
    assert!(failures.is_empty(), "seed {seed}: {failures:#?}");
    for (tally, image) in tallies.iter().flat_map(|tally| images.iter().map(move |i| (tally, i))) {
        let pulled = tally.pulled.get(image).copied().unwrap_or_default();
        assert!(pulled > 0, "{image} was never pulled meanwhile");
    }
    assert_eq!(after.docker.pid, before.docker.pid);
    assert_eq!(after.containerd, before.containerd);
    apply(node, vec![]);
    for steady in &estate.steady {
        node.withdraw(steady.name);
    }
    daemon.until("nothing is declared", |status| {
        status.registries.is_empty() && status.phase() == Phase::Settled
    });
}

fn any(chance: &mut Chance, authority: &str) -> Vec<Registry> {
    let mut registries = Vec::new();
    for number in 0..PASSING {
        let (trust, ca) = match chance.below(4) {
            0 => continue,
            1 => (Trust::Insecure, String::new()),
            2 => (Trust::Http, String::new()),
            _ => (Trust::Ca, authority.to_owned()),
        };
        let host = format!("passing-{number}.corp:5000");
        registries.push(Registry { host, trust: trust.into(), ca, ..Registry::default() });
    }
    registries
}

/// Returns when the runtimes have loaded it, so that every reload there is falls among the pulls.
fn apply(node: &Node, registries: Vec<Registry>) {
    let wait_for = WaitFor::InForce.into();
    let request = ApplyRequest { registries, wait_for, ..ApplyRequest::default() };
    block_on(async {
        let mut client = connect(node).await.unwrap();
        client.apply(request).await.unwrap();
    });
}
