//! The table of what interrupts what, and the pods that are finished or are not.

use super::*;

const NOW: &str = "2026-11-21T12:00:00Z";
const RESTARTS: [Restart; 3] = [Restart::DockerKills, Restart::DockerKeeps, Restart::Containerd];

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn ago(minutes: i64) -> Option<Timestamp> {
    now().checked_sub(jiff::SignedDuration::from_mins(minutes)).ok()
}

fn rules(text: &str) -> Rules {
    let classes = r#"
        [[rule]]
        name = "A"
        on = "container"
        labels = ["attached"]
        class = "attached"
        [[rule]]
        name = "D"
        on = "container"
        labels = ["detached"]
        class = "detached"
        [[rule]]
        name = "S"
        on = "container"
        labels = ["sensitive"]
        class = "sensitive"
        [[ignore]]
        on = "container"
        labels = ["ignored"]
    "#;
    parse_rules(Some(&format!("{text}\n{classes}")), "f").unwrap()
}

fn container(label: &str) -> Container {
    Container {
        name: "c".to_owned(),
        labels: [(label.to_owned(), String::new())].into(),
        phase: Phase::Running,
        since: ago(90),
        exec: false,
        nameless: false,
    }
}

/// For each kind of restart: what it would interrupt.
fn found(container: Container, text: &str) -> [String; 3] {
    let seen = Seen { containers: vec![container], ..Seen::default() };
    RESTARTS.map(|restart| names(&judge(&seen, restart, &rules(text), now())))
}

fn names(occupants: &[Occupant]) -> String {
    let names: Vec<String> =
        occupants.iter().map(|one| format!("{} {}", one.what, one.name)).collect();
    names.join(", ")
}

type Row = (Container, &'static str, [&'static str; 3]);

fn check(rows: impl IntoIterator<Item = Row>) {
    for (container, text, expected) in rows {
        let row = format!("{container:?} {text}");
        assert_eq!(found(container, text), expected.map(str::to_owned), "{row}");
    }
}

#[test]
fn what_would_die_is_what_counts() {
    check([
        (container("attached"), "", ["A c", "A c", "A c"]),
        (container("detached"), "", ["D c", "", "D c"]),
        (container("detached"), "containerd_allow_detached = true", ["D c", "", ""]),
        (container("sensitive"), "", ["S c", "", ""]),
        (container("ignored"), "", ["", "", ""]),
        (container("ignored"), "unlabelled = \"busy\"", ["", "", ""]),
        (container("other"), "", ["container c", "", ""]),
        (container("other"), "unlabelled = \"busy\"", ["container c"; 3]),
        (container("other"), "unlabelled = \"ignore\"", [""; 3]),
        (
            container("other"),
            "unlabelled = \"busy-if-younger-than\"\nunlabelled_age = \"1h\"",
            [""; 3],
        ),
        (
            container("other"),
            "unlabelled = \"busy-if-younger-than\"\nunlabelled_age = \"2h\"",
            ["container c"; 3],
        ),
        (
            Container { since: None, ..container("other") },
            "unlabelled = \"busy-if-younger-than\"\nunlabelled_age = \"1h\"",
            ["container c"; 3],
        ),
        // Somebody is inside.
        (
            Container { exec: true, ..container("other") },
            "",
            ["container c", "command in container c", ""],
        ),
        (
            Container { exec: true, ..container("detached") },
            "",
            ["D c", "command in container c", "D c"],
        ),
        (Container { exec: true, ..container("ignored") }, "", [""; 3]),
    ]);
}

