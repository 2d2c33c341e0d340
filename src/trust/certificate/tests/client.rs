use super::*;

fn pair(certificate: &[u8], key: &[u8]) -> Result<Parsed<ClientPair>, CertError> {
    ClientPair::parse(certificate, key, now())
}

#[test]
fn a_pair_that_fits_is_written_again_and_the_key_is_secret() {
    for (certificate, key, written) in [
        (fixture!("client.pem"), fixture!("client.key"), fixture!("client.key")),
        (fixture!("client.pem"), fixture!("client-pkcs1.key"), fixture!("client-pkcs1.key")),
        (fixture!("client-ec.pem"), fixture!("client-ec.key"), fixture!("client-ec.key")),
        (
            fixture!("client-ed25519.pem"),
            fixture!("client-ed25519.key"),
            fixture!("client-ed25519.key"),
        ),
        (fixture!("client-any-usage.pem"), fixture!("client.key"), fixture!("client.key")),
    ] {
        let parsed = pair(certificate, key).unwrap();
        assert_eq!(parsed.warnings, []);
        assert_eq!(parsed.value.certificate, Content::plain(certificate));
        assert!(parsed.value.key.is_secret());
        assert_eq!(parsed.value.key.bytes(), written);
        assert_eq!(parsed.value.not_after.to_string(), "2100-01-01T00:00:00Z");
        let stored = (parsed.value.certificate.bytes(), parsed.value.key.bytes());
        assert_eq!(ClientPair::from_stored(stored.0, stored.1).unwrap(), parsed.value);
        assert!(!format!("{parsed:?}").contains("PRIVATE KEY"));
    }
}

#[test]
fn the_curve_that_openssl_writes_before_a_key_is_left_out() {
    let written = pair(fixture!("client-ec.pem"), fixture!("client-sec1.key")).unwrap().value.key;
    assert!(written.bytes().starts_with(b"-----BEGIN EC PRIVATE KEY-----\n"));
    assert!(fixture!("client-sec1.key").ends_with(written.bytes()));
}

#[test]
fn a_chain_follows_the_client_s_own_certificate() {
    let chain = joined(&[fixture!("client.pem"), fixture!("ca.pem")]);
    let parsed = pair(&chain, fixture!("client.key")).unwrap();
    assert_eq!(parsed.value.certificate, Content::plain(&chain));
    assert_eq!(parsed.warnings, []);
    let old = joined(&[fixture!("client.pem"), fixture!("ca-expired.pem")]);
    let warned = messages(&pair(&old, fixture!("client.key")).unwrap());
    assert!(warned.starts_with("certificate 2 (`CN=Expired Root`) expired at"), "{warned}");
}

#[test]
fn a_client_certificate_that_ends_soon_is_announced() {
    let late = "2099-12-20T00:00:00Z".parse().unwrap();
    let parsed = ClientPair::parse(fixture!("client.pem"), fixture!("client.key"), late).unwrap();
    assert!(messages(&parsed).starts_with("certificate 1 (`CN=node-1`) expires at 2100"));
}

#[test]
fn an_expired_pair_can_be_read_back() {
    assert!(
        ClientPair::from_stored(fixture!("client-expired.pem"), fixture!("client.key")).is_ok()
    );
    let mixed = ClientPair::from_stored(fixture!("client.pem"), fixture!("client-ec.key"));
    assert!(mixed.is_err(), "a pair that does not fit is never written, wherever it comes from");
}

#[test]
fn pairs_that_no_runtime_could_use_are_refused() {
    let (client, key) = (fixture!("client.pem"), fixture!("client.key"));
    let damaged = pem::write("PRIVATE KEY", &pem::read(key).unwrap().blocks[0].der[..600]);
    let no_newlines = String::from_utf8(key.to_vec()).unwrap().replace('\n', "\\n");
    for (name, certificate, key, expected) in [
        ("another's key", client, fixture!("client-ec.key"), "the key does not belong to certificate 1 (`CN=node-1`)"),
        ("chain first", &joined(&[fixture!("ca.pem"), client]), key, "the key belongs to certificate 2 (`CN=node-1`), and the first"),
        ("passphrase", client, fixture!("client-encrypted.key"), "protected by a passphrase, which no runtime could enter (decrypt it with"),
        ("old passphrase", client, fixture!("client-encrypted-pkcs1.key"), "protected by a passphrase"),
        ("OpenSSH", client, b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----\n", "(convert it with `ssh-keygen"),
        ("two keys", client, &joined(&[key, key]), "more than one private key"),
        ("no key", client, fixture!("client.pem"), "line 1: the block is a `CERTIFICATE`, and only a private key"),
        ("only the curve", client, &fixture!("client-sec1.key")[..80], "no private key in it"),
        ("empty key", client, b"", "it is empty"),
        ("no certificate", b"", key, "it is empty"),
        ("key beside it", &joined(&[client, key]), key, "holds a private key, which must not stand beside"),
        ("damaged key", client, damaged.as_bytes(), "the key is damaged, or not RSA"),
        ("key from JSON", client, no_newlines.as_bytes(), "the two characters `\\n`"),
        ("cut off", client, &key[..200], "the block `PRIVATE KEY` has no end"),
        ("P-521", fixture!("client-p521.pem"), fixture!("client-p521.key"), "the key is damaged, or not RSA"),
        ("for servers", fixture!("client-server-usage.pem"), key, "may not be used by clients"),
        ("expired", fixture!("client-expired.pem"), key, "no certificate is valid any more: certificate 1 (`CN=node-1`) expired at 2021"),
        ("to come", fixture!("client-not-yet.pem"), key, "no certificate is valid yet"),
        ("MD5", fixture!("ca-md5.pem"), key, "is signed with MD5"),
        ("too large", client, &vec![b'#'; (256 << 10) + 1], "it has 262145 bytes"),
    ] {
        let error = pair(certificate, key).expect_err(name);
        let message = format!("{error} ({})", error.cure());
        assert!(message.contains(expected), "{name} gave: {message}");
        assert!(!message.contains("MII") && !format!("{error:?}").contains("MII"), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_to_a_key_makes_it_panic_or_be_shown(at: prop::sample::Index, byte: u8) {
        let mut der = pem::read(fixture!("client-ec.key")).unwrap().blocks[0].der.clone();
        let position = at.index(der.len());
        der[position] = byte;
        if let Err(error) = pair(fixture!("client-ec.pem"), pem::write("PRIVATE KEY", &der).as_bytes()) {
            let known = matches!(error, CertError::UnusableKey | CertError::OtherKey(_));
            prop_assert!(known, "{error:?}");
        }
    }
}
