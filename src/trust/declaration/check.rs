//! What contradicts what, where both halves are fine on their own.

use super::draft::{EntryDraft, Side, TrustWord};
use crate::trust::findings::{At, Findings};
use crate::trust::host::Scheme;
use crate::trust::toml_reader::Field;

/// What is wrong with one server, be it the registry or a mirror; `field` is where its address is.
pub(super) fn side(side: &Side, field: &str, findings: &mut Findings) {
    let Some(At { value: word, place }) = side.trust.given() else { return };
    let trust = format!("{}trust", field.trim_end_matches(|c| c != '.'));
    if *word == TrustWord::Ca && !side.ca.is_given() {
        *findings.error(*place, &trust, "`ca` needs a CA") =
            Some("add `ca_file`, or write \"system\" if its CA is publicly known".to_owned());
    }
    if *word != TrustWord::Ca && side.ca.is_given() {
        // It would look like verification and be none, or at least not this one.
        let message = format!("a CA is given, but `trust` is \"{}\"", word.as_str());
        *findings.error(side.ca.place, &side.ca.name, message) =
            Some("write `trust = \"ca\"`, or remove the CA".to_owned());
    }
    let scheme = side.address.value().and_then(|address| address.scheme);
    if (*word, scheme) == (TrustWord::Http, Some(Scheme::Https)) {
        *findings.error(
            *place,
            &trust,
            format!("\"http\" contradicts the `https://` in `{field}`"),
        ) = Some("write \"system\", \"ca\" or \"skip-verify\", or correct the address".to_owned());
    }
}

pub(super) fn entry(draft: &mut EntryDraft) {
    side(&draft.side, "host", &mut draft.findings);
    address(draft);
    client(draft);
    system_store(draft);
    let no_mirror = match &draft.mirrors {
        Field::Absent => true,
        Field::Bad => false,
        Field::Given(mirrors) => mirrors.value.is_empty(),
    };
    if let (Some(At { value: false, place }), true) = (draft.fallback.given(), no_mirror) {
        *draft.findings.error(*place, "fallback", "nothing could be pulled: there is no mirror") =
            Some("add a `[[registry.mirror]]`, or remove `fallback`".to_owned());
    }
}

/// People paste `http://` before TLS registries, and the address of a project instead of that of
/// the registry. Neither is worth refusing the entry.
fn address(draft: &mut EntryDraft) {
    let Some(At { value: address, place }) = draft.side.address.given() else { return };
    if !address.path.is_empty() {
        let message = format!("the path `{}` is not used", address.path);
        *draft.findings.warning(*place, "host", message) =
            Some("a registry is trusted as a whole; remove the path".to_owned());
    }
    let Some(word) = draft.side.trust.value() else { return };
    let tls = matches!(word, TrustWord::System | TrustWord::Ca | TrustWord::SkipVerify);
    if address.scheme == Some(Scheme::Http) && tls {
        let message = format!("`http://` is not heeded: `trust = \"{}\"` is TLS", word.as_str());
        *draft.findings.warning(*place, "host", message) =
            Some("remove it, or write `trust = \"http\"` if there is no TLS".to_owned());
    }
}

fn client(draft: &mut EntryDraft) {
    let (cert, key) = (&draft.client_cert, &draft.client_key);
    let findings = &mut draft.findings;
    match (cert.is_given(), key.is_given()) {
        (false, false) => return,
        (true, false) => {
            *findings.error(cert.place, &cert.name, "a client certificate needs its key") =
                Some("add `client_key_file`".to_owned());
        }
        (false, true) => {
            *findings.error(key.place, &key.name, "a client key needs its certificate") =
                Some("add `client_cert_file`".to_owned());
        }
        (true, true) => {}
    }
    let (place, name) =
        if cert.is_given() { (cert.place, &cert.name) } else { (key.place, &key.name) };
    match draft.side.trust.value() {
        Some(TrustWord::Http) => {
            *findings.error(place, name, "plain HTTP has no client certificates") =
                Some("remove the client pair, or choose a `trust` with TLS".to_owned());
        }
        // dockerd does not even open the directory of a registry that is in `insecure-registries`.
        Some(TrustWord::Insecure) => {
            *findings.error(place, name, "docker shows no certificate to an insecure registry") =
                Some("choose \"ca\" (every runtime) or \"skip-verify\" (containerd only)".into());
        }
        _ => {}
    }
}

fn system_store(draft: &mut EntryDraft) {
    let Field::Given(At { value: true, place }) = draft.system_store else { return };
    if draft.side.trust.value().is_some_and(|word| *word != TrustWord::Ca) {
        *draft.findings.error(place, "system_store", "there is no CA to put there") =
            Some("write `trust = \"ca\"` and give a CA, or remove it".to_owned());
    }
}
