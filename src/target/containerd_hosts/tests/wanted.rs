use proptest::prelude::*;

use super::super::text::{Reader, read, render};
use super::*;

/// The hosts.toml below its first line, and the names of the files beside it.
fn written(entry: &Entry) -> (String, Vec<String>) {
    let wants = plan(entry, &Files::default());
    assert_eq!((&wants.conflicts, &wants.notes), (&vec![], &vec![]));
    let (hosts, others): (Vec<_>, Vec<_>) =
        wants.files.iter().partition(|file| file.path.file_name() == HOSTS_TOML);
    let text = String::from_utf8(hosts[0].content.bytes().to_vec()).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let host = &entry.host;
    assert_eq!(
        first,
        format!(
            "# Written by regtrust for {host}. Edits here are repaired: change the declaration."
        )
    );
    (rest.to_owned(), others.iter().map(|file| file.path.file_name().to_owned()).collect())
}

#[test]
fn each_way_to_trust_is_written_so_that_every_version_reads_it_alike() {
    let host = "harbor.corp:8443";
    for (trust, text) in [
        (
            Trust::Ca(bundle(0)),
            "server = \"https://harbor.corp:8443\"\nca = \"ca.crt\"\n\n[host]\n",
        ),
        (
            Trust::SkipVerify,
            "server = \"https://harbor.corp:8443\"\nskip_verify = true\n\n[host]\n",
        ),
        // No TLS settings: with one, 1.7.8 and later would try HTTPS first.
        (Trust::Http, "server = \"http://harbor.corp:8443\"\n\n[host]\n"),
        // An https:// address never falls back by itself, so the two are listed.
        (
            Trust::Insecure,
            "server = \"http://harbor.corp:8443\"\n\n[host.\"https://harbor.corp:8443\"]\nskip_verify = true\n",
        ),
    ] {
        let is_ca = trust.ca().is_some();
        let (found, others) = written(&entry(host, trust));
        assert_eq!(found, text);
        assert_eq!(others, if is_ca { vec!["ca.crt"] } else { vec![] });
    }
}

#[test]
fn the_runtimes_own_roots_need_no_directory() {
    let wants = plan(&entry("harbor.corp", Trust::System), &Files::default());
    assert_eq!(wants, Wants::default());
}

#[test]
fn a_client_pair_is_the_servers_and_its_key_is_secret() {
    let entry = Entry { client: Some(client()), ..entry("harbor.corp", Trust::System) };
    let (text, _) = written(&entry);
    assert_eq!(
        text,
        "server = \"https://harbor.corp\"\nclient = [[\"client.cert\", \"client.key\"]]\n\n[host]\n"
    );
    let wants = plan(&entry, &Files::default());
    let file = |name: &str| {
        wants.files.iter().find(|file| file.path.file_name() == name).cloned().unwrap()
    };
    assert_eq!(
        file("client.key"),
        WantedFile {
            target: Target::ContainerdHosts,
            path: hosts_dir().join("harbor.corp/client.key"),
            content: client().key,
            mode: 0o600,
            items: only("harbor.corp").into(),
        }
    );
    assert_eq!(file("client.cert").mode, 0o644);
    let insecure = Entry { trust: Trust::Insecure, ..entry };
    let expected = "server = \"http://harbor.corp\"\n\n[host.\"https://harbor.corp\"]\nclient = [[\"client.cert\", \"client.key\"]]\nskip_verify = true\n";
    assert_eq!(written(&insecure).0, expected, "an http:// address takes no TLS settings");
}

#[test]
fn over_plain_http_a_client_pair_is_not_written() {
    let entry = Entry { client: Some(client()), ..entry("harbor.corp", Trust::Http) };
    let wants = plan(&entry, &Files::default());
    assert_eq!(wants.files.len(), 1);
    assert_eq!(wants.notes[0].message, "the client certificate is not used over plain HTTP");
}

