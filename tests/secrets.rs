//! Keys and passwords: where they may be, and that they are nowhere else.
#![expect(clippy::disallowed_methods, reason = "a test makes the nodes that the product works on")]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends at the first surprise")]

#[path = "common/machine.rs"]
mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{CANARY, Node, Outcome, REGTRUST, fixture_text, leaked, secrets};

const BLOBS: &str = "var/lib/regtrust/blobs";
const DROP_IN: &str = "etc/regtrust/registries.d/node.toml";
const DOCKER_KEY: &str = "etc/docker/certs.d/harbor.corp/client.key";

/// A registry with a client pair, on docker and containerd.
fn with_client(key: &str) -> Node {
    let node = Node::new();
    node.certificate("ca.pem").certificate("client.pem");
    node.file("etc/regtrust/client.key", fixture_text(key)).mode("etc/regtrust/client.key", 0o600);
    node.declare(
        "[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n\
         client_cert_file = \"client.pem\"\nclient_key_file = \"/etc/regtrust/client.key\"\n",
    );
    node
}

fn other(node: &Node, number: u64) {
    node.file(
        "etc/regtrust/registries.d/other.toml",
        format!(
            "[[registry]]\nhost = \"r{number}.corp\"\ntrust = \"system\"\nreason = \"{number}\"\n"
        ),
    );
    node.run(["apply"]).exits(0);
}

/// Every file below the tree that holds a secret.
fn holders(node: &Node) -> Vec<PathBuf> {
    let secrets = secrets();
    let mut found = Vec::new();
    search(&node.root(), &secrets, &mut found);
    found.sort();
    found.iter().map(|path| path.strip_prefix(node.root()).unwrap().to_owned()).collect()
}

fn search(directory: &Path, secrets: &[String], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            search(&path, secrets, found);
        } else if kind.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            // JSON and base64 would hide it from a plain search.
            if leaked(&text, secrets).is_some() || holds_encoded(&text) {
                found.push(path);
            }
        }
    }
}

/// `PRIVATE KEY` in base64, at each of its three alignments.
fn holds_encoded(text: &str) -> bool {
    ["UFJJVkFURSBLRV", "BSSVZBVEUgS0VZ", "QUklWQVRFIEtFW"].iter().any(|mark| text.contains(mark))
}

#[test]
fn no_command_shows_a_key() {
    let secrets = secrets();
    for key in ["client.key", "client-pkcs1.key"] {
        let node = with_client(key);
        let run = |arguments: &[&str]| {
            for more in [&[][..], &["--json"], &["-vvv"], &["--json", "-vvv"]] {
                let outcome = Outcome::of(
                    node.command()
                        .env("RUST_LOG", "trace")
                        .env("RUST_BACKTRACE", "full")
                        .args(arguments)
                        .args(more),
                );
                let leak = leaked(&outcome.all(), &secrets);
                assert_eq!(leak, None, "{arguments:?} {more:?}\n{}", outcome.all());
                assert!(!outcome.all().contains("BEGIN"), "{arguments:?} {more:?}");
            }
        };
        run(&["lint"]);
        run(&["plan"]);
        run(&["apply"]);
        run(&["status"]);
        run(&["explain", "harbor.corp"]);
        run(&["history"]);
        // Somebody else's key in the way, and a key of ours that somebody changed.
        node.file(DOCKER_KEY, fixture_text("client-ec.key"));
        run(&["plan"]);
        run(&["adopt", "harbor.corp", "--dry-run"]);
        run(&["apply"]);
        run(&["rollback", "0"]);
        run(&["rollback", "--release"]);
        node.remove(DROP_IN);
        run(&["plan"]);
        run(&["apply"]);
    }
}

