//! Mirrors of Docker Hub.

use super::*;

fn urls(wants: &DaemonWants) -> Vec<&str> {
    wants.mirrors.iter().map(|(url, _)| url.as_str()).collect()
}

#[test]
fn mirrors_keep_their_order() {
    let mirrors = vec![mirror("b.io", "", Trust::System), mirror("a.io:5000", "", ca("a"))];
    let wants = wants(&[hub(mirrors)], &docker("24.0.9"), &Files::default());
    let expected =
        ["https://b.io", "https://a.io:5000"].map(|url| (url.to_owned(), on("docker.io")));
    assert_eq!(wants, DaemonWants { mirrors: expected.into(), ..DaemonWants::default() });
}

#[test]
fn only_docker_hub_can_have_mirrors() {
    let entry =
        Entry { mirrors: vec![mirror("m.io", "", Trust::System)], ..entry("a.corp", Trust::Http) };
    let wants = wants(&[entry], &docker("26.1.5"), &Files::default());
    assert_eq!((urls(&wants).len(), wants.insecure.len()), (0, 1), "the rest is expressed");
    assert_eq!(wants.inexpressible, BTreeSet::new());
    assert_eq!(
        notes(&wants.notes)[1],
        "docker can mirror only Docker Hub, so it asks the registry itself and no mirror"
    );
}

/// Docker appends `/v2/`, and takes a path from 25 on.
#[test]
fn a_path_is_written_where_dockers_meaning_fits() {
    let written = |path: &str, version: &str| {
        let hub = hub(vec![mirror("m.corp", path, Trust::System)]);
        let wants = wants(&[hub], &docker(version), &Files::default());
        urls(&wants).first().map(|&url| url.to_owned())
    };
    for (path, url) in [
        ("/proxy", Some("https://m.corp/proxy")),
        ("/proxy/v2", Some("https://m.corp/proxy")),
        ("/v2", Some("https://m.corp")),
        ("/v2/proxy", None),
        ("/v2/v2", None),
        ("/a%zz", None),
    ] {
        assert_eq!(written(path, "25.0.0").as_deref(), url, "{path}");
    }
    assert_eq!(written("/proxy", "24.0.9"), None);
    assert_eq!(written("/proxy", "unknown"), None);
    assert_eq!(written("/v2", "20.10.24").as_deref(), Some("https://m.corp"));
}

#[test]
fn a_mirror_that_docker_cannot_have_leaves_the_others() {
    let mirrors = vec![
        mirror("s.io", "", Trust::SkipVerify),
        mirror("p.io", "/v2/p", Trust::System),
        mirror("m.io", "", Trust::System),
    ];
    let entry = Entry { fallback: false, ..hub(mirrors) };
    let wants = wants(&[entry], &docker("26.1.5"), &Files::default());
    assert_eq!(urls(&wants), ["https://m.io"]);
    assert_eq!(wants.inexpressible, BTreeSet::new());
    assert_eq!(
        notes(&wants.notes),
        [
            "docker cannot have the mirror `https://s.io`: it cannot skip verification without also \
             falling back to HTTP",
            "docker cannot have the mirror `https://p.io/v2/p`: it would append `/v2/` to that path",
            "docker asks Docker Hub itself when a mirror fails; `fallback = false` cannot be \
             expressed",
        ]
    );
}

#[test]
fn an_unverified_mirror_is_insecure_before_28() {
    let mirrors = vec![mirror("h.io:80", "", Trust::Http), mirror("i.io", "", Trust::Insecure)];
    let wants = wants(&[hub(mirrors)], &docker("26.1.5"), &Files::default());
    assert_eq!(urls(&wants), ["http://h.io:80", "https://i.io", "http://i.io"]);
    let elements = ["h.io:80", "i.io"].map(|host| (host.to_owned(), on("docker.io")));
    assert_eq!(wants.insecure, BTreeMap::from(elements));
    assert_eq!(wants.conflicts, []);
}

/// From 28.0 on, Docker Hub and its mirrors share one TLS configuration.
#[test]
fn a_mirror_that_would_leave_docker_hub_unverified_is_refused() {
    let hole = |version: &str, host: &str, trust: Trust, json: &str| {
        let hub = hub(vec![mirror(host, "", trust)]);
        let wants = wants(&[hub], &docker(version), &daemon_json(json));
        let words = conflicts(&wants.conflicts);
        words.first().map(|(_, message, cure)| ((*message).to_owned(), (*cure).to_owned()))
    };
    let message = |version: &str, url: &str, why: &str| {
        format!(
            "docker 28 and later verify Docker Hub itself no better than its mirrors{version}, \
             and `{url}` is not verified: {why}"
        )
    };
    let theirs = r#"{"insecure-registries": ["m.io", "10.0.0.0/8"]}"#;
    let by_m = "`m.io` in /etc/docker/daemon.json makes it insecure";
    let by_range = "`10.0.0.0/8` in /etc/docker/daemon.json makes it insecure";
    let loopback = "docker takes loopback addresses for insecure";
    for (version, doubt, host, trust, json, url, why) in [
        ("28.0.0", "", "m.io", Trust::Insecure, "{}", "https://m.io", "it is declared `insecure`"),
        ("28.5.2", "", "m.io", Trust::System, theirs, "https://m.io", by_m),
        ("28.5.2", "", "m.io", Trust::Http, theirs, "http://m.io", by_m),
        ("29.1.0", "", "10.1.2.3:5000", ca("a"), theirs, "https://10.1.2.3:5000", by_range),
        ("28.5.2", "", "127.0.0.1:1", Trust::Http, "{}", "http://127.0.0.1:1", loopback),
        ("28.5.2", "", "[::1]:5000", Trust::System, "{}", "https://[::1]:5000", loopback),
        ("28.5.2", "", "localhost:1", Trust::Http, "{}", "http://localhost:1", loopback),
        (
            "unknown",
            " (its version is unknown)",
            "m.io",
            Trust::Insecure,
            "{}",
            "https://m.io",
            "it is declared `insecure`",
        ),
    ] {
        let found = hole(version, host, trust, json).map(|(message, _)| message);
        assert_eq!(found, Some(message(doubt, url, why)));
    }
    let cure = hole("28.0.0", "m.io", Trust::Insecure, "{}").map(|(_, cure)| cure);
    assert_eq!(cure.as_deref(), Some("give it a CA, or use docker before 28"));
    assert_eq!(hole("27.5.1", "m.io", Trust::Insecure, "{}"), None);
    assert_eq!(hole("28.5.2", "m.io", ca("a"), "{}"), None);
}

