//! What lies beside our files.

use super::*;

const HOME: &str = "etc/docker/certs.d/a.corp:5000";

fn beside(name: &str, found: Found, version: &str) -> Wants {
    let mut node = Files::default();
    put(&mut node, &format!("{HOME}/{name}"), found);
    wants(&[entry("a.corp:5000", ca("a"))], &docker(version), &node)
}

fn file() -> Found {
    Found::File { content: Content::plain("x"), mode: 0o644, immutable: false }
}

fn link(to: &str) -> Found {
    Found::Symlink { to: to.to_owned() }
}

#[test]
fn a_certificate_without_its_key_fails_every_pull() {
    for (name, partner) in [("x.cert", "x.key"), ("x.key", "x.cert"), ("client.cert", "client.key")]
    {
        let path = format!("/{HOME}/{name}");
        let message = format!(
            "`{name}` has no `{partner}` beside it, and docker fails every pull from this \
             registry for that"
        );
        let cure = format!("add `{partner}`, or remove `{name}`");
        let expected = [(path.as_str(), message.as_str(), cure.as_str())];
        assert_eq!(conflicts(&beside(name, file(), "26.1.5").conflicts), expected);
    }
    for name in ["readme", "x.pem", "key", "cert"] {
        assert_eq!(beside(name, file(), "26.1.5").conflicts, [], "{name}");
    }
}

#[test]
fn a_pair_of_somebody_else_is_complete_and_ours_completes_nothing() {
    let mut node = Files::default();
    put(&mut node, &format!("{HOME}/x.cert"), file());
    put(&mut node, &format!("{HOME}/x.key"), file());
    let found = wants(&[entry("a.corp:5000", ca("a"))], &docker("26.1.5"), &node);
    assert_eq!(found.conflicts, []);
}

/// Both go in one exchange of the directory.
#[test]
fn a_pair_of_ours_that_is_on_its_way_out_is_in_nobodys_way() {
    let mut node = Files::default();
    let mut ledger = Ledger::default();
    let name = format!("{HOME}/client.cert");
    put(&mut node, &name, file());
    let target = Target::DockerCerts;
    let sha256 = Content::plain("x").digest();
    let owned = OwnedFile { target, sha256, mode: 0o644 };
    std::sync::Arc::make_mut(&mut ledger.files).insert(NodePath::new(&name).unwrap(), owned);
    let found = want(&[&entry("a.corp:5000", ca("a"))], &docker("26.1.5"), &node, &ledger);
    assert_eq!(found.conflicts, []);
}

#[test]
fn another_crt_is_believed_as_well() {
    let found = beside("x.crt", file(), "26.1.5");
    assert_eq!(found.conflicts, []);
    assert_eq!(
        notes(&found.notes),
        [
            "`/etc/docker/certs.d/a.corp:5000/x.crt` is believed for `a.corp:5000` as well and is not \
          ours"
        ]
    );
}

#[test]
fn a_link_to_where_nobody_looked_is_told_with_both_its_consequences() {
    let found = beside("x.crt", link("/usr/share/nobody/looked.pem"), "26.1.5");
    assert_eq!(
        notes(&found.notes),
        [
            "`/etc/docker/certs.d/a.corp:5000/x.crt` is a link to `/usr/share/nobody/looked.pem`, which \
          is believed as well if it is there; if not, docker fails every pull from this registry"
        ]
    );
}

#[test]
fn a_crt_that_is_no_file_fails_every_pull() {
    let why = |found: Found| {
        let found = beside("x.crt", found, "26.1.5");
        found.conflicts.first().map(|conflict| conflict.message.clone())
    };
    let is_a = |what: &str| {
        Some(format!("`x.crt` is {what}, and docker fails every pull from this registry for that"))
    };
    assert_eq!(why(Found::Directory), is_a("a directory"));
    let gone = is_a("a link to `gone.pem`, which is not there");
    assert_eq!(why(link("gone.pem")), gone);
    let gone = is_a("a link to `../gone.pem`, which is not there");
    assert_eq!(why(link("../gone.pem")), gone);
    let gone = is_a("a link to `/etc/docker/gone.pem`, which is not there");
    assert_eq!(why(link("/etc/docker/gone.pem")), gone);
    assert_eq!(why(link("/usr/share/nobody/looked.pem")), None, "that was not listed");
    assert_eq!(why(link("x.crt")), None, "it is listed, whatever it is");
}

/// From 28 on, BuildKit and the containerd image store read certs.d as containerd does.
#[test]
fn a_hosts_toml_hides_our_certificates_from_28_on() {
    assert_eq!(beside("hosts.toml", file(), "26.1.5").conflicts, []);
    assert_eq!(
        conflicts(&beside("hosts.toml", file(), "28.0.0").conflicts),
        [(
            "/etc/docker/certs.d/a.corp:5000/hosts.toml",
            "BuildKit and the containerd image store of docker 28 and later read this file and \
             then no certificate beside it",
            "name the certificates in that hosts.toml, or remove the file",
        )]
    );
}

#[test]
fn directories_that_hide_ours_or_that_ours_hides_matter_from_28_on() {
    let mut node = Files::default();
    put(&mut node, "etc/docker/certs.d/a.corp_5000_", Found::Directory);
    put(&mut node, "etc/docker/certs.d/_default/ca.crt", file());
    let at = |version| wants(&[entry("a.corp:5000", ca("a"))], &docker(version), &node);
    assert_eq!((at("26.1.5").conflicts, at("26.1.5").notes), (vec![], vec![]));
    let found = at("28.5.2");
    assert_eq!(
        conflicts(&found.conflicts),
        [(
            "/etc/docker/certs.d/a.corp_5000_",
            "BuildKit and the containerd image store of docker 28 and later look here before \
             `a.corp:5000`, and then not there",
            "move what it holds to `/etc/docker/certs.d/a.corp:5000`, and remove it",
        )]
    );
    assert_eq!(
        notes(&found.notes),
        ["`/etc/docker/certs.d/_default` is not read for `a.corp:5000` by docker 28 and later, \
          because that has a directory of its own"]
    );
}

/// BuildKit in docker before 25 lists certs.d once, when dockerd starts.
#[test]
fn a_new_directory_is_news_to_an_old_buildkit_after_a_restart_only() {
    let entries = [entry("a.corp:5000", ca("a"))];
    let fresh = |version| notes(&wants(&entries, &docker(version), &Files::default()).notes).len();
    assert_eq!(
        (fresh("20.10.24"), fresh("24.0.9"), fresh("25.0.0"), fresh("unknown")),
        (1, 1, 0, 0)
    );
    assert_eq!(beside("readme", file(), "20.10.24").notes, []);
}

/// Quadratic work would take minutes here.
#[test]
fn ten_thousand_registries_are_no_trouble() {
    let host = |n| format!("r{n:05}.corp:5000");
    let mut entries: Vec<_> = (0..10_000).map(|n| entry(&host(n), ca("a"))).collect();
    entries.push(hub(vec![mirror("m.io", "", ca("a"))]));
    let mut node = daemon_json(r#"{"insecure-registries": ["x.corp"]}"#);
    for n in 0..10_000 {
        put(&mut node, &format!("etc/docker/certs.d/{}/ca.crt", host(n)), file());
    }
    let found = wants(&entries, &docker("28.5.2"), &node);
    assert_eq!((found.files.len(), found.conflicts.len()), (10_002, 0));
}