#[test]
fn what_begins_counts_and_what_is_over_does_not() {
    let starting = "container that is being started c";
    check([
        // Between its making and its start.
        (
            Container { phase: Phase::Created, since: ago(1), ..container("other") },
            "",
            [starting; 3],
        ),
        (
            Container { phase: Phase::Created, since: ago(1), ..container("sensitive") },
            "",
            ["S c", starting, starting],
        ),
        (
            Container { phase: Phase::Created, since: ago(1), ..container("attached") },
            "",
            ["A c"; 3],
        ),
        (Container { phase: Phase::Created, since: ago(1), ..container("ignored") }, "", [""; 3]),
        // Made for later.
        (Container { phase: Phase::Created, since: ago(3), ..container("attached") }, "", [""; 3]),
        (
            Container { phase: Phase::Created, since: ago(3), ..container("other") },
            "unlabelled = \"busy\"",
            [""; 3],
        ),
        // A step of docker's classic builder, and a service that somebody started by digest.
        (Container { nameless: true, ..container("other") }, "", ["image build c"; 3]),
        (
            Container { nameless: true, since: ago(400), ..container("other") },
            "",
            ["container c", "", ""],
        ),
        (Container { nameless: true, ..container("ignored") }, "", [""; 3]),
        // Over.
        (
            Container { phase: Phase::Exited(None), ..container("attached") },
            "unlabelled = \"busy\"",
            [""; 3],
        ),
    ]);
}

#[test]
fn pulls_and_builds_count_whatever_is_restarted() {
    let pull = Occupant {
        source: Source::Pulls,
        what: "image pull".to_owned(),
        name: "sha256:1".to_owned(),
        since: None,
    };
    let seen = Seen { transfers: vec![pull.clone()], ..Seen::default() };
    for restart in RESTARTS {
        assert_eq!(judge(&seen, restart, &rules(""), now()), std::slice::from_ref(&pull));
    }
}

fn member(name: &str, phase: Phase, minutes: i64) -> Member {
    Member { name: name.to_owned(), phase, since: ago(minutes), exec: false }
}

fn job(minutes: i64, members: Vec<Member>) -> Pod {
    Pod {
        name: "ci/p".to_owned(),
        labels: [("jenkins/label".to_owned(), "x".to_owned())].into(),
        since: ago(minutes),
        members,
        ..Pod::default()
    }
}

fn of_pod(pod: Pod) -> String {
    let seen = Seen { pods: vec![pod], ..Seen::default() };
    names(&judge(&seen, Restart::Containerd, &rules(""), now()))
}

#[test]
fn a_job_is_at_work_until_its_own_containers_are_done() {
    let running = |name| member(name, Phase::Running, 30);
    let exited = |name, minutes| member(name, Phase::Exited(ago(minutes)), 30);
    let busy = "Jenkins agent ci/p";
    for (members, age, expected) in [
        (vec![running("jnlp")], 30, busy),
        (vec![running("istio-proxy"), running("jnlp")], 30, busy),
        // One is over and the other is not.
        (vec![exited("init", 20), running("jnlp")], 30, busy),
        // The sidecar stays, as sidecars do.
        (vec![running("istio-proxy"), exited("jnlp", 5)], 30, ""),
        (vec![exited("jnlp", 5)], 30, ""),
        // The next container may be about to start, or nobody knows.
        (vec![running("istio-proxy"), exited("init", 0)], 30, busy),
        (vec![member("init", Phase::Exited(None), 30)], 30, busy),
        // Its first image is being pulled, or cannot be.
        (vec![], 5, busy),
        (vec![], 15, ""),
        (vec![running("istio-proxy")], 5, busy),
        // Lost by an earlier restart of containerd: it never starts any more.
        (vec![member("jnlp", Phase::Created, 10)], 30, ""),
        (vec![member("jnlp", Phase::Created, 1)], 30, busy),
    ] {
        let label = format!("{members:?} {age}");
        assert_eq!(of_pod(job(age, members)), expected, "{label}");
    }
}

#[test]
fn a_pod_that_no_rule_knows_survives_containerd_and_only_its_unfinished_parts_count() {
    let service = |members| Pod { labels: Labels::new(), ..job(600, members) };
    assert_eq!(of_pod(service(vec![member("web", Phase::Running, 600)])), "");
    let starting = service(vec![member("web", Phase::Created, 1)]);
    assert_eq!(of_pod(starting), "container that is being started web of ci/p");
    let exec = Member { exec: true, ..member("web", Phase::Running, 600) };
    assert_eq!(of_pod(service(vec![exec])), "command in container web of ci/p");

    // The same pod under cri-dockerd dies with dockerd.
    let seen =
        Seen { pods: vec![service(vec![member("web", Phase::Running, 600)])], ..Seen::default() };
    assert_eq!(names(&judge(&seen, Restart::DockerKills, &rules(""), now())), "pod ci/p");
}