#[test]
fn a_key_is_in_its_targets_and_one_blob_and_nowhere_else() {
    let node = with_client("client.key");
    node.run(["apply"]).exits(0);
    let blobs = node.names(BLOBS);
    assert_eq!(blobs.len(), 1, "{blobs:?}");
    let mut expected = vec![
        PathBuf::from("etc/containerd/certs.d/harbor.corp/client.key"),
        PathBuf::from(DOCKER_KEY),
        PathBuf::from("etc/regtrust/client.key"),
        Path::new(BLOBS).join(&blobs[0]),
    ];
    expected.sort();
    assert_eq!(holders(&node), expected);
    for path in &expected {
        let path = path.to_str().unwrap();
        assert_eq!(node.mode_of(path), 0o600, "{path}");
    }
    assert_eq!(node.mode_of("var/lib/regtrust"), 0o700);
    assert_eq!(node.mode_of(BLOBS), 0o700);
    for file in ["ledger.json", "generations/1.json"] {
        assert_eq!(node.mode_of(&format!("var/lib/regtrust/{file}")), 0o600, "{file}");
    }
}

#[test]
fn a_state_directory_that_was_open_is_closed() {
    let node = with_client("client.key");
    node.directory("var/lib/regtrust").mode("var/lib/regtrust", 0o755).run(["apply"]).exits(0);
    assert_eq!(node.mode_of("var/lib/regtrust"), 0o700);
}

/// Whatever call the process dies at, what lies on the disk then is no wider than it will be.
#[test]
fn no_key_is_exposed_at_any_moment_of_an_apply() {
    let mut paused = 0;
    for call in ["renameat", "renameat2", "unlinkat", "fsync"] {
        for when in 1.. {
            let node = with_client("client.key");
            let died = traced(
                &[
                    "-e",
                    &format!("trace={call}"),
                    "-e",
                    &format!("inject={call}:signal=KILL:when={when}"),
                ],
                &["--root".as_ref(), node.root().as_os_str(), "apply".as_ref()],
                Path::new("/dev/null"),
            );
            if died.code == 0 {
                break;
            }
            paused += 1;
            for path in holders(&node) {
                let mode = fs::metadata(node.root().join(&path)).unwrap().mode() & 0o777;
                assert_eq!(mode, 0o600, "{call} {when}: {}", path.display());
            }
            if node.has("var/lib/regtrust/journal.json") {
                assert_eq!(node.mode_of("var/lib/regtrust/journal.json"), 0o600, "{call} {when}");
                let journal = node.text("var/lib/regtrust/journal.json");
                assert!(leaked(&journal, &secrets()).is_none() && !holds_encoded(&journal));
                assert_eq!(node.mode_of("var/lib/regtrust"), 0o700);
            }
            node.run(["apply"]).exits(0);
            assert_eq!(holders(&node).len(), 4, "{call} {when}: {:?}", holders(&node));
        }
    }
    println!("{paused} moments");
    assert!(paused > 20, "{paused}");
}

fn traced(options: &[&str], arguments: &[&OsStr], log: &Path) -> Outcome {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(log).args(options).arg(REGTRUST).args(arguments);
    Outcome::of(&mut strace)
}

/// Before the first file of the node is opened the process can be neither dumped nor looked into.
#[test]
fn the_process_is_closed_before_it_reads_anything_of_the_node() {
    let node = with_client("client.key");
    let log = node.outside().join("strace");
    traced(
        &["-e", "trace=prctl,setrlimit,prlimit64,openat,openat2,open"],
        &["--root".as_ref(), node.root().as_os_str(), "plan".as_ref()],
        &log,
    )
    .exits(2);
    let log = fs::read_to_string(log).unwrap();
    let line = |marks: &[&str]| {
        let is = |line: &str| marks.iter().all(|mark| line.contains(mark));
        log.lines().position(is).unwrap_or_else(|| panic!("{marks:?} is not in\n{log}"))
    };
    let root = node.root();
    let opened = line(&["open", root.to_str().unwrap()]);
    assert!(line(&["prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE"]) < opened, "{log}");
    assert!(line(&["RLIMIT_CORE", "rlim_cur=0, rlim_max=0"]) < opened, "{log}");
}

