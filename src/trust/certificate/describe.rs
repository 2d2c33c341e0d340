//! Certificates in the words of a diff.

use super::CaBundle;

/// A line for each certificate in `pem`; `None` where it holds something else.
pub fn describe(pem: &[u8]) -> Option<Vec<String>> {
    let bundle = CaBundle::from_stored(pem).ok()?;
    let line = |certificate: &super::CaCertificate| {
        format!(
            "certificate {}, until {}, sha256 {}…",
            certificate.subject,
            certificate.not_after.strftime("%F"),
            certificate.fingerprint.short()
        )
    };
    Some(bundle.certificates().iter().map(line).collect())
}
