//! `regtrust` beside a daemon.

use std::io::Read as _;
use std::process::Stdio;

use nix::sys::signal::Signal;
use regtrust::api::v1::item_status::State;
use regtrust::api::v1::{self, ApplyRequest};
use serde_json::Value;

use crate::live::{Daemon, ca_of, node, set, until_file, with_ca, with_client};

const LAB: &str =
    "[[registry]]\nhost = \"lab.corp:5000\"\ntrust = \"http\"\nruntimes = [\"docker\"]\n";

#[tokio::test]
async fn exit_codes_beside_a_daemon_are_a_contract() {
    let node = node();
    node.declare(LAB);
    let daemon = Daemon::start(&node).await;
    let table: &[(i32, &[&str])] = &[
        (0, &["status"]),
        (0, &["status", "--json"]),
        (0, &["apply"]),
        (0, &["apply", "--json"]),
        (0, &["plan"]),
        (0, &["lint"]),
        (0, &["history"]),
        (0, &["explain", "lab.corp:5000"]),
        (0, &["rollback", "1"]),
        (0, &["rollback", "--release"]),
        (64, &["rollback", "99"]),
        (64, &["apply", "--acknowledge", "docker-reload"]),
        (64, &["apply", "--docker-version", "26.1"]),
        (75, &["adopt", "lab.corp:5000"]),
        (0, &["adopt", "--dry-run", "lab.corp:5000"]),
        (0, &["pause", "--for", "5m", "--reason", "kernel"]),
        (64, &["pause", "--for", "8d"]),
        (0, &["resume"]),
        (0, &["restart"]),
        (1, &["restart", "--effect", "docker-reload"]),
        (64, &["check", "other.corp"]),
        (1, &["check"]),
        (1, &["confirm", "3"]),
        (64, &["hold", " "]),
        (0, &["hold", "ci/42"]),
        (1, &["locks"]),
        (1, &["locks", "unlock", "a"]),
        (1, &["locks", "resolve"]),
        (64, &["locks", "break"]),
    ];
    for (code, arguments) in table {
        let outcome = node.run(arguments.iter());
        assert_eq!(outcome.code, *code, "{arguments:?}\n{}", outcome.all());
        assert_eq!(outcome.hostile_character(), None, "{arguments:?}");
    }
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
    for command in ["check", "resume", "restart"] {
        node.run([command]).exits(69).says("systemctl start regtrustd");
    }
    node.run(["status", "--watch"]).exits(69);
    node.run(["status"]).exits(0);
    println!("{} exit codes", table.len() + 5);
}

#[tokio::test]
async fn a_node_that_cannot_do_as_declared_says_so_in_the_exit_code() {
    for (code, path, text) in [
        (1, "etc/docker/daemon.json", "{"),
        (78, "etc/regtrust/registries.d/wrong.toml", "[[registry]\n"),
        (1, "etc/regtrust/policy.toml", "insecure = false\n"),
    ] {
        let node = node();
        node.declare(LAB).file(path, text);
        let _daemon = Daemon::start(&node).await;
        for command in ["status", "apply"] {
            node.run([command]).exits(code);
        }
    }
}

#[tokio::test]
async fn what_was_applied_over_the_api_is_nothing_to_withdraw_for_the_command() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    daemon.client().await.apply(set(&["harbor.corp"])).await.unwrap();
    let outcome = node.run(["plan"]).exits(0);
    assert!(!outcome.stdout.contains("harbor.corp"), "{}", outcome.stdout);
    daemon.end(Signal::SIGTERM);
    node.run(["apply"]).exits(0);
    assert!(node.has(&ca_of("harbor.corp")));
    // Nor while nobody can tell who owns what.
    node.file("etc/regtrust/regtrustd.toml", "[");
    node.run(["apply"]).exits(78);
    assert!(node.has(&ca_of("harbor.corp")));
    node.run(["lint"]).exits(78).says("regtrustd.toml");
}

#[tokio::test]
async fn status_as_a_document_has_the_shape_of_the_contract() {
    let node = node();
    node.declare(LAB);
    let daemon = Daemon::start(&node).await;
    until_file(&node, "etc/docker/daemon.json", true).await;
    let told = node.run(["status", "--json"]).exits(0).json();
    let status = daemon.status().await;
    assert_eq!(told["sequence"], status.sequence.to_string());
    assert_eq!(told["summary"], status.summary);
    assert_eq!(told["phase"], "PHASE_SETTLED");
    assert_eq!(told["registries"][0]["host"], "lab.corp:5000");
    assert_eq!(told["registries"][0]["items"][0]["state"], "STATE_IN_FORCE");
    assert_eq!(told["jobs"], Value::Array(Vec::new()), "what is empty is there all the same");
}