#[test]
fn a_password_of_somebody_elses_is_in_no_diff() {
    let node = Node::new();
    node.file(
        "etc/docker/daemon.json",
        format!(
            "{{\n  \"proxies\": {{\n    \"http-proxy\": \"http://ann:{CANARY}@proxy:3128\"\n  }},\n  \
             \"log-opts\": {{\"splunk-token\": \"{CANARY}\"}}\n}}\n"
        ),
    );
    node.file(
        "etc/containerd/config.toml",
        format!(
            "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"a.corp\".auth]\n\
             password = \"{CANARY}\"\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n"
        ),
    );
    node.certificate("ca.pem").declare(
        "[[registry]]\nhost = \"lab.corp\"\ntrust = \"http\"\n[[registry]]\nhost = \"harbor.corp\"\n\
         trust = \"ca\"\nca_file = \"ca.pem\"\n",
    );
    for arguments in
        [&["plan"][..], &["plan", "--json"], &["apply"], &["status", "--json"], &["apply", "-v"]]
    {
        node.run(arguments).never_says(CANARY);
    }
    node.remove(DROP_IN);
    node.run(["plan"]).exits(2).never_says(CANARY);
    node.run(["plan", "--json"]).exits(2).never_says(CANARY);
    node.run(["apply"]).exits(0).never_says(CANARY);
    assert!(node.text("etc/docker/daemon.json").contains(CANARY));
}

#[test]
fn a_withdrawn_key_is_erased_with_the_last_generation_that_needs_it() {
    let node = with_client("client.key");
    node.run(["apply"]).exits(0);
    let blob = node.names(BLOBS);
    node.remove(DROP_IN).run(["apply"]).exits(0);
    assert!(!node.has(DOCKER_KEY));
    assert_eq!(node.names(BLOBS), blob, "a rollback may still need it");
    // Generation 1 is the last that needs it, and 20 are kept.
    for number in 3..=20 {
        other(&node, number);
        assert_eq!(node.names(BLOBS), blob, "generation {number}");
    }
    other(&node, 21);
    assert!(node.names(BLOBS).is_empty());
    node.remove("etc/regtrust/client.key");
    assert_eq!(holders(&node), [""; 0].map(PathBuf::from));
}

/// The pinned generation may be an old one, so while the node is pinned nothing is forgotten.
#[test]
fn while_the_node_is_pinned_no_key_is_erased() {
    let node = with_client("client.key");
    let declared = node.text(DROP_IN);
    other(&node, 0);
    let blob = node.names(BLOBS);
    node.run(["rollback", "1"]).exits(0);
    node.remove(DROP_IN);
    for _ in 0..12 {
        node.remove("etc/regtrust/registries.d/other.toml").run(["apply"]).exits(0);
        other(&node, 0);
        assert_eq!(node.names(BLOBS), blob);
    }
    // Two dozen generations without it later, it is what generation 1 says.
    let bare = declared.lines().filter(|line| !line.contains("client")).collect::<Vec<_>>();
    node.declare(&bare.join("\n")).run(["apply"]).exits(0);
    assert_eq!(node.text(DOCKER_KEY), fixture_text("client.key"));
    node.remove(DROP_IN).run(["rollback", "--release"]).exits(0);
    for number in 0..21 {
        other(&node, number);
    }
    assert!(node.names(BLOBS).is_empty());
}

/// dockerd takes a `.cert` that ends in a private key as well, so somebody may keep it so.
#[test]
fn somebody_elses_key_in_a_certificate_is_not_shown() {
    let node = with_client("client.key");
    let both = fixture_text("client.pem") + &fixture_text("client-ec.key");
    node.file("etc/docker/certs.d/harbor.corp/client.cert", both);
    let secrets = secrets();
    for arguments in [
        &["plan"][..],
        &["plan", "--json"],
        &["adopt", "harbor.corp", "--dry-run"],
        &["adopt", "harbor.corp"],
    ] {
        let outcome = node.run(arguments);
        assert_eq!(leaked(&outcome.all(), &secrets), None, "{arguments:?}");
    }
    for path in holders(&node) {
        let mode = fs::metadata(node.root().join(&path)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
}
