use std::collections::BTreeSet;

use super::*;
use crate::target::Believer;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn registry(host: &str, state: State) -> Registry {
    let host: RegistryHost = host.parse().unwrap();
    let item = Item { host: host.clone(), on: Believer::Docker };
    Registry {
        host,
        standing: Standing::Declared,
        owner: Some("local".to_owned()),
        trust: Some("http"),
        until: None,
        reason: None,
        ca_ends: None,
        client_ends: None,
        items: vec![ItemStatus { item, state, proof: None }],
    }
}

fn status(registries: Vec<Registry>) -> NodeStatus {
    NodeStatus { registries, ..NodeStatus::default() }
}

fn told(status: &NodeStatus, progress: &Progress) -> (Phase, String) {
    let status = status.with(progress);
    (status.phase, status.summary)
}

fn conflict() -> Conflict {
    Conflict {
        target: crate::target::Target::DockerDaemon,
        path: "/etc/docker/daemon.json".to_owned(),
        message: "is no JSON".to_owned(),
        cure: "mend it".to_owned(),
        items: BTreeSet::new(),
    }
}

#[test]
fn the_sentence_counts_what_is_in_force_and_what_waits() {
    let waiting = || State::Waiting("to reload docker".to_owned());
    for (registries, sentence) in [
        (vec![], "no registry is declared"),
        (vec![registry("a.corp", State::InForce)], "1 registry in force"),
        (
            vec![registry("a.corp", State::InForce), registry("b.corp", State::InForce)],
            "2 registries in force",
        ),
        (vec![registry("a.corp", waiting())], "1 registry waiting"),
        (
            vec![registry("a.corp", State::InForce), registry("b.corp", waiting())],
            "1 registry in force, 1 waiting",
        ),
    ] {
        let (phase, summary) = told(&status(registries), &Progress::default());
        assert_eq!((phase, summary.as_str()), (Phase::Settled, sentence));
    }
}

#[test]
fn what_needs_somebody_comes_first_and_is_never_called_settled() {
    let fine = || registry("a.corp", State::InForce);
    let rejected = registry("b.corp", State::Rejected("it did not come back".to_owned()));
    let mut blocked = status(vec![fine()]);
    blocked.conflicts.push(conflict());
    let trouble = BTreeMap::from([(Effect::RestartDocker, "it did not start".to_owned())]);
    let failure = Some("no space left on device".to_owned());
    for (status, progress, first) in [
        (status(vec![fine(), rejected]), Progress::default(), "1 item taken back"),
        (blocked, Progress::default(), "1 conflict in the way; 1 registry in force"),
        (
            status(vec![fine()]),
            Progress { trouble, ..Progress::default() },
            "could not restart docker: it did not start; 1 registry in force",
        ),
        (
            status(vec![fine()]),
            Progress { failure, ..Progress::default() },
            "nothing can be changed: no space left on device",
        ),
    ] {
        let (phase, summary) = told(&status, &progress);
        assert_eq!(phase, Phase::Degraded, "{summary}");
        assert!(summary.starts_with(first), "{summary}");
        // While something is being done that is the phase, unless nothing can be; it is said still.
        let expected = if progress.failure.is_some() { Phase::Degraded } else { Phase::Working };
        let (phase, summary) = told(&status, &Progress { working: true, ..progress });
        assert_eq!(phase, expected, "{summary}");
        assert!(summary.starts_with(first), "{summary}");
    }
}

#[test]
fn a_pin_a_pause_and_jobs_are_told() {
    let pin = Pin { format: 1, generation: 7, at: at(1), until: at(2), reason: None };
    let pause = Pause { until: at(9), reason: "kernel".to_owned(), by: "uid 0".to_owned() };
    let job = Job { name: "ci/42".to_owned(), by: "uid 0".to_owned(), since: at(3) };
    let node = NodeStatus { pin: Some(pin), ..status(vec![registry("a.corp", State::InForce)]) };
    let progress = Progress {
        pause: Some(pause.clone()),
        jobs: vec![job.clone()],
        working: true,
        ..Progress::default()
    };
    let told = node.with(&progress);
    assert_eq!(told.summary, "1 registry in force; pinned to generation 7");
    assert_eq!((told.phase, told.pause, told.jobs), (Phase::Working, Some(pause), vec![job]));
}