#[test]
fn docker_hub_is_served_under_another_name_than_its_own() {
    let entry = Entry {
        mirrors: vec![mirror("mirror.corp", "", Trust::System)],
        ..entry("docker.io", Trust::System)
    };
    let wants = plan(&entry, &Files::default());
    assert_eq!(wants.files[0].path, hosts_dir().join("docker.io/hosts.toml"));
    assert_eq!(
        written(&entry).0,
        "server = \"https://registry-1.docker.io\"\n\n[host.\"https://mirror.corp\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
    );
}

#[test]
fn mirrors_are_asked_in_order_each_with_its_own_trust() {
    let entry = Entry {
        mirrors: vec![
            mirror("a.corp", "/v2/hub", Trust::Ca(bundle(1))),
            mirror("b.corp:5000", "/repository/hub", Trust::Http),
            mirror("c.corp", "/v2", Trust::Insecure),
            mirror("d.corp", "/sub/v2", Trust::Ca(bundle(0))),
        ],
        ..entry("harbor.corp", Trust::Ca(bundle(0)))
    };
    let (text, others) = written(&entry);
    let other = format!("mirror-{}.pem", bundle(1).content().digest().short());
    let expected = format!(
        r#"server = "https://harbor.corp"
ca = "ca.crt"

[host."https://a.corp/v2/hub"]
capabilities = ["pull", "resolve"]
ca = "{other}"
override_path = true

[host."http://b.corp:5000/repository/hub/v2"]
capabilities = ["pull", "resolve"]

[host."https://c.corp"]
capabilities = ["pull", "resolve"]
skip_verify = true

[host."http://c.corp"]
capabilities = ["pull", "resolve"]

[host."https://d.corp/sub/v2"]
capabilities = ["pull", "resolve"]
ca = "ca.crt"
"#
    );
    assert_eq!(text, expected);
    assert_eq!(others, ["ca.crt", &other]);
}

#[test]
fn without_fallback_the_last_mirror_is_the_server_because_that_is_always_asked_last() {
    let entry = Entry {
        mirrors: vec![
            mirror("a.corp", "", Trust::System),
            mirror("b.corp", "/v2/hub", Trust::Ca(bundle(1))),
        ],
        client: Some(client()),
        fallback: false,
        ..entry("docker.io", Trust::System)
    };
    let (text, others) = written(&entry);
    let ca = format!("mirror-{}.pem", bundle(1).content().digest().short());
    assert_eq!(
        text,
        format!(
            "server = \"https://b.corp/v2/hub\"\ncapabilities = [\"pull\", \"resolve\"]\nca = \"{ca}\"\noverride_path = true\n\n[host.\"https://a.corp\"]\ncapabilities = [\"pull\", \"resolve\"]\n"
        )
    );
    assert_eq!(others, [ca], "the registry itself is never asked, so its client pair has no use");
}

#[test]
fn a_mirror_listed_twice_is_written_once_because_twice_is_no_toml() {
    let entry = Entry {
        mirrors: vec![mirror("m.corp", "", Trust::Insecure), mirror("m.corp", "", Trust::Http)],
        ..entry("harbor.corp", Trust::System)
    };
    let wants = plan(&entry, &Files::default());
    let text = String::from_utf8(wants.files[0].content.bytes().to_vec()).unwrap();
    assert_eq!(text.matches("[host.\"http://m.corp\"]").count(), 1);
    assert_eq!(wants.notes[0].message, "mirror `http://m.corp` is listed twice; the first counts");
}

#[test]
fn a_ca_of_a_mirror_never_looks_like_one_of_the_registry() {
    let entry = Entry {
        mirrors: vec![mirror("m.corp", "", Trust::Ca(bundle(1)))],
        ..entry("harbor.corp", Trust::Ca(bundle(0)))
    };
    let (_, others) = written(&entry);
    let mirror = format!("mirror-{}.pem", bundle(1).content().digest().short());
    assert_eq!(others, ["ca.crt", &mirror]);
}

