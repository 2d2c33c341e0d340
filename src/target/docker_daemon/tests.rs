use super::fixtures::*;
use super::*;
use crate::ledger::ArrayOwned;
use crate::observed::Files;
use crate::trust::entry::{Capability, Entry, Runtime, Trust};

mod hub;

const PATH: &str = "/etc/docker/daemon.json";

fn wants(entries: &[Entry], docker: &Docker, files: &Files) -> DaemonWants {
    let entries: Vec<_> = entries.iter().collect();
    want(&entries, docker, files, &DaemonOwned::default())
}

fn owning(key: Key, elements: &[&str]) -> DaemonOwned {
    let elements = elements.iter().map(|&element| element.to_owned()).collect();
    let array = ArrayOwned { elements, ..ArrayOwned::default() };
    DaemonOwned { arrays: BTreeMap::from([(key.name().to_owned(), array)]), ..Default::default() }
}

#[test]
fn insecure_and_http_become_elements_spelled_like_references() {
    let entries = [
        entry("b.corp:5000", Trust::Insecure),
        entry("a.corp", Trust::Http),
        entry("[fd00::1]:5000", Trust::Insecure),
        entry("c.corp", ca("c")),
        entry("d.corp", Trust::System),
        entry("e.corp", Trust::SkipVerify),
        Entry { runtimes: Some([Runtime::Containerd].into()), ..entry("f.corp", Trust::Insecure) },
    ];
    let wants = wants(&entries, &docker("28.5.2"), &Files::default());
    let elements = ["[fd00::1]:5000", "a.corp", "b.corp:5000"];
    let insecure = elements.map(|host| (host.to_owned(), on(host)));
    let notes = vec![Note {
        items: on("a.corp"),
        message: "docker tries TLS without verification before plain HTTP".into(),
    }];
    assert_eq!(wants, DaemonWants { insecure: insecure.into(), notes, ..DaemonWants::default() },);
}

#[test]
fn what_docker_cannot_take_for_insecure_is_said_and_not_written() {
    let cases = [
        (
            "docker.io",
            "28.5.2",
            "docker always verifies Docker Hub, whatever insecure-registries says",
        ),
        (
            "[fd00::1]:5000",
            "24.0.9",
            "docker 24.0.9 cannot name an IPv6 address in an image reference; docker 25 and later \
             can",
        ),
        (
            "[fd00::1]:5000",
            "unknown",
            "docker before 25 cannot name an IPv6 address in an image reference, and this one's \
             version is unknown",
        ),
        (
            "[fd00::1]",
            "28.5.2",
            "not every docker starts with `[fd00::1]` in insecure-registries, so it is not written",
        ),
    ];
    for (host, version, note) in cases {
        let wants = wants(&[entry(host, Trust::Insecure)], &docker(version), &Files::default());
        let notes = vec![Note { items: on(host), message: note.into() }];
        let inexpressible = on(host);
        assert_eq!(wants, DaemonWants { notes, inexpressible, ..DaemonWants::default() });
    }
}

#[test]
fn what_insecure_costs_is_said() {
    let with_client = Entry { client: Some(client()), ..entry("a.corp", Trust::Insecure) };
    let wants = wants(&[with_client], &docker("20.10.24"), &Files::default());
    assert_eq!(
        notes(&wants.notes),
        [
            "docker presents no client certificate to an insecure registry",
            "`docker build` with BuildKit does not see this before docker 25: there it needs a \
             restart, and an element with a scheme",
        ]
    );
}

