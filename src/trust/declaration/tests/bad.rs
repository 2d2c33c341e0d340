//! What is refused, and in which words. Each text follows a first line `[[registry]]`.

use super::*;

/// The text of an entry, and every error it has.
pub(super) const ENTRIES: &[(&str, &[&str])] = &[
    // The host.
    ("trust = \"system\"", &["1:1: host: is missing (add the registry's name"]),
    ("host = 5\ntrust = \"system\"", &["2:8: host: expected a string, found an integer"]),
    ("host = \"\"\ntrust = \"system\"", &["2:8: host: the registry host is empty"]),
    ("host = \"u:p@a.corp\"\ntrust = \"system\"", &["2:8: host: registry host `***@a.corp`"]),
    ("host = \"a.corp?x\"\ntrust = \"system\"", &["contains a query"]),
    ("host = \"_default\"\ntrust = \"system\"", &["2:8: host: registry host `_default`"]),
    ("host = \"../../etc\"\ntrust = \"system\"", &["2:8: host: registry host `../../etc`"]),
    ("host = \"-----BEGIN\"\ntrust = \"system\"", &["2:8: host: holds PEM text"]),
    // How far it is believed.
    ("host = \"a.corp\"", &["1:1: trust: is missing (add `trust = \"system\"`"]),
    ("host = \"a.corp\"\nca_file = \"ca.pem\"", &["1:1: trust: is missing (add `trust = \"ca\"`)"]),
    (
        "host = \"a.corp\"\ntrust = \"insecur\"",
        &["3:9: trust: `insecur` means nothing here (did you mean `insecure`?)"],
    ),
    ("host = \"a.corp\"\ntrust = \"skip_verify\"", &["did you mean `skip-verify`?"]),
    (
        "host = \"a.corp\"\ntrust = \"no\"",
        &["(one of: `system`, `ca`, `skip-verify`, `http`, `insecure`)"],
    ),
    ("host = \"a.corp\"\ntrust = true", &["3:9: trust: expected a string, found a boolean"]),
    (
        "host = \"https://a.corp\"\ntrust = \"http\"",
        &["3:9: trust: \"http\" contradicts the `https://` in `host`"],
    ),
    // CAs.
    ("host = \"a.corp\"\ntrust = \"ca\"", &["3:9: trust: `ca` needs a CA (add `ca_file`"]),
    (
        "host = \"a.corp\"\ntrust = \"http\"\nca_file = \"ca.pem\"",
        &["4:11: ca_file: a CA is given, but `trust` is \"http\" (write `trust = \"ca\"`"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"skip-verify\"\nca_file = \"ca.pem\"",
        &["4:11: ca_file: a CA is given"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"insecure\"\nca_file = \"ca.pem\"",
        &["4:11: ca_file: a CA is given"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nca = \"-----BEGIN CERTIFICATE-----\"",
        &["4:6: ca: a CA is given"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca = \"-----BEGIN\"\nca_file = \"ca.pem\"",
        &["5:1: ca_file: `ca` is given as well (remove one"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca = \"ca.pem\"",
        &["4:6: ca: holds no PEM text (it begins with `-----BEGIN …`) (`ca_file` names a file)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"-----BEGIN CERTIFICATE-----\"",
        &["4:11: ca_file: holds PEM text, not the name of a file (`ca` takes PEM text)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"gone.pem\"",
        &["4:11: ca_file: cannot read `/etc/regtrust/registries.d/gone.pem`: it is not there"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"/locked.pem\"",
        &["4:11: ca_file: cannot read `/locked.pem`: Permission denied"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"../../../../x\"",
        &["4:11: ca_file: `../../../../x` leads out of the root"],
    ),
    ("host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"\"", &["4:11: ca_file: `` names no file"]),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"expired.pem\"",
        &["4:11: ca_file: no certificate is valid any more"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"client.key\"",
        &["4:11: ca_file: it holds a private key"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca = 1",
        &["4:6: ca: expected a string, found an integer"],
    ),
    // Client pairs.
    (
        "host = \"a.corp\"\ntrust = \"system\"\nclient_cert_file = \"client.pem\"",
        &["4:20: client_cert_file: a client certificate needs its key (add `client_key_file`)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nclient_key_file = \"client.key\"",
        &["4:19: client_key_file: a client key needs its certificate (add `client_cert_file`)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"http\"\nclient_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"",
        &["4:20: client_cert_file: plain HTTP has no client certificates"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"insecure\"\nclient_cert_file = \"client.pem\"\nclient_key_file = \"client.key\"",
        &["4:20: client_cert_file: docker shows no certificate to an insecure registry"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nclient_cert_file = \"client.pem\"\nclient_key_file = \"other.key\"",
        &["4:20: client_cert_file: the key does not belong to"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nclient_cert_file = \"a\"\nclient_key_file = \"b\"",
        &["4:20: client_cert_file: cannot read", "5:19: client_key_file: cannot read"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nclient_cert_file = \"client.pem\"\nclient_key = \"client.key\"",
        &["5:14: client_key: holds no PEM text"],
    ),
    // The system's store.
    (
        "host = \"a.corp\"\ntrust = \"system\"\nsystem_store = true",
        &["4:16: system_store: there is no CA to put there"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"server.pem\"\nsystem_store = true",
        &["5:16: system_store: a server's own certificate is no CA"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\nsystem_store = \"yes\"",
        &["5:16: system_store: expected `true` or `false`, found a string"],
    ),
    // The rest of an entry.
    ("host = \"a.corp\"\ntrust = \"system\"\nreason = \" \"", &["4:10: reason: is empty"]),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nreason = \"a\\u001b[2J\"",
        &["4:10: reason: contains the control character \\u{1b}"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nuntil = 2027-01-31",
        &["4:9: until: `2027-01-31` needs a time zone (such as 2027-01-31T00:00:00Z)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nuntil = 2027-01-31T00:00:00",
        &["4:9: until: `2027-01-31T00:00:00` needs a time zone"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nuntil = \"2027-01-31T00:00:00Z\"",
        &["4:9: until: expected a date with a time zone, found a string"],
    ),
    ("host = \"a.corp\"\ntrust = \"system\"\nruntimes = []", &["4:12: runtimes: is empty"]),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nruntimes = \"docker\"",
        &["4:12: runtimes: expected a list of strings, found a string"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nruntimes = [\"docker\", 1, \"conatinerd\"]",
        &["4:23: runtimes: expected a string, found an integer"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nruntimes = [\"dokcer\", \"podman\"]",
        &[
            "4:13: runtimes: `dokcer` means nothing here (did you mean `docker`?)",
            "4:23: runtimes: `podman` means nothing here (one of: `docker`, `containerd`)",
        ],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nfallback = false",
        &["4:12: fallback: nothing could be pulled: there is no mirror"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\ncafile = \"x\"\nwhat = 1",
        &[
            "4:1: unknown key `cafile` (did you mean `ca_file`?)",
            "5:1: unknown key `what` (known keys: `host`",
        ],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\nurl = \"x\"",
        &["4:1: `url` is a key of `[[registry.mirror]]`"],
    ),
    (
        "host = \"a b\"\ntrust = \"x\"\nreason = 1\nuntil = 1",
        &["2:8: host:", "3:9: trust:", "4:10: reason:", "5:9: until:"],
    ),
    // Mirrors.
    (
        "host = \"a.corp\"\ntrust = \"system\"\nmirror = \"https://m.corp\"",
        &["4:10: mirror: expected tables, found a string (begin each with `[[registry.mirror]]`)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]",
        &["4:1: mirror.url: is missing"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"m.corp/p\"",
        &["5:7: mirror.url: has no scheme (write `https://m.corp/p`)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"http://m.corp\"",
        &["5:7: mirror.url: `http://` is plain HTTP"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\ntrust = \"http\"",
        &["6:9: mirror.trust: \"http\" contradicts the `https://` in `mirror.url`"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\ntrust = \"ca\"",
        &["6:9: mirror.trust: `ca` needs a CA"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\nca_file = \"ca.pem\"",
        &["6:11: mirror.ca_file: a CA is given, but `trust` is \"system\""],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp?x=1\"",
        &["contains a query"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\ncapabilities = []",
        &["6:16: mirror.capabilities: is empty"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\ncapabilities = [\"pul\"]",
        &["6:17: mirror.capabilities: `pul` means nothing here (did you mean `pull`?)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\nfallback = false",
        &[
            "6:1: mirror: `fallback` is a key of `[[registry]]`, not of a mirror (if it is meant for the registry, move it above the first `[[registry.mirror]]`)",
        ],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\nuntil = 2027-01-01",
        &["6:1: mirror: `until` is a key of `[[registry]]`"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\nurll = 1",
        &["6:1: mirror: unknown key `urll` (did you mean `url`?)"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp/\"\n[[registry.mirror]]\nurl = \"https://M.corp\"",
        &["7:7: mirror.url: `m.corp` is a mirror already"],
    ),
    (
        "host = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://a.corp\"",
        &["5:7: mirror.url: is the registry itself"],
    ),
    (
        "host = \"docker.io\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \"https://registry-1.docker.io\"",
        &["5:7: mirror.url: is the registry itself"],
    ),
];

#[test]
fn every_mistake_has_its_place_its_reason_and_its_cure() {
    for (text, errors) in ENTRIES {
        let mut declarations = declare(&format!("[[registry]]\n{text}"));
        assert_eq!(declarations.entries, [], "accepted:\n{text}");
        declarations.problems.retain(|problem| problem.severity == Severity::Error);
        let found = messages(&declarations);
        assert_eq!(found.len(), errors.len(), "{text}\n{found:#?}");
        for (found, error) in found.iter().zip(*errors) {
            assert!(found.contains(error), "{text}\nfound:    {found}\nexpected: {error}");
        }
    }
}

#[test]
fn more_mirrors_than_anybody_would_wait_for_are_refused() {
    let mirrors: Vec<String> =
        (0..9).map(|n| format!("[[registry.mirror]]\nurl = \"https://m{n}.corp\"\n")).collect();
    let mirrors = mirrors.concat();
    let found = messages(&declare(&format!(
        "[[registry]]\nhost = \"a.corp\"\ntrust = \"system\"\nfallback = false\n{mirrors}"
    )));
    assert_eq!(
        found,
        ["5:1: mirror: there are 9, more than 8 (a pull waits for each of them in turn; keep the \
          nearest)"]
    );
}

#[test]
fn a_reason_is_a_line_and_no_story() {
    let entry = "[[registry]]\nhost = \"a.corp\"\ntrust = \"system\"\nreason = ";
    assert_eq!(messages(&declare(&format!("{entry}\"{}\"", "\u{e9}".repeat(500)))), [""; 0]);
    let found = messages(&declare(&format!("{entry}\"{}\"", "x".repeat(501))));
    assert!(found[0].starts_with("4:10: reason: has 501 characters, more than 500"), "{found:?}");
}

#[test]
fn no_message_holds_a_piece_of_a_key() {
    let key = str::from_utf8(fixture!("client.key")).unwrap();
    let secrets: Vec<&str> = key.lines().filter(|line| !line.contains("-----")).collect();
    let fields = "host trust ca ca_file client_cert client_cert_file client_key client_key_file \
                  reason until runtimes system_store mirror what";
    for field in fields.split_whitespace() {
        for value in
            [format!("'''{key}'''"), format!("['''{key}''']"), format!("'''{key}"), key.into()]
        {
            let declarations = declare(&format!(
                "[[registry]]\n{field} = {value}\n[[registry.mirror]]\nurl = {value}"
            ));
            let shown = format!("{declarations:?}");
            assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{field}: {shown}");
        }
    }
}