/// What had no place in the contract was known to the daemon and to nobody else.
#[tokio::test]
async fn status_tells_of_the_store_of_what_ends_of_others_and_of_what_is_worth_knowing() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let wide = v1::Registry { system_store: true, ..with_ca("wide.corp") };
    let loose = v1::Registry {
        ca: String::new(),
        trust: v1::Trust::SkipVerify.into(),
        ..with_ca("loose.corp")
    };
    let registries = vec![wide, with_client("harbor.corp"), loose];
    let request = ApplyRequest { registries, ..set(&[]) };
    daemon.client().await.apply(request).await.unwrap();
    node.file(&ca_of("harbor.corp"), "theirs");
    let status = daemon.until(|status| !status.drift.is_empty()).await;
    let of = |host: &str| status.registries.iter().find(|one| one.host == host).unwrap();
    let store = of("wide.corp").system_store.as_ref().unwrap();
    assert_eq!((store.runtime(), store.state()), (v1::Runtime::Unspecified, State::Waiting));
    assert_eq!(of("harbor.corp").system_store, None);
    assert!(of("harbor.corp").client_ends.is_some() && of("wide.corp").client_ends.is_none());
    let [drift] = &status.drift[..] else { panic!("{:?}", status.drift) };
    assert!(drift.path.ends_with(&ca_of("harbor.corp")) && drift.repaired, "{drift:?}");
    let is_about = |one: &&v1::Note| one.hosts == ["loose.corp"];
    let worth_knowing =
        status.notes.iter().find(is_about).unwrap_or_else(|| panic!("{:?}", status.notes));
    node.run(["status"])
        .says("system store: waiting")
        .says("Changed by somebody else")
        .says(&drift.path)
        .says(&worth_knowing.message);
    // It was put right with the first look, and is told of all the same.
    assert_eq!(
        daemon.client().await.reconcile(v1::ReconcileRequest {}).await.unwrap().into_inner().drift,
        status.drift
    );
}

#[tokio::test]
async fn a_hold_lasts_as_long_as_its_input_is_open() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    for by_signal in [false, true] {
        let mut hold = node.command();
        hold.args(["hold", "ci/42"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut hold = hold.spawn().unwrap();
        daemon.until(|status| status.jobs.iter().any(|job| job.name == "ci/42")).await;
        if by_signal {
            let pid = i32::try_from(hold.id()).unwrap();
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGINT).unwrap();
        } else {
            drop(hold.stdin.take());
        }
        assert_eq!(hold.wait().unwrap().code(), Some(0));
        daemon.until(|status| status.jobs.is_empty()).await;
    }
}

#[tokio::test]
async fn a_watch_prints_a_line_at_every_change_and_ends_with_its_daemon() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut watch = node.command();
    watch.args(["status", "--watch"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut watch = watch.spawn().unwrap();
    let mut output = watch.stdout.take().unwrap();
    let mut text = [0; 4096];
    let first = output.read(&mut text).unwrap();
    let first = String::from_utf8_lossy(&text[..first]).into_owned();
    assert!(first.contains("settled") && first.ends_with('\n'), "{first}");
    daemon.client().await.apply(set(&["harbor.corp"])).await.unwrap();
    let next = output.read(&mut text).unwrap();
    let next = String::from_utf8_lossy(&text[..next]).into_owned();
    assert!(next.contains("1 registry in force"), "{next}");
    let ended = tokio::task::spawn_blocking(move || daemon.end(Signal::SIGTERM));
    assert_eq!(ended.await.unwrap(), Some(0));
    assert_eq!(watch.wait().unwrap().code(), Some(75));
}

#[tokio::test]
async fn a_job_is_held_for_while_it_runs_and_its_exit_code_is_passed_on() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut hold = node.command();
    hold.args(["hold", "ci/42", "--for", "sh", "-c", "read line; exit 7"]).stdin(Stdio::piped());
    let mut hold = hold.spawn().unwrap();
    daemon.until(|status| status.jobs.iter().any(|job| job.name == "ci/42")).await;
    drop(hold.stdin.take());
    assert_eq!(hold.wait().unwrap().code(), Some(7));
    daemon.until(|status| status.jobs.is_empty()).await;
    for (command, code) in [("kill -9 $$", 137), ("exit 0", 0)] {
        let mut hold = node.command();
        hold.args(["hold", "ci/42", "--for", "sh", "-c", command]);
        assert_eq!(hold.status().unwrap().code(), Some(code), "{command}");
    }
    let mut hold = node.command();
    hold.args(["hold", "ci/42", "--for", "/no/such/program"]);
    assert_eq!(hold.status().unwrap().code(), Some(127));
}
