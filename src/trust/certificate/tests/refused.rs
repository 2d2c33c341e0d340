//! What is refused, each with its own message.

use super::*;

/// A word of each private key fixture's base64; no message may repeat any of it.
fn key_words() -> Vec<String> {
    [fixture!("client.key"), fixture!("client-ec.key"), fixture!("client-pkcs1.key")]
        .iter()
        .flat_map(|key| std::str::from_utf8(key).unwrap().lines())
        .filter(|line| !line.starts_with('-'))
        .flat_map(|line| [line[..12].to_owned(), line[line.len() - 12..].to_owned()])
        .collect()
}

fn check(table: &[(&str, Vec<u8>, &str)]) {
    let words = key_words();
    for (name, input, expected) in table {
        let error = CaBundle::parse(input, now()).expect_err(name);
        let message = format!("{error} ({})", error.cure());
        assert!(message.contains(expected), "{name} gave: {message}");
        assert!(!message.chars().any(char::is_control), "{name}: {message:?}");
        let all = format!("{message}{error:?}");
        assert!(!words.iter().any(|word| all.contains(word)), "{name} tells of a key");
    }
}

fn text(pem: &[u8]) -> String {
    std::str::from_utf8(pem).unwrap().to_owned()
}

#[test]
fn certificates_that_cannot_do_their_work_are_refused() {
    check(&[
        (
            "expired",
            fixture!("ca-expired.pem").into(),
            "no certificate is valid any more: certificate 1 (`CN=Expired Root`) expired at 2021-01-01T00:00:00Z; it is now 2026",
        ),
        (
            "to come",
            fixture!("ca-not-yet.pem").into(),
            "no certificate is valid yet: certificate 1 (`CN=Future Root`) is not valid before 2090-01-01T00:00:00Z; it is now 2026",
        ),
        (
            "gone and to come",
            joined(&[fixture!("ca-expired.pem"), fixture!("ca-not-yet.pem")]),
            "no certificate is valid now: certificate 1 (`CN=Expired Root`) expired at 2021-01-01T00:00:00Z, certificate 2 (`CN=Future Root`) is not valid before",
        ),
        ("version 1", fixture!("ca-version-1.pem").into(), "is of X.509 version 1"),
        ("MD5", fixture!("ca-md5.pem").into(), "is signed with MD5"),
        (
            "SHA-1",
            fixture!("ca-sha1-issued.pem").into(),
            "`CN=SHA-1 Intermediate`) is signed with SHA-1",
        ),
        ("SHA-224", fixture!("ca-sha224-issued.pem").into(), "do not know (1.2.840.113549.1.1.14)"),
        ("RSA 1024", fixture!("ca-rsa1024.pem").into(), "RSA key of 1024 bits"),
        ("RSA 8448", fixture!("ca-rsa8448.pem").into(), "RSA key of 8448 bits"),
        ("RSA-PSS", fixture!("ca-rsapss.pem").into(), "do not know (RSA-PSS)"),
        ("DSA", fixture!("ca-dsa.pem").into(), "do not know (DSA)"),
        ("Ed448", fixture!("ca-ed448.pem").into(), "do not know (Ed448)"),
        ("P-224", fixture!("ca-p224.pem").into(), "do not know (P-224)"),
        ("secp256k1", fixture!("ca-secp256k1.pem").into(), "do not know (secp256k1)"),
        ("no keyCertSign", fixture!("ca-no-cert-sign.pem").into(), "key usage forbids it to sign"),
        (
            "CA for clients",
            fixture!("ca-client-usage.pem").into(),
            "extended key usage excludes servers",
        ),
        ("critical", fixture!("ca-unknown-critical.pem").into(), "critical extension 1.2.3.4"),
        (
            "constraint",
            fixture!("ca-constrained-directory.pem").into(),
            "critical extension 2.5.29.30",
        ),
        ("bad SAN", fixture!("ca-bad-san.pem").into(), "malformed extension 2.5.29.17"),
        ("bad usage", fixture!("ca-bad-usage.pem").into(), "malformed extension 2.5.29.15"),
        ("no SAN", fixture!("server-no-san.pem").into(), "without a subjectAltName"),
        ("SAN of no server", fixture!("server-empty-san.pem").into(), "without a subjectAltName"),
        (
            "code signing",
            fixture!("server-code-signing.pem").into(),
            "does not allow it to be a server either",
        ),
        ("a client's", fixture!("client.pem").into(), "is a client's certificate"),
        (
            "one bad of two",
            joined(&[fixture!("ca.pem"), fixture!("ca-md5.pem")]),
            "certificate 2 (`CN=MD5 Root`) is signed with MD5",
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_is_no_pem_of_certificates_is_refused() {
    let ca = text(fixture!("ca.pem"));
    let lines: Vec<&str> = ca.lines().collect();
    let without_line = |at: usize| [&lines[..at], &lines[at + 1..]].concat().join("\n");
    let utf16: Vec<u8> =
        [0xfeff].into_iter().chain(ca.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    check(&[
        ("nothing", vec![], "it is empty"),
        ("white space", b" \r\n\t".to_vec(), "it is empty"),
        ("garbage", b"garbage".to_vec(), "holds no PEM block"),
        ("a path", b"/etc/ssl/ca.crt".to_vec(), "holds no PEM block"),
        ("DER", fixture!("ca.der").into(), "openssl x509 -inform DER -in FILE"),
        ("PKCS#12", fixture!("client.p12").into(), "PKCS#12 container"),
        ("DER key", fixture!("client-ec-key.der").into(), "private key in binary form"),
        ("UTF-16", utf16, "UTF-16"),
        (
            "base64 of PEM",
            b"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSQ==".to_vec(),
            "PEM inside base64",
        ),
        ("JSON", ca.trim().replace('\n', "\\n").into_bytes(), "the two characters `\\n`"),
        (
            "one line",
            ca.trim().replace('\n', " ").into_bytes(),
            "line 1: `BEGIN` and `END` must stand alone",
        ),
        ("prefix", format!("ca: {ca}").into_bytes(), "line 1: `BEGIN` and `END` must stand alone"),
        (
            "four hyphens",
            ca.replace("-----", "----").into_bytes(),
            "line 1: `BEGIN` and `END` must stand alone",
        ),
        ("lower case", ca.replace("CERTIFICATE", "certificate").into_bytes(), "must stand alone"),
        ("no BEGIN", without_line(0).into_bytes(), "a block ends that never began"),
        (
            "no END",
            without_line(lines.len() - 1).into_bytes(),
            "line 1: the block `CERTIFICATE` has no end",
        ),
        (
            "two BEGINs",
            joined(&[lines[0].as_bytes(), b"\n", ca.as_bytes()]),
            "line 1: the block `CERTIFICATE` has no end",
        ),
        (
            "other END",
            ca.replace("END CERTIFICATE", "END PKCS7").into_bytes(),
            "ends as another kind",
        ),
        ("a line lost", without_line(4).into_bytes(), "line 1: what the block holds is no X.509"),
        (
            "characters lost",
            ca.replacen("MII", "MI", 1).into_bytes(),
            "line 1: the base64 of this block is cut off",
        ),
        (
            "other characters",
            ca.replacen("MII", "M…I", 1).into_bytes(),
            "line 2: this is not base64",
        ),
        (
            "empty block",
            b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_vec(),
            "line 1: the block is empty",
        ),
        (
            "headers",
            ca.replacen('\n', "\nX-Note: hello\n\n", 1).into_bytes(),
            "line 1: the block has header lines",
        ),
        (
            "not a certificate",
            pem::write("CERTIFICATE", b"0\x03\x0c\x01x").into_bytes(),
            "is no X.509 certificate",
        ),
        (
            "trailing bytes",
            pem::write("CERTIFICATE", &joined(&[fixture!("ca.der"), b"\0"])).into_bytes(),
            "more bytes follow",
        ),
        (
            "a request",
            fixture!("client.csr.pem").into(),
            "`CERTIFICATE REQUEST`, and only `CERTIFICATE` may stand here (a request is not yet",
        ),
        ("trusted", fixture!("ca-trusted.pem").into(), "a `TRUSTED CERTIFICATE`"),
        ("PKCS#7", fixture!("ca.p7b").into(), "openssl pkcs7 -print_certs"),
        (
            "a CRL",
            joined(&[ca.as_bytes(), fixture!("ca.crl.pem")]),
            "a `X509 CRL`, and only `CERTIFICATE` may stand here (leave this",
        ),
        ("too many", ca.repeat(65).into_bytes(), "more than 64 certificates"),
        ("too large", vec![b'#'; (256 << 10) + 1], "it has 262145 bytes"),
    ]);
}

#[test]
fn a_private_key_is_refused_in_every_form_and_never_shown() {
    let ca = fixture!("ca.pem");
    let expected =
        "it holds a private key, which must not stand beside certificates (remove it; whoever";
    let openssh =
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r\n-----END OPENSSH PRIVATE KEY-----\n";
    let pgp = b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQdGBF\n";
    let cut = &fixture!("client.key")[..200];
    let mislabelled =
        pem::write("CERTIFICATE", &pem::read(fixture!("client.key")).unwrap().blocks[0].der);
    let escaped = text(fixture!("client.key")).replace('\n', "\\n");
    check(&[
        ("PKCS#8", fixture!("client.key").into(), expected),
        ("after a CA", joined(&[ca, fixture!("client.key")]), expected),
        ("before a CA", joined(&[fixture!("client-ec.key"), ca]), expected),
        ("PKCS#1", fixture!("client-pkcs1.key").into(), expected),
        ("SEC1", fixture!("client-sec1.key").into(), expected),
        ("encrypted", fixture!("client-encrypted.key").into(), expected),
        ("encrypted PKCS#1", fixture!("client-encrypted-pkcs1.key").into(), expected),
        ("OpenSSH", openssh.to_vec(), expected),
        ("PGP", pgp.to_vec(), expected),
        ("cut off", joined(&[ca, cut]), expected),
        ("called a certificate", mislabelled.into_bytes(), expected),
        ("in JSON", escaped.into_bytes(), expected),
    ]);
}

#[test]
fn certificates_that_go_would_leave_out_are_refused() {
    let ca = fixture!("ca.der");
    let outer = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
    let at = ca.windows(outer.len()).rposition(|window| window == outer).unwrap();
    let mut mismatch = ca.to_vec();
    mismatch[at + 8] = 12; // sha384WithRSAEncryption outside, sha256 inside

    let version_and_serial = [0xa0, 3, 2, 1, 2, 2, 20];
    let at = ca.windows(7).position(|window| window == version_and_serial).unwrap();
    let mut negative = ca.to_vec();
    negative[at + 7] |= 0x80;
    check(&[
        ("mismatch", pem::write("CERTIFICATE", &mismatch).into(), "two different signature"),
        ("negative", pem::write("CERTIFICATE", &negative).into(), "negative serial number"),
    ]);
}

#[test]
fn the_time_is_told_in_seconds() {
    let now: Timestamp = "2026-06-01T00:00:00.123456789Z".parse().unwrap();
    let error = CaBundle::parse(fixture!("ca-expired.pem"), now).unwrap_err();
    assert!(error.to_string().ends_with("it is now 2026-06-01T00:00:00Z"), "{error}");
}
