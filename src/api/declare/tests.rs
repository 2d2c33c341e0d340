use super::*;

const CA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/ca.pem"));

fn now() -> Timestamp {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

fn with(host: &str, trust: v1::Trust) -> v1::Registry {
    v1::Registry { host: host.to_owned(), trust: trust.into(), ..v1::Registry::default() }
}

fn with_ca(host: &str) -> v1::Registry {
    v1::Registry { ca: CA.to_owned(), ..with(host, v1::Trust::Ca) }
}

/// The fields that are wrong.
fn wrong(registries: &[v1::Registry]) -> Vec<String> {
    entries(registries, now()).unwrap_err().into_iter().map(|one| one.field).collect()
}

#[test]
fn a_wrong_field_is_named_as_the_caller_wrote_it() {
    let fine = || with_ca("a.corp");
    let pair = |certificate: &str, key: &str| {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Some(v1::ClientCertificate { certificate, key })
    };
    let mirror = |url: &str| v1::Mirror { url: url.to_owned(), ..v1::Mirror::default() };
    for (registry, field) in [
        (with("a b", v1::Trust::System), "host"),
        (v1::Registry { ca: "no PEM".to_owned(), ..with_ca("b.corp") }, "ca"),
        (v1::Registry { trust: 77, ..with_ca("b.corp") }, "trust"),
        (v1::Registry { runtimes: vec![9], ..with_ca("b.corp") }, "runtimes"),
        (v1::Registry { client: pair("x", "y"), ..with_ca("b.corp") }, "client.certificate"),
        (
            v1::Registry { mirrors: vec![mirror("ftp://m.corp")], ..with_ca("b.corp") },
            "mirrors.url",
        ),
    ] {
        let fields = wrong(&[fine(), registry.clone()]);
        assert_eq!(fields.first().unwrap(), &format!("registries[1].{field}"), "{registry:?}");
    }
}

/// A value is a value, whatever it looks like.
#[test]
fn no_text_of_a_caller_becomes_a_key_of_a_file() {
    for text in
        ["\"\n[[registry]]\nhost = \"evil.corp\"\n#", "'''\nhost='evil'", "\\u0000", "a\r\nb"]
    {
        let registry = v1::Registry { reason: text.to_owned(), ..with_ca("a.corp") };
        if let Ok(declared) = entries(&[registry], now()) {
            let hosts: Vec<String> =
                declared.entries.iter().map(|entry| entry.host.to_string()).collect();
            assert_eq!(hosts, ["a.corp"], "{text:?}");
            assert_eq!(declared.entries[0].reason.as_deref(), Some(text));
        }
        let host = v1::Registry { host: text.to_owned(), ..with_ca("") };
        assert_eq!(wrong(&[host]).first().unwrap(), "registries[0].host");
    }
}

#[test]
fn an_empty_set_is_a_set() {
    let declared = entries(&[], now()).unwrap();
    assert!(declared.entries.is_empty() && declared.warnings.is_empty());
}

#[test]
fn everything_that_a_registry_says_arrives() {
    let registry = v1::Registry {
        reason: "lab".to_owned(),
        until: Some(prost_types::Timestamp { seconds: 1_830_000_000, nanos: 0 }),
        runtimes: vec![v1::Runtime::Containerd.into()],
        fallback: Some(false),
        mirrors: vec![v1::Mirror {
            url: "https://mirror.corp/v2/proxy".to_owned(),
            capabilities: vec![v1::Capability::Pull.into()],
            ..v1::Mirror::default()
        }],
        ..with_ca("HTTPS://Harbor.corp:8443/")
    };
    let declared = entries(&[registry], now()).unwrap();
    let entry = &declared.entries[0];
    assert_eq!(entry.host.to_string(), "harbor.corp:8443");
    assert_eq!(entry.trust.word(), "ca");
    assert_eq!(entry.reason.as_deref(), Some("lab"));
    assert_eq!(entry.until.unwrap().as_second(), 1_830_000_000);
    assert_eq!(entry.mirrors.len(), 1);
    assert!(!entry.fallback);
}
