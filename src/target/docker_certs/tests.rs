use super::*;
use crate::ledger::{ArrayOwned, OwnedFile};
use crate::observed::Found;
use crate::target::docker_daemon::fixtures::*;
use crate::target::{Conflict, Note};

mod neighbours;

fn wants(entries: &[Entry], docker: &Docker, files: &Files) -> Wants {
    let entries: Vec<_> = entries.iter().collect();
    want(&entries, docker, files, &Ledger::default())
}

fn written(wants: &Wants) -> Vec<(String, u32, String)> {
    let line = |file: &WantedFile| {
        let text = String::from_utf8_lossy(file.content.bytes()).into_owned();
        (file.path.to_string(), file.mode, text)
    };
    wants.files.iter().map(line).collect()
}

fn paths(wants: &Wants) -> Vec<String> {
    wants.files.iter().map(|file| file.path.to_string()).collect()
}

#[test]
fn a_ca_and_a_client_pair_go_to_the_directory_of_the_host_as_it_is_written() {
    let with_client = Entry { client: Some(client()), ..entry("a.corp:443", ca("a")) };
    let only_client = Entry { client: Some(client()), ..entry("b.corp", Trust::System) };
    let wants = wants(
        &[with_client, only_client, entry("c.corp", Trust::System), entry("[fd00::1]:5", ca("d"))],
        &docker("26.1.5"),
        &Files::default(),
    );
    let root = "/etc/docker/certs.d";
    assert_eq!(
        written(&wants),
        [
            (format!("{root}/[fd00::1]:5/ca.crt"), 0o644, pem("d")),
            (format!("{root}/a.corp:443/ca.crt"), 0o644, pem("a")),
            (format!("{root}/a.corp:443/client.cert"), 0o644, pem("client")),
            (format!("{root}/a.corp:443/client.key"), 0o600, "key".to_owned()),
            (format!("{root}/b.corp/client.cert"), 0o644, pem("client")),
            (format!("{root}/b.corp/client.key"), 0o600, "key".to_owned()),
        ]
    );
    let is_key = |file: &&WantedFile| file.path.file_name() == "client.key";
    assert!(wants.files.iter().filter(is_key).all(|file| file.content.is_secret()));
    assert!(wants.files.iter().all(|file| file.target == Target::DockerCerts));
    assert_eq!((wants.conflicts, wants.notes, wants.inexpressible.len()), (vec![], vec![], 0));
}

#[test]
fn docker_has_no_words_for_skip_verify() {
    let entry = Entry { client: Some(client()), ..entry("a.corp", Trust::SkipVerify) };
    let note = Note {
        items: on("a.corp"),
        message: "docker cannot skip verification without also falling back to HTTP; use trust = \
                  \"insecure\" if that is acceptable"
            .into(),
    };
    let expected = Wants { notes: vec![note], inexpressible: on("a.corp"), ..Wants::default() };
    assert_eq!(wants(&[entry], &docker("26.1.5"), &Files::default()), expected);
}

/// Docker reads no certs.d for an insecure registry.
#[test]
fn an_unverified_registry_gets_no_files() {
    for (trust, host) in [(Trust::Http, "a.corp"), (Trust::Insecure, "docker.io")] {
        let mirrors = vec![mirror("m.io", "", ca("a"))];
        let entry = Entry { client: Some(client()), mirrors, ..entry(host, trust) };
        assert_eq!(wants(&[entry], &docker("28.5.2"), &Files::default()), Wants::default());
    }
}

#[test]
fn an_entry_for_containerd_alone_writes_nothing() {
    let entry = Entry { runtimes: Some([Runtime::Containerd].into()), ..entry("a.corp", ca("a")) };
    assert_eq!(wants(&[entry], &docker("26.1.5"), &Files::default()), Wants::default());
}

#[test]
fn docker_before_25_knows_no_ipv6_registries() {
    let entry = [entry("[fd00::1]:5000", ca("a"))];
    for (version, writes) in [("24.0.9", 0), ("unknown", 0), ("25.0.0", 1)] {
        let wants = wants(&entry, &docker(version), &Files::default());
        assert_eq!((wants.files.len(), wants.inexpressible.len()), (writes, 1 - writes));
    }
}

/// The classic pull path never reads certs.d for Docker Hub.
#[test]
fn docker_hubs_own_ca_is_read_from_28_on() {
    let hub = [entry("docker.io", ca("hub"))];
    for version in ["28.0.0", "unknown"] {
        let wants = wants(&hub, &docker(version), &Files::default());
        assert_eq!(paths(&wants), ["/etc/docker/certs.d/docker.io/ca.crt"]);
        assert_eq!(
            notes(&wants.notes),
            ["only BuildKit and the containerd image store of docker 28 and later read \
              certificates for Docker Hub; the classic pull path does not"]
        );
    }
    let before = wants(&hub, &docker("27.5.1"), &Files::default());
    assert_eq!((paths(&before).len(), before.inexpressible), (0, on("docker.io")));
    assert_eq!(notes(&before.notes), ["docker before 28 reads no certificates for Docker Hub"]);
}