#[test]
fn an_ipv6_registry_has_a_directory_of_its_own() {
    let (text, _) = written(&entry("[fd00::1]:5000", Trust::SkipVerify));
    assert_eq!(text, "server = \"https://[fd00::1]:5000\"\nskip_verify = true\n\n[host]\n");
    let directories = directories(&hosts_dir(), &RegistryHost::unchecked("[::1]"));
    let names: Vec<_> = directories.iter().map(NodePath::file_name).collect();
    assert_eq!(names, ["[:_1]_", "[::1]", "_default"]);
}

#[test]
fn an_ipv6_registry_is_no_reference_before_1_7() {
    let entry = entry("[fd00::1]:5000", Trust::SkipVerify);
    let look = |version| {
        let files = Files::default();
        want(&[&entry], &containerd(version), &hosts_dir(), &files, &BTreeMap::new())
    };
    let old = look(Some(Version::new(1, 6, 20)));
    assert_eq!((old.files, old.notes.len()), (vec![], 1));
    assert_eq!(old.inexpressible, [only("[fd00::1]:5000")].into());
    for version in [None, Some(Version::new(1, 7, 0)), Some(Version::new(2, 1, 9))] {
        let wants = look(version);
        assert_eq!((wants.files.len(), wants.inexpressible.len()), (1, 0), "{version:?}");
    }
}

#[test]
fn nothing_is_set_up_for_a_cri_that_nobody_uses_unless_it_is_asked_for() {
    let unused = Containerd { cri: CriUse::NotSeen, ..containerd(None) };
    let plain = entry("harbor.corp", Trust::SkipVerify);
    let look = |entries: &[&Entry]| {
        want(entries, &unused, &hosts_dir(), &Files::default(), &BTreeMap::new())
    };
    let wants = look(&[&plain]);
    assert_eq!((wants.files, wants.conflicts), (vec![], vec![]));
    assert_eq!(wants.notes.len(), 1);
    assert_eq!(wants.notes[0].items, [only("harbor.corp")].into());
    let asking = Entry { runtimes: Some([Runtime::Containerd].into()), ..plain.clone() };
    assert_eq!(look(&[&asking]).files.len(), 1);
    let docker = Entry { runtimes: Some([Runtime::Docker].into()), ..plain };
    assert_eq!(look(&[&docker]), Wants::default());
}

#[test]
fn what_k3s_generates_is_never_ours() {
    let directory = node_path!("var/lib/rancher/k3s/agent/etc/containerd/certs.d");
    let entry = entry("harbor.corp", Trust::SkipVerify);
    let wants = want(&[&entry], &containerd(None), &directory, &Files::default(), &BTreeMap::new());
    assert_eq!(wants.files, []);
    assert_eq!(wants.inexpressible, [only("harbor.corp")].into());
    assert_eq!(
        wants.notes[0].message,
        "`/var/lib/rancher/k3s/agent/etc/containerd/certs.d` is written by k3s or RKE2 when it starts, so nothing is added there; use its registries.yaml"
    );
}

#[test]
fn files_are_read_as_containerd_reads_them() {
    let ok = |text: &str, reader| read(text, "h.corp", reader).is_some();
    for (text, portable, modern) in [
        ("server = 'https://h.corp'\n[host]\n", true, true),
        // Up to 1.7 a `host` table is required.
        ("server = 'https://h.corp'\n", false, true),
        // `referrers` is unknown up to 2.1.
        ("capabilities = ['pull', 'referrers']\n[host]\n", false, true),
        ("capabilities = ['fly']\n[host]\n", false, false),
        ("ca = 1\n[host]\n", false, false),
        ("skip_verify = 'yes'\n[host]\n", false, false),
        ("host = { 'https://m' = {} }\n", false, false),
        ("client = [['a']]\n[host]\n", false, false),
        ("unknown = 1\n[host]\n", true, true),
        ("[host", false, false),
    ] {
        assert_eq!(ok(text, Reader::Portable), portable, "{text}");
        assert_eq!(ok(text, Reader::Modern), modern, "{text}");
    }
}