/// dockerd does not start with a key and its flag, not even if both say the same.
#[test]
fn a_flag_keeps_us_from_the_key() {
    let entries = [entry("a.corp", Trust::Insecure), hub(vec![mirror("m.io", "", Trust::System)])];
    let docker_insecure = flagged("26.1.5", "insecure-registry", "x.corp");
    let found = wants(&entries, &docker_insecure, &Files::default());
    assert_eq!(
        found.conflicts,
        [Conflict {
            target: crate::target::Target::DockerDaemon,
            path: PATH.into(),
            items: on("a.corp"),
            message: "dockerd is started with `--insecure-registry`, and would not start with \
                      `insecure-registries` in the file as well"
                .into(),
            cure: "move the values of `--insecure-registry` from /etc/default/docker to \
                   daemon.json"
                .into(),
        }]
    );
    let docker_mirror = flagged("26.1.5", "registry-mirror", "https://x.corp");
    let found = wants(&entries, &docker_mirror, &Files::default());
    assert_eq!(found.conflicts.len(), 1);
    assert_eq!(found.conflicts[0].items, on("docker.io"));
}

#[test]
fn what_a_flag_already_says_needs_no_key() {
    let entries = [entry("a.corp", Trust::Insecure), hub(vec![mirror("m.io", "", Trust::System)])];
    let mut docker = flagged("26.1.5", "insecure-registry", "b.corp,a.corp");
    docker.flags.extend(flagged("26.1.5", "registry-mirror", "https://m.io/").flags);
    let wants = wants(&entries, &docker, &Files::default());
    assert_eq!((wants.insecure.len(), wants.mirrors.len(), wants.conflicts.len()), (0, 0, 0));
    assert_eq!(
        notes(&wants.notes),
        [
            "`a.corp` is already insecure by a flag in /etc/default/docker",
            "`https://m.io` is already a mirror by a flag in /etc/default/docker",
        ]
    );
}

#[test]
fn another_configuration_file_is_not_managed() {
    let entries = [entry("a.corp", Trust::Insecure)];
    let wants_at = |path| wants(&entries, &flagged("26.1.5", "config-file", path), &files(&[]));
    assert_eq!(
        conflicts(&wants_at("/opt/docker.json").conflicts),
        [(
            PATH,
            "dockerd reads `/opt/docker.json` instead, which is not managed",
            "take `--config-file` out of /etc/default/docker, or make the change in \
             `/opt/docker.json` by hand",
        )]
    );
    assert_eq!(wants_at("/etc/docker/daemon.json").conflicts, []);
}

/// A reload would be rejected for it, and ours with it; `dockerd --validate` says nothing.
#[test]
fn somebody_elses_nonsense_in_the_file_is_in_the_way() {
    let entries = [entry("a.corp", Trust::Insecure)];
    let text =
        r#"{"insecure-registries": ["foo://x", "ok"], "registry-mirrors": ["https://m.io/p"]}"#;
    let found = wants(&entries, &docker("24.0.9"), &daemon_json(text));
    assert_eq!(
        conflicts(&found.conflicts),
        [
            (
                PATH,
                "docker does not accept `foo://x` in `insecure-registries`, and would reject ours \
                 with it",
                "correct or remove `foo://x`",
            ),
            (
                PATH,
                "docker does not accept `https://m.io/p` in `registry-mirrors`, and would reject \
                 ours with it",
                "correct or remove `https://m.io/p`",
            ),
        ]
    );
    assert_eq!(wants(&entries, &docker("26.1.5"), &daemon_json(text)).conflicts.len(), 1);
    let nobody = wants(&[], &docker("24.0.9"), &daemon_json(text));
    assert_eq!(nobody, DaemonWants::default());
}

#[test]
fn a_byte_order_mark_is_refused_by_docker_before_23() {
    let entries = [entry("a.corp", Trust::Insecure)];
    let file = daemon_json("\u{feff}{}");
    assert_eq!(wants(&entries, &docker("26.1.5"), &file).conflicts, []);
    assert_eq!(
        conflicts(&wants(&entries, &docker("20.10.24"), &file).conflicts),
        [(
            PATH,
            "the file begins with a byte order mark, which docker before 23 refuses",
            "remove the mark",
        )]
    );
}

