//! From drafts to entries, once the files they refer to have been read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use super::draft::{Draft, EntryDraft, Side, TrustWord};
use super::pem::PemField;
use super::{Declarations, LOCAL, Loaded, Unusable, check, mirror};
use crate::trust::certificate::{CertError, ClientPair, Parsed};
use crate::trust::certificate_cache::CertificateCache;
use crate::trust::entry::{Entry, Origin, Trust};
use crate::trust::findings::{At, Findings, Place};
use crate::trust::host::{Address, RegistryHost};

/// What an entry depends on besides its own text.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) certificates: &'a mut CertificateCache,
}

impl Draft {
    /// Checks every entry as a whole. `loaded` has an answer for each of [`Draft::references`].
    pub fn complete(self, loaded: &Loaded, certificates: &mut CertificateCache) -> Declarations {
        let mut around = Surroundings { loaded, certificates };
        let broken = self.findings.first_error().is_some();
        let file = Arc::clone(self.findings.file());
        let problems = self.findings.into_problems(None);
        let mut declarations =
            Declarations { file: file.to_string(), broken, problems, ..Declarations::default() };
        let of = Origin { owner: LOCAL.into(), file, line: 0 };
        let mut lines = BTreeMap::new();
        for mut draft in self.entries {
            refuse_second(&mut draft, &mut lines);
            declarations.add(draft, &mut around, &of);
        }
        declarations
    }
}

/// One file says one thing of a host. Which of two was meant is not for us to guess, so the first
/// stands, because that is what was in force when the second was added.
fn refuse_second(draft: &mut EntryDraft, lines: &mut BTreeMap<RegistryHost, usize>) {
    let Some(At { value: address, place }) = draft.side.address.given() else { return };
    match lines.entry(address.host.clone()) {
        Slot::Vacant(slot) => {
            slot.insert(draft.side.place.line);
        }
        Slot::Occupied(first) => {
            let message = format!("`{}` is declared already in line {}", address.host, first.get());
            *draft.findings.error(*place, "host", message) = Some("remove one of the two".into());
            draft.repeats = true;
        }
    }
}

impl Declarations {
    fn add(&mut self, mut draft: EntryDraft, around: &mut Surroundings<'_>, of: &Origin) {
        let host = draft.side.address.value().map(|address| address.host.clone());
        let origin = Origin { line: draft.side.place.line, ..of.clone() };
        let repeats = draft.repeats;
        let entry = complete(&mut draft, origin.clone(), around);
        let error = draft.findings.first_error().cloned();
        self.problems.extend(draft.findings.into_problems(host.as_ref()));
        match (entry, error, host) {
            (Some(entry), None, _) => self.entries.push(Arc::new(entry)),
            _ if repeats => {}
            (_, Some(mut problem), Some(host)) => {
                problem.host = Some(host.clone());
                self.unusable.push(Unusable { host, origin, problem });
            }
            // Which registry was meant cannot be told, so any that is missing may be the one.
            _ => self.broken = true,
        }
    }
}

/// The entry; only to be used if `draft.findings` has no error then.
fn complete(
    draft: &mut EntryDraft,
    origin: Origin,
    around: &mut Surroundings<'_>,
) -> Option<Entry> {
    check::entry(draft);
    let findings = &mut draft.findings;
    let host = draft.side.address.value().map(|address: &Address| address.host.clone());
    let trust = trust(&draft.side, around, findings);
    let client = client(&draft.client_cert, &draft.client_key, around, findings);
    let mirrors = draft.mirrors.value().map(Vec::as_slice).unwrap_or_default();
    let mirrors = mirror::complete(mirrors, host.as_ref(), around, findings);
    let system_store = draft.system_store.given().copied();
    if let (Some(trust), Some(At { value: true, place })) = (&trust, system_store) {
        refuse_pinned(trust, place, findings);
    }
    Some(Entry {
        host: host?,
        trust: trust?,
        client,
        system_store: system_store.is_some_and(|at| at.value),
        reason: draft.reason.value().cloned(),
        until: draft.until.value().copied(),
        runtimes: draft.runtimes.value().cloned(),
        mirrors,
        fallback: draft.fallback.value().copied().unwrap_or(true),
        origin,
    })
}

/// Go believes a server's own certificate when it meets exactly that one, other TLS libraries do
/// not, and the tools that build the store drop or keep it as they please.
fn refuse_pinned(trust: &Trust, place: Place, findings: &mut Findings) {
    if trust.ca().is_some_and(|bundle| !bundle.contains_only_authorities()) {
        let message = "a server's own certificate is no CA that a whole machine could trust";
        *findings.error(place, "system_store", message) =
            Some("remove it, or give the CA that signed the certificate".to_owned());
    }
}

/// How far a server is believed; `None`, with a problem reported, if that cannot be told.
pub(super) fn trust(
    side: &Side,
    around: &mut Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Trust> {
    Some(match side.trust.value()? {
        TrustWord::System => Trust::System,
        TrustWord::SkipVerify => Trust::SkipVerify,
        TrustWord::Http => Trust::Http,
        TrustWord::Insecure => Trust::Insecure,
        TrustWord::Ca => {
            let pem = side.ca.content(around.loaded, findings)?;
            Trust::Ca(judged(around.certificates.bundle(pem), &side.ca, findings)?)
        }
    })
}

fn client(
    certificate: &PemField,
    key: &PemField,
    around: &mut Surroundings<'_>,
    findings: &mut Findings,
) -> Option<ClientPair> {
    // Both are looked at, so that one message does not hide the other.
    let pem = certificate.content(around.loaded, findings);
    let key = key.content(around.loaded, findings);
    judged(around.certificates.pair(pem?, key?), certificate, findings)
}

fn judged<T: Clone>(
    parsed: &Result<Parsed<T>, CertError>,
    field: &PemField,
    findings: &mut Findings,
) -> Option<T> {
    match parsed {
        Ok(parsed) => {
            for warning in &parsed.warnings {
                *findings.warning(field.place, &field.name, &warning.message) =
                    Some(warning.cure.clone());
            }
            Some(parsed.value.clone())
        }
        Err(error) => {
            *findings.error(field.place, &field.name, error.to_string()) =
                Some(error.cure().to_owned());
            None
        }
    }
}