/// Its address says `http://`, and the element that older versions need would open the hole.
#[test]
fn a_plain_http_mirror_needs_no_element_from_28_on() {
    for version in ["28.5.2", "unknown"] {
        let hub = hub(vec![mirror("m.io", "", Trust::Http)]);
        let wants = wants(&[hub], &docker(version), &Files::default());
        assert_eq!(urls(&wants), ["http://m.io"]);
        assert_eq!((wants.insecure.len(), wants.conflicts.len()), (0, 0));
    }
}

#[test]
fn a_plain_http_mirror_with_an_entry_of_its_own_opens_the_hole_all_the_same() {
    let entries = [hub(vec![mirror("m.io", "", Trust::Http)]), entry("m.io", Trust::Http)];
    let found = |version| wants(&entries, &docker(version), &Files::default()).conflicts;
    assert_eq!(found("27.5.1"), []);
    assert_eq!(
        conflicts(&found("28.5.2")),
        [(
            PATH,
            "docker 28 and later verify Docker Hub itself no better than its mirrors, and \
             `http://m.io` is not verified: its own entry makes it insecure",
            "give it a CA in both, or use docker before 28",
        )]
    );
}

#[test]
fn an_insecure_registry_that_is_somebodys_mirror_is_refused_from_28_on() {
    let entries = [entry("m.corp", Trust::Insecure)];
    let file = daemon_json(r#"{"registry-mirrors": ["https://M.corp/"]}"#);
    let refused = |version| wants(&entries, &docker(version), &file).conflicts;
    assert_eq!(refused("26.1.5"), []);
    assert_eq!(
        conflicts(&refused("28.5.2")),
        [(
            PATH,
            "`https://M.corp/` in /etc/docker/daemon.json is a mirror of Docker Hub, and docker \
             28 and later would stop verifying Docker Hub itself with it",
            "give `m.corp` a CA, or take the mirror out",
        )]
    );
}

#[test]
fn a_verified_mirror_that_somebody_made_insecure_is_in_the_way_before_28_too() {
    let hub = [hub(vec![mirror("m.io", "", ca("a"))])];
    let file = daemon_json(r#"{"insecure-registries": ["http://m.io"]}"#);
    assert_eq!(
        conflicts(&wants(&hub, &docker("26.1.5"), &file).conflicts),
        [(
            PATH,
            "docker does not verify the mirror `https://m.io`: `http://m.io` in /etc/docker/daemon.json \
             makes it insecure",
            "take `http://m.io` out of /etc/docker/daemon.json",
        )]
    );
    let range = daemon_json(r#"{"insecure-registries": ["10.0.0.0/8"]}"#);
    let found = wants(&hub, &docker("26.1.5"), &range);
    assert_eq!(found.conflicts, []);
    assert_eq!(
        notes(&found.notes),
        [
            "docker does not verify `m.io` while its name resolves into `10.0.0.0/8`, which somebody \
          made insecure"
        ]
    );
}

/// Docker looks up how to verify a host by its name alone.
#[test]
fn a_mirror_and_the_hosts_own_entry_must_agree() {
    let conflict = |own: Trust, as_mirror: Trust| {
        let entries = [hub(vec![mirror("m.corp", "", as_mirror)]), entry("m.corp", own)];
        let wants = wants(&entries, &docker("26.1.5"), &Files::default());
        assert_eq!(wants.inexpressible.len(), 0);
        wants.conflicts.first().map(|conflict| (conflict.items.clone(), conflict.message.clone()))
    };
    let says = |message: &str| Some((on("docker.io"), message.to_owned()));
    assert_eq!(conflict(ca("a"), ca("a")), None);
    assert_eq!(conflict(Trust::Insecure, Trust::Insecure), None);
    assert_eq!(
        conflict(ca("a"), ca("b")),
        says("the mirror `m.corp` is declared a second time with another `ca`")
    );
    assert_eq!(
        conflict(ca("a"), Trust::Http),
        says("the mirror `m.corp` is declared as `http` here and as `ca` elsewhere")
    );
    assert_eq!(
        conflict(Trust::System, ca("a")),
        says("the mirror `m.corp` is declared as `ca` here and as `system` elsewhere")
    );
}