#[test]
fn addresses_are_completed_as_containerd_completes_them() {
    for (server, url, api) in [
        ("m.corp", "https://m.corp", "/v2"),
        ("https://m.corp/v2/", "https://m.corp", "/v2"),
        ("https://m.corp/hub", "https://m.corp/hub/v2", "/hub/v2"),
        ("http://m.corp:80/hub/v2", "http://m.corp:80/hub/v2", "/hub/v2"),
    ] {
        let text = format!("server = '{server}'\n[host]\n");
        let found = read(&text, "h.corp", Reader::Portable).unwrap();
        assert_eq!((&*found[0].url(), &*found[0].api), (url, api), "{server}");
    }
    let default = read("[host]\n", "docker.io", Reader::Portable).unwrap();
    assert_eq!(default[0].url(), "https://registry-1.docker.io");
    let kept =
        read("server = 'https://m/v2/hub'\noverride_path = true\n[host]\n", "h", Reader::Portable);
    assert_eq!(kept.unwrap()[0].api, "/v2/hub");
}

fn trusts() -> impl Strategy<Value = Trust> {
    prop_oneof![
        Just(Trust::System),
        (0_u8..3).prop_map(|seed| Trust::Ca(bundle(seed))),
        Just(Trust::SkipVerify),
        Just(Trust::Http),
        Just(Trust::Insecure),
    ]
}

fn hosts() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("docker.io"),
        Just("h.corp"),
        Just("h.corp:443"),
        Just("[::1]:5000"),
        Just("10.0.0.1:80")
    ]
}

fn mirrors() -> impl Strategy<Value = Mirror> {
    let paths = prop_oneof![Just(""), Just("/v2"), Just("/v2/a"), Just("/a/b"), Just("/v2x")];
    let words = prop::collection::btree_set(
        prop_oneof![Just(Capability::Pull), Just(Capability::Resolve), Just(Capability::Push)],
        1..3,
    );
    (hosts(), paths, trusts(), words).prop_map(|(host, path, trust, capabilities)| Mirror {
        capabilities,
        ..mirror(host, path, trust)
    })
}

fn entries() -> impl Strategy<Value = Entry> {
    let mirrors = prop::collection::vec(mirrors(), 0..5);
    (hosts(), trusts(), mirrors, any::<bool>(), any::<bool>()).prop_map(
        |(host, trust, mirrors, fallback, pair)| Entry {
            mirrors,
            fallback,
            client: pair.then(client),
            ..entry(host, trust)
        },
    )
}

proptest! {
    #[test]
    fn containerd_reads_what_was_meant(entry in entries()) {
        if let Some(meaning) = Meaning::of(&entry) {
            let host = entry.host.as_str();
            let text = render(host, &meaning.endpoints).unwrap();
            for reader in [Reader::Portable, Reader::Modern] {
                let found = read(&text, host, reader);
                prop_assert_eq!(found.as_ref(), Some(&meaning.endpoints), "{}", text);
            }
        }
    }

    #[test]
    fn every_file_that_is_named_is_written_and_no_other(entry in entries()) {
        if let Some(meaning) = Meaning::of(&entry) {
            let mut named: BTreeSet<&String> = BTreeSet::new();
            for endpoint in &meaning.endpoints {
                named.extend(&endpoint.ca);
                named.extend(endpoint.client.iter().flat_map(|(cert, key)| [Some(cert), key.as_ref()]).flatten());
            }
            let dropped = meaning.files.keys().filter(|name| !named.contains(name)).count();
            prop_assert_eq!(dropped, 0);
            prop_assert!(named.iter().all(|name| meaning.files.contains_key(*name)));
        }
    }

    #[test]
    fn plain_http_never_carries_tls_settings(entry in entries()) {
        let endpoints = Meaning::of(&entry).map(|meaning| meaning.endpoints).unwrap_or_default();
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.is_plain_http()) {
            prop_assert!(!endpoint.skip_verify && endpoint.ca.is_empty() && endpoint.client.is_empty());
        }
    }
}
