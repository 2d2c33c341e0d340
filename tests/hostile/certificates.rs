//! CAs and client pairs that the distributions' own tools would have copied as they are.

use super::Case;
use crate::common::{CANARY, Node, fixture, fixture_text};

const REFUSED: [(&str, &str); 24] = [
    ("ca-md5.pem", "is signed with MD5"),
    ("ca-rsa1024.pem", "an RSA key of 1024 bits"),
    ("ca-rsa8448.pem", "an RSA key of 8448 bits"),
    ("ca-dsa.pem", "a kind that the runtimes do not know"),
    ("ca-p224.pem", "a kind that the runtimes do not know"),
    ("ca-secp256k1.pem", "a kind that the runtimes do not know"),
    ("ca-ed448.pem", "a kind that the runtimes do not know"),
    ("ca-sha1-issued.pem", "is signed with SHA-1"),
    ("ca-expired.pem", "valid any more"),
    ("ca-not-yet.pem", "valid yet"),
    ("ca-version-1.pem", "is of X.509 version 1"),
    ("ca-no-cert-sign.pem", "forbids it to sign certificates"),
    ("ca-client-usage.pem", "excludes servers"),
    ("ca-unknown-critical.pem", "so the runtimes would leave it out"),
    ("ca-bad-san.pem", "so the runtimes would leave it out"),
    ("ca-trusted.pem", "the block is a `TRUSTED CERTIFICATE`"),
    ("ca.crl.pem", "the block is a `X509 CRL`"),
    ("ca.p7b", "the block is a `PKCS7`"),
    ("client.csr.pem", "the block is a `CERTIFICATE REQUEST`"),
    ("client.pem", "is a client's certificate"),
    ("client.key", "it holds a private key"),
    ("client-ec-key.der", "private key in binary form"),
    ("client.p12", "PKCS#12"),
    ("server-no-san.pem", "without a subjectAltName"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        REFUSED.iter().map(|(name, says)| ca(format!("CA {name}"), says, fixture(name))).collect();
    cases.extend(
        texts().into_iter().map(|(name, says, text)| ca(format!("CA: {name}"), says, text)),
    );
    cases.extend(pairs());
    cases
}

fn ca(name: String, says: &str, pem: Vec<u8>) -> Case {
    Case::wrong(name, says, move |node| {
        node.file("etc/regtrust/registries.d/it.pem", &pem).declare(
            "[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"it.pem\"\n",
        );
    })
}

fn texts() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (ca, key) = (fixture_text("ca.pem"), fixture_text("client.key"));
    let torn = ca.get(..ca.len() / 2).unwrap().to_owned();
    let relabelled = key.replace("PRIVATE KEY", "CERTIFICATE");
    let broken_key = key.replace("-----END PRIVATE KEY-----", "");
    let escape = format!("-----BEGIN \u{1b}[2J{CANARY}-----\n{ca}");
    vec![
        ("empty", "it is empty", Vec::new()),
        ("garbage", "it holds no PEM block", b"garbage\n".to_vec()),
        ("zeros", "it holds no PEM block", vec![0; 4096]),
        ("not UTF-8", "it holds no PEM block", vec![0xfe, 0x80, 0xc3, 0x28]),
        ("UTF-16", "UTF-16", utf16(&ca)),
        ("torn", "has no end", torn.into_bytes()),
        ("a key behind it", "it holds a private key", (ca.clone() + &key).into_bytes()),
        ("a key before it", "it holds a private key", (key + &ca).into_bytes()),
        ("a key under another label", "it holds a private key", relabelled.into_bytes()),
        ("a key without its end", "it holds a private key", broken_key.into_bytes()),
        ("an escape in a label", "line 1: `BEGIN` and `END`", escape.into_bytes()),
        ("65 certificates", "more than 64 certificates", ca.repeat(65).into_bytes()),
        ("257 KiB", "at most 262144", vec![b'#'; 257 << 10]),
        ("20 MiB", "at most 262144", vec![b'#'; 20 << 20]),
        ("escaped newlines", "the two characters", ca.replace('\n', "\\n").into_bytes()),
        ("base64 of it", "PEM inside base64", base64(&ca)),
    ]
}

fn utf16(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    [0xff, 0xfe].into_iter().chain(units).collect()
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text).into_bytes()
}

fn pairs() -> Vec<Case> {
    let pair = |name: &'static str, says, certificate: &'static str, key: &'static str| {
        Case::wrong(name, says, move |node: &Node| {
            let text = format!(
                "[[registry]]\nhost = \"harbor.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n\
                 client_cert_file = \"{certificate}\"\nclient_key_file = \"{key}\"\n"
            );
            node.certificate("ca.pem").certificate(certificate).certificate(key).declare(&text);
        })
    };
    vec![
        pair("a key of another", "the key does not belong", "client.pem", "client-ec.key"),
        pair("a key with a passphrase", "by a passphrase", "client.pem", "client-encrypted.key"),
        pair("an old passphrase", "by a passphrase", "client.pem", "client-encrypted-pkcs1.key"),
        pair(
            "a key in place of the certificate",
            "holds a private key",
            "client.key",
            "client.key",
        ),
        pair("a certificate in place of the key", "only a private key", "client.pem", "client.pem"),
        pair("an expired pair", "valid any more", "client-expired.pem", "client.key"),
        pair(
            "a server's pair",
            "may not be used by clients",
            "client-server-usage.pem",
            "client.key",
        ),
        pair("P-521", "damaged, or not", "client-p521.pem", "client-p521.key"),
    ]
}