/// Before 28, and the classic path ever since: the mirror's own directory. From 28 on, BuildKit and
/// the containerd image store: Docker Hub's.
#[test]
fn a_mirrors_ca_is_written_where_each_version_looks() {
    let mirrors = vec![
        mirror("b.io", "", ca("b")),
        mirror("c.io:5000", "", ca("c")),
        mirror("d.io", "", ca("b")),
        mirror("no.io", "", Trust::SkipVerify),
        mirror("s.io", "", Trust::System),
    ];
    let hub = Entry { mirrors, ..entry("docker.io", ca("b")) };
    let own = [("b.io", "b"), ("c.io:5000", "c"), ("d.io", "b")];
    let file =
        |host: &str, text: String| (format!("/etc/docker/certs.d/{host}/ca.crt"), 0o644, text);
    let mut expected: Vec<_> = own.iter().map(|(host, name)| file(host, pem(name))).collect();
    let before = wants(std::slice::from_ref(&hub), &docker("27.5.1"), &Files::default());
    assert_eq!(written(&before), expected);
    assert_eq!(before.inexpressible.len(), 0, "its mirrors can be expressed");
    expected.insert(3, file("docker.io", pem("b") + &pem("c")));
    for version in ["28.5.2", "unknown"] {
        assert_eq!(
            written(&wants(std::slice::from_ref(&hub), &docker(version), &Files::default())),
            expected
        );
    }
}

#[test]
fn a_mirror_and_an_entry_share_a_file_only_if_they_agree() {
    let agreeing = [entry("m.io", ca("a")), hub(vec![mirror("m.io", "", ca("a"))])];
    let shared = wants(&agreeing, &docker("26.1.5"), &Files::default());
    assert_eq!(shared.files.len(), 1);
    assert_eq!(shared.files[0].items.to_set(), [item("docker.io"), item("m.io")].into());
    let disagreeing = [hub(vec![mirror("m.io", "", ca("b"))]), entry("m.io", ca("a"))];
    let split = wants(&disagreeing, &docker("26.1.5"), &Files::default());
    assert_eq!((split.files.len(), &split.files[0].items.to_set()), (1, &on("m.io")));
}

#[test]
fn somebodys_insecure_entry_switches_certs_d_off() {
    let at = |host: &str, json: &str| {
        wants(&[entry(host, ca("a"))], &docker("26.1.5"), &daemon_json(json))
    };
    let json = r#"{"insecure-registries": ["HTTPS://a.corp", "10.0.0.0/8", "fd00::/8"]}"#;
    for (host, element) in [
        ("a.corp", "HTTPS://a.corp"),
        ("10.1.2.3:5000", "10.0.0.0/8"),
        ("[fd00::7]:5000", "fd00::/8"),
    ] {
        assert_eq!(
            at(host, json).conflicts,
            [Conflict {
                target: Target::DockerCerts,
                path: format!("/etc/docker/certs.d/{host}"),
                items: on(host),
                message: format!(
                    "`{element}` in /etc/docker/daemon.json makes `{host}` insecure: docker \
                     verifies nothing and reads no certificates for it"
                ),
                cure: format!("take `{element}` out of /etc/docker/daemon.json"),
            }]
        );
    }
    assert_eq!(at("a.corp:443", json).conflicts, [], "another registry to docker");
    assert_eq!(
        notes(&at("b.corp", json).notes),
        [
            "docker does not verify this registry while its name resolves into `10.0.0.0/8` or `fd00::/8`, \
          which somebody made insecure"
        ]
    );
    for trap in ["", "{ not json", "{\"insecure-registries\": 1}", "{\"insecure-registries\": [1]}"]
    {
        assert_eq!(at("a.corp", trap).conflicts, [], "{trap}");
    }
}

#[test]
fn an_insecure_flag_switches_certs_d_off_as_well() {
    let docker = flagged("26.1.5", "insecure-registry", "x.corp,a.corp");
    let found = wants(&[entry("a.corp", Trust::System)], &docker, &Files::default());
    assert_eq!(found.conflicts.len(), 1);
    assert_eq!(found.conflicts[0].cure, "take `a.corp` out of /etc/default/docker");
}

#[test]
fn a_moved_configuration_file_counts_too() {
    let docker = flagged("26.1.5", "config-file", "/opt/docker.json");
    let insecure = r#"{"insecure-registries": ["a.corp"]}"#;
    let node = files(&[("opt/docker.json", insecure), ("etc/docker/daemon.json", "{}")]);
    let found = wants(&[entry("a.corp", ca("a"))], &docker, &node);
    assert_eq!(found.conflicts[0].cure, "take `a.corp` out of /opt/docker.json");
}

/// It goes in the same transaction in which the CA comes.
#[test]
fn an_insecure_element_of_ours_is_in_nobodys_way() {
    let json = daemon_json(r#"{"insecure-registries": ["a.corp"]}"#);
    let mut ledger = Ledger::default();
    let elements = ["a.corp".to_owned()].into();
    let array = ArrayOwned { elements, ..ArrayOwned::default() };
    ledger.docker_daemon.arrays.insert("insecure-registries".into(), array);
    let found = want(&[&entry("a.corp", ca("a"))], &docker("26.1.5"), &json, &ledger);
    assert_eq!(found.conflicts, []);
}

#[test]
fn loopback_is_insecure_by_itself() {
    let noted = |host: &str, version: &str| {
        let found = wants(&[entry(host, ca("a"))], &docker(version), &Files::default());
        assert_eq!(found.conflicts, []);
        notes(&found.notes).contains(
            &"docker takes loopback addresses for insecure: it verifies nothing and reads no \
              certificates for them",
        )
    };
    assert!(noted("127.1.2.3:5000", "20.10.24") && noted("localhost:5000", "26.1.5"));
    assert!(noted("[::1]:5000", "28.0.0") && !noted("[::1]:5000", "27.5.1"));
    assert!(!noted("128.0.0.1", "28.0.0"));
}
