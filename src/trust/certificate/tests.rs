//! Every file in `tests/fixtures/certs` that these name is made by `make.sh` there.

use proptest::prelude::*;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/", $name))
            .as_slice()
    };
}

mod client;
mod refused;

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn parse(pem: &[u8]) -> Parsed<CaBundle> {
    CaBundle::parse(pem, now()).unwrap_or_else(|error| panic!("{error}"))
}

fn messages<T>(parsed: &Parsed<T>) -> String {
    let lines =
        parsed.warnings.iter().flat_map(|advice| [&advice.message, " (", &advice.cure, ")\n"]);
    lines.collect()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn what_openssl_writes_is_written_again_to_the_byte() {
    for pem in [
        fixture!("ca.pem"),
        fixture!("ca-b.pem"),
        fixture!("ca-p256.pem"),
        fixture!("ca-p384.pem"),
        fixture!("ca-p521.pem"),
        fixture!("ca-ed25519.pem"),
        fixture!("ca-intermediate.pem"),
        fixture!("ca-name-constraints.pem"),
        fixture!("ca-year-9999.pem"),
        // The most common set-up of a private registry: one self-signed CA that is the server.
        fixture!("ca-as-server.pem"),
    ] {
        let parsed = parse(pem);
        assert_eq!(parsed.warnings, []);
        assert_eq!(parsed.value.content().bytes(), pem);
        assert!(!parsed.value.content().is_secret());
        assert!(parsed.value.contains_only_authorities());
        assert_eq!(CaBundle::from_stored(pem).unwrap(), parsed.value);
    }
}

#[test]
fn a_certificate_is_known_by_what_openssl_says_of_it() {
    let bundle = parse(fixture!("ca.pem")).value;
    let [ca] = bundle.certificates() else { panic!("{bundle:?}") };
    assert_eq!(ca.subject, "CN=Corp Root, O=Corp");
    assert_eq!(ca.fingerprint, Sha256Hex::of(fixture!("ca.der")));
    assert_eq!(ca.not_before.to_string(), "2020-01-01T00:00:00Z");
    assert_eq!(ca.not_after.to_string(), "2100-01-01T00:00:00Z");
    assert_eq!((ca.is_authority, ca.is_self_issued, ca.rsa_bits), (true, true, Some(2048)));
    assert_eq!((ca.has_server_names, ca.has_name_constraints), (false, false));
    assert_eq!(ca.pem.as_bytes(), fixture!("ca.pem"));

    let facts = |pem| parse(pem).value.certificates()[0].clone();
    assert!(!facts(fixture!("ca-intermediate.pem")).is_self_issued);
    assert_eq!(facts(fixture!("ca-p256.pem")).rsa_bits, None);
    assert!(facts(fixture!("ca-as-server.pem")).has_server_names);
    assert!(facts(fixture!("ca-name-constraints.pem")).has_name_constraints);
    assert_eq!(facts(fixture!("ca-year-9999.pem")).not_after, Timestamp::MAX);
    assert_ne!(facts(fixture!("ca-b.pem")).spki, ca.spki);
}

#[test]
fn a_name_cannot_write_to_a_terminal() {
    let ca = parse(fixture!("ca-hostile-name.pem")).value.certificates()[0].clone();
    assert_eq!(ca.subject, "CN=evil\\u{1b}[31m\\u{202e}name, O=A, B");
}

#[test]
fn what_was_pasted_from_elsewhere_is_put_in_order() {
    let plain = std::str::from_utf8(fixture!("ca.pem")).unwrap();
    let body: String = plain.lines().filter(|line| !line.starts_with('-')).collect();
    for (name, pasted) in [
        ("CRLF", plain.replace('\n', "\r\n")),
        ("byte-order mark", format!("\u{feff}{plain}")),
        ("indentation", plain.lines().flat_map(|line| ["    ", line, "  \n"]).collect()),
        ("tabs", plain.lines().flat_map(|line| ["\t", line, "\n"]).collect()),
        ("blank lines", plain.replace('\n', "\n\n")),
        ("no newline at the end", plain.trim_end().to_owned()),
        (
            "one long line",
            format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"),
        ),
    ] {
        let parsed = parse(pasted.as_bytes());
        assert_eq!(parsed.value.content().bytes(), plain.as_bytes(), "{name}");
        assert_eq!(parsed.warnings, [], "{name}");
    }
}

#[test]
fn what_may_be_wrong_is_accepted_with_a_warning() {
    let (ca, other) = (fixture!("ca.pem"), fixture!("ca-b.pem"));
    for (name, pem, expected) in [
        (
            "one of two expired",
            joined(&[fixture!("ca-expired.pem"), ca]),
            "certificate 1 (`CN=Expired Root`) expired at 2021-01-01T00:00:00Z; it is now \
             2026-06-01T00:00:00Z (remove it, or give its successor)\n",
        ),
        (
            "one of two to come",
            joined(&[ca, fixture!("ca-not-yet.pem")]),
            "certificate 2 (`CN=Future Root`) is not valid before 2090-01-01T00:00:00Z; it is now \
             2026-06-01T00:00:00Z (check the node's clock, or wait)\n",
        ),
        (
            "text around it",
            joined(&[b"# our CA\n", ca, b"bye\n"]),
            "2 lines of other text stand around the certificates (they are left out; remove them \
             if they were meant to be more)\n",
        ),
        (
            "twice",
            joined(&[ca, other, ca]),
            "certificate 3 (`CN=Corp Root, O=Corp`) is the same as certificate 1 (leave it out; it \
             is written once)\n",
        ),
        (
            "the server's own",
            fixture!("server-self.pem").to_vec(),
            "certificate 1 (`CN=harbor.corp`) is a self-signed server certificate, not a CA: \
             exactly this certificate is trusted, and pulls fail when the registry's is renewed \
             (let a CA of your own sign the server's certificate)\n",
        ),
        (
            "the server's, from a CA",
            fixture!("server-issued.pem").to_vec(),
            "certificate 1 (`CN=harbor.corp`) is a server certificate that another CA issued, not \
             a CA: exactly this certificate is trusted, and pulls fail when the registry's is \
             renewed (give the certificate of that CA instead)\n",
        ),
        (
            "SHA-1 that nobody checks",
            fixture!("ca-sha1-root.pem").to_vec(),
            "certificate 1 (`CN=SHA-1 Root`) is signed by itself with an outdated algorithm, which \
             nobody checks (replace it when the CA is renewed)\n",
        ),
    ] {
        assert_eq!(messages(&parse(&pem)), expected, "{name}");
    }
}

#[test]
fn the_last_thirty_days_are_announced() {
    let at = |now: &str| CaBundle::parse(fixture!("ca.pem"), now.parse().unwrap());
    assert_eq!(at("2099-12-02T00:00:00Z").unwrap().warnings, []);
    let warned = messages(&at("2099-12-02T00:00:01Z").unwrap());
    assert_eq!(
        warned,
        "certificate 1 (`CN=Corp Root, O=Corp`) expires at 2100-01-01T00:00:00Z; it is now \
         2099-12-02T00:00:01Z (give its successor beside it before that day)\n"
    );
    assert!(at("2100-01-01T00:00:00Z").is_ok(), "the last second counts, as in Go");
    assert!(at("2100-01-01T00:00:01Z").is_err());
    assert!(at("2020-01-01T00:00:00Z").is_ok());
    assert!(at("2019-12-31T23:59:59Z").is_err());
}

#[test]
fn a_repeated_certificate_is_written_once_and_the_order_stays() {
    let (ca, other) = (fixture!("ca.pem"), fixture!("ca-b.pem"));
    let bundle = parse(&joined(&[other, ca, other])).value;
    assert_eq!(bundle.content().bytes(), joined(&[other, ca]));
}

#[test]
fn openssl_s_own_description_is_left_out() {
    let parsed = parse(fixture!("ca-text.pem"));
    assert_eq!(parsed.value.content().bytes(), fixture!("ca.pem"));
    assert!(messages(&parsed).contains("lines of other text"));
}

#[test]
fn a_server_s_certificate_is_no_authority() {
    let mixed = joined(&[fixture!("ca.pem"), fixture!("server-self.pem")]);
    assert!(!parse(&mixed).value.contains_only_authorities());
}

#[test]
fn what_was_accepted_once_can_be_read_back_for_ever() {
    for pem in [fixture!("ca-expired.pem"), fixture!("ca-rsa1024.pem"), fixture!("ca-md5.pem")] {
        assert_eq!(CaBundle::from_stored(pem).unwrap().content().bytes(), pem);
    }
    assert_eq!(CaBundle::from_stored(b"junk").unwrap_err(), PemError::NoBlock.into());
}

/// No panic, no control character in a message; what is accepted reads back as itself, and another
/// reader of PEM finds the same certificates in it.
fn check(input: &[u8]) -> Result<(), TestCaseError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    match CaBundle::parse(input, now()) {
        Err(error) => {
            let message = format!("{error} ({})", error.cure());
            prop_assert!(!message.chars().any(char::is_control), "{message:?}");
        }
        Ok(parsed) => {
            let written = parsed.value.content().bytes();
            let mut found = Vec::new();
            for der in CertificateDer::pem_slice_iter(written) {
                found.push(Sha256Hex::of(der.unwrap().as_ref()));
            }
            let ours = parsed.value.certificates();
            prop_assert!(found.iter().eq(ours.iter().map(|ca| &ca.fingerprint)));
            prop_assert_eq!(CaBundle::from_stored(written).unwrap(), parsed.value);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(input: Vec<u8>) {
        check(&input)?;
    }

    /// Full padding, and no bits to spare.
    #[test]
    fn a_block_is_damaged_exactly_if_strict_base64_says_so(
        label in prop::sample::select(vec!["CERTIFICATE", "EC PRIVATE KEY", "X509 CRL", "PKCS7"]),
        lines in prop::collection::vec("[A-D+/=]{1,9}|[QRw]{3}=|[QRw]{2}==", 1..4),
    ) {
        use base64::Engine as _;
        let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", lines.join("\n"));
        let strict = base64::engine::general_purpose::STANDARD.decode(lines.concat()).ok();
        let read = pem::read(text.as_bytes());
        let ours = read.as_ref().ok().map(|document| document.blocks[0].der.to_vec());
        prop_assert_eq!(&ours, &strict);
        prop_assert!(strict.is_some() || matches!(read, Err(PemError::Damaged(1))));
    }

    #[test]
    fn no_damage_to_the_text_makes_it_panic(
        at: prop::sample::Index, byte: u8, cut: prop::sample::Index, insert: bool
    ) {
        let mut pem = joined(&[fixture!("ca-p256.pem"), fixture!("server-self.pem")]);
        let position = at.index(pem.len());
        if insert { pem.insert(position, byte) } else { pem[position] = byte }
        check(&pem)?;
        check(&pem[..cut.index(pem.len())])?;
    }

    #[test]
    fn no_damage_to_the_certificate_makes_it_panic(at: prop::sample::Index, byte: u8, more: prop::sample::Index, other: u8) {
        let mut der = fixture!("ca.der").to_vec();
        let (first, second) = (at.index(der.len()), more.index(der.len()));
        (der[first], der[second]) = (byte, other);
        check(pem::write("CERTIFICATE", &der).as_bytes())?;
    }
}