#[test]
fn the_docker_that_loses_the_list_at_a_reload_is_named() {
    let entries = [entry("a.corp", Trust::Insecure)];
    let file = daemon_json(r#"{"registry-mirrors": ["https://m.io"]}"#);
    let lossy = |version| {
        let found = wants(&entries, &docker(version), &file);
        found.notes.iter().any(|note| note.message.contains("forgets"))
    };
    assert!(lossy("23.0.0") && lossy("23.0.6") && lossy("24.0.0"));
    assert!(!lossy("20.10.24") && !lossy("23.0.7") && !lossy("24.0.1") && !lossy("26.1.5"));
}

#[test]
fn an_element_of_somebody_else_is_named_as_theirs_and_ours_is_not() {
    let entries = [entry("a.corp", Trust::Insecure)];
    let file = daemon_json(r#"{"insecure-registries": ["a.corp"]}"#);
    let theirs = wants(&entries, &docker("26.1.5"), &file);
    let note = "`a.corp` is in daemon.json already and not ours; it stays when this entry goes";
    assert_eq!(notes(&theirs.notes), [note]);
    assert!(theirs.insecure.contains_key("a.corp"), "written once theirs goes");
    let owned = owning(Key::InsecureRegistries, &["a.corp"]);
    let ours = want(&[&entries[0]], &docker("26.1.5"), &file, &owned);
    assert_eq!(ours.notes, []);
}

/// docker 28 and later: a hosts.toml with hosts takes over from daemon.json.
#[test]
fn a_hosts_toml_that_switches_daemon_json_off_is_in_the_way() {
    let at = "etc/docker/certs.d/a.corp/hosts.toml";
    let entries = [entry("a.corp", Trust::Insecure)];
    for (text, version, count) in [
        ("[host.\"https://m.io\"]\n", "28.5.2", 1),
        ("[host.\"https://m.io\"]\n", "26.1.5", 0),
        ("server = \"https://a.corp\"\n", "28.5.2", 0),
        ("not = toml =", "28.5.2", 0),
    ] {
        let found = wants(&entries, &docker(version), &files(&[(at, text)]));
        assert_eq!(found.conflicts.len(), count, "{text} on {version}");
    }
}

#[test]
fn a_list_ends_at_once_only_where_dockerd_has_nothing_to_forget() {
    let key = Key::InsecureRegistries;
    let (full, empty) = (owning(key, &["a"]), owning(key, &[]));
    let running = docker("26.1.5");
    let stopped = Docker { running: Running::No, ..running.clone() };
    let with_flag = flagged("26.1.5", "insecure-registry", "x");
    for (docker, owned, acknowledged, ending) in [
        (&running, &full, false, Ending::KeepEmpty),
        (&running, &full, true, Ending::KeepEmpty),
        (&running, &empty, false, Ending::KeepEmpty),
        (&running, &empty, true, Ending::Restore),
        (&stopped, &full, false, Ending::Restore),
        (&with_flag, &full, false, Ending::Restore),
    ] {
        assert_eq!(Ending::of(key, docker, owned, acknowledged), ending);
    }
}

#[test]
fn every_element_wanted_is_one_that_every_docker_takes() {
    let hosts = ["a.corp", "a-b.corp:5000", "10.0.0.1:5000", "[fd00::1]:5000"];
    let entries = hosts.map(|host| entry(host, Trust::Insecure));
    let wants = wants(&entries, &docker("29.1.0"), &Files::default());
    assert_eq!(wants.insecure.len(), hosts.len());
    let portable = grammar::Grammar::default();
    assert!(wants.insecure.keys().all(|element| portable.accepts_insecure(element)));
}

#[test]
fn capabilities_that_docker_would_exceed_make_a_mirror_inexpressible() {
    for capabilities in [[Capability::Pull], [Capability::Resolve], [Capability::Push]] {
        let mut mirror = mirror("m.io", "", Trust::System);
        mirror.capabilities = capabilities.into();
        let wants = wants(&[hub(vec![mirror])], &docker("26.1.5"), &Files::default());
        assert_eq!(wants.mirrors, []);
        assert_eq!(wants.inexpressible, on("docker.io"));
        assert_eq!(
            notes(&wants.notes),
            [
                "docker cannot have the mirror `https://m.io`: it would use it to resolve tags and to \
              pull, and the declaration does not allow both"
            ]
        );
    }
}
