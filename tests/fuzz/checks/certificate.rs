//! Certificates and keys, as PEM and as the DER inside it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use regtrust::content::Sha256Hex;
use regtrust::trust::certificate::{CaBundle, CertError, ClientPair};

use super::assert_printable;

const CERTIFICATE: &[u8] = include_bytes!("../../fixtures/certs/client-ec.pem");
const KEY: &[u8] = include_bytes!("../../fixtures/certs/client-ec.key");
/// 2026-06-01.
const NOW: i64 = 1_780_272_000;

pub fn check(data: &[u8]) {
    let Ok(now) = Timestamp::from_second(NOW) else { return };
    let stored = CaBundle::from_stored(data);
    match CaBundle::parse(data, now) {
        Ok(parsed) => {
            for advice in &parsed.warnings {
                assert_printable(&advice.message);
            }
            let written = parsed.value.content().bytes();
            assert_eq!(CaBundle::from_stored(written).as_ref(), Ok(&parsed.value));
            assert!(stored.is_ok(), "what is accepted can be read back");
        }
        Err(error) => check_error(&error, data),
    }
    for (certificate, key) in [(CERTIFICATE, data), (data, KEY)] {
        match ClientPair::parse(certificate, key, now) {
            Ok(parsed) => check_pair(&parsed.value),
            Err(error) => check_error(&error, data),
        }
    }
}

pub fn check_der(der: &[u8]) {
    let pem = block("CERTIFICATE", der);
    if let Ok(bundle) = CaBundle::from_stored(pem.as_bytes()) {
        let found: Vec<_> = bundle.certificates().iter().map(|ca| ca.fingerprint).collect();
        assert_eq!(found, [Sha256Hex::of(der)]);
        assert_eq!(bundle.content().bytes(), pem.as_bytes());
        bundle.certificates().iter().for_each(|ca| assert_printable(&ca.subject));
    }
    check(pem.as_bytes());
    for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
        match ClientPair::from_stored(CERTIFICATE, block(label, der).as_bytes()) {
            Ok(pair) => check_pair(&pair),
            Err(error) => check_error(&error, block(label, der).as_bytes()),
        }
    }
}

fn check_pair(pair: &ClientPair) {
    assert!(pair.key.is_secret());
    let again = ClientPair::from_stored(pair.certificate.bytes(), pair.key.bytes());
    assert_eq!(again.as_ref(), Ok(pair));
}

/// No message shows a line of what may be a key: of base64, which a label in capitals is not.
fn check_error(error: &CertError, input: &[u8]) {
    assert_printable(error);
    let shown = format!("{error}\n{error:?}");
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let lines = input.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| line.len() >= 24 && line.iter().copied().all(is_base64)) {
        let line = String::from_utf8_lossy(line);
        let may_be_label = !line.contains(char::is_lowercase);
        assert!(may_be_label || !shown.contains(&*line), "{shown}");
    }
}

fn block(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    for chunk in der.chunks(48) {
        STANDARD.encode_string(chunk, &mut pem);
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}
