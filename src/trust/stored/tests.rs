use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/", $name))
    };
}

fn entry() -> Entry {
    let ca = Trust::Ca(CaBundle::from_stored(fixture!("ca-expired.pem")).unwrap());
    let mirror = |host: &str, path: &str, trust: Trust| Mirror {
        host: Address::parse_mirror(host).unwrap().host,
        path: path.to_owned(),
        trust,
        capabilities: [Capability::Pull].into(),
    };
    Entry {
        host: "harbor.corp:443".parse().unwrap(),
        trust: ca.clone(),
        client: Some(
            ClientPair::from_stored(fixture!("client.pem"), fixture!("client.key")).unwrap(),
        ),
        system_store: true,
        reason: Some("ours".to_owned()),
        until: Some("2027-01-31T00:00:00Z".parse().unwrap()),
        runtimes: Some([Runtime::Docker].into()),
        mirrors: vec![
            mirror("m.corp:443", "/v2/proxy", ca),
            mirror("[2001:db8::1]:5000", "", Trust::Http),
            mirror("m.corp", "", Trust::SkipVerify),
            mirror("n.corp", "", Trust::Insecure),
            mirror("registry-1.docker.io", "", Trust::System),
        ],
        fallback: false,
        origin: Origin { owner: "local".into(), file: "/x.toml".into(), line: 7 },
    }
}

fn restore(stored: &StoredEntry, blobs: &Blobs) -> Result<Entry, RestoreFault> {
    let blob = |digest| blobs.get(&digest).cloned();
    Restorer::new(&blob).restore(stored).map_err(|error| error.fault)
}

/// Also with a CA that has expired since: it was accepted once, and it is still what is in force.
#[test]
fn an_entry_comes_back_from_its_text() {
    let mut blobs = Blobs::new();
    let text = serde_json::to_string(&store(&entry(), &mut blobs)).unwrap();
    assert_eq!(blobs.len(), 3, "the CA that two places share is one blob");
    assert_eq!(restore(&serde_json::from_str(&text).unwrap(), &blobs), Ok(entry()));
    assert!(!text.contains("PRIVATE KEY") && !text.contains("BEGIN"), "{text}");
    let secret = blobs.values().filter(|blob| blob.is_secret()).count();
    assert_eq!(secret, 1, "exactly the key is secret");
}

#[test]
fn the_text_is_a_contract() {
    let plain = Entry { client: None, mirrors: Vec::new(), ..entry() };
    let stored = store(&plain, &mut Blobs::new());
    let digest = CaBundle::from_stored(fixture!("ca-expired.pem")).unwrap().content().digest();
    assert_eq!(
        serde_json::to_value(&stored).unwrap(),
        serde_json::json!({
            "host": "harbor.corp:443",
            "trust": { "ca": digest.to_string() },
            "client": null,
            "system_store": true,
            "reason": "ours",
            "until": "2027-01-31T00:00:00Z",
            "runtimes": ["docker"],
            "mirrors": [],
            "fallback": false,
            "origin": { "owner": "local", "file": "/x.toml", "line": 7 },
        })
    );
}

#[test]
fn what_was_damaged_is_not_restored() {
    let mut blobs = Blobs::new();
    let stored = store(&entry(), &mut blobs);
    let StoredTrust::Ca(ca) = stored.trust else { panic!("{stored:?}") };

    let without = Blobs::new();
    assert_eq!(restore(&stored, &without), Err(RestoreFault::Missing { digest: ca }));
    let mut altered = blobs.clone();
    altered.insert(ca, Content::plain(fixture!("ca.pem")));
    assert_eq!(restore(&stored, &altered), Err(RestoreFault::Altered { digest: ca }));

    let no_ca = StoredEntry { trust: StoredTrust::System, ..stored.clone() };
    assert_eq!(restore(&no_ca, &blobs), Err(RestoreFault::SystemStore));
    for path in ["/../x", "x", "/x/", "/x?y", "@evil.corp"] {
        let mut bent = stored.clone();
        path.clone_into(&mut bent.mirrors[0].path);
        let mirror = format!("m.corp:443{path}");
        assert_eq!(restore(&bent, &blobs), Err(RestoreFault::Mirror { mirror }));
    }
    let unknown = serde_json::to_string(&stored).unwrap().replacen('{', "{\"what\":1,", 1);
    assert!(serde_json::from_str::<StoredEntry>(&unknown).is_err());
    let elsewhere = serde_json::to_string(&stored).unwrap().replace("harbor.corp", "../../etc");
    assert!(serde_json::from_str::<StoredEntry>(&elsewhere).is_err());
}
