//! From TOML to drafts: types, words and single values. What contradicts what is for `check`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::draft::{EntryDraft, MirrorDraft, Side, TrustWord};
use super::pem::{self, PemField};
use super::{LONGEST_REASON, MOST_MIRRORS, words};
use crate::path::NodePath;
use crate::trust::findings::{At, Findings, Place, holds_pem};
use crate::trust::host::{Address, HostError};
use crate::trust::toml_reader::{Field, Fields, word};

const REGISTRY: [&str; 14] = [
    "host",
    "trust",
    "ca",
    "ca_file",
    "client_cert",
    "client_cert_file",
    "client_key",
    "client_key_file",
    "system_store",
    "reason",
    "until",
    "runtimes",
    "fallback",
    "mirror",
];
const MIRROR: [&str; 5] = ["url", "trust", "ca", "ca_file", "capabilities"];

pub(super) fn entries(
    top: Fields<'_>,
    file: &NodePath,
    findings: &mut Findings,
) -> Vec<EntryDraft> {
    top.refuse_unknown(&["registry"], findings);
    let tables = top.tables("registry", "registry", "", findings);
    let tables = tables.value().map(Vec::as_slice).unwrap_or_default();
    let of = findings.file();
    tables.iter().map(|fields| entry(fields, file, of)).collect()
}

fn entry(fields: &Fields<'_>, file: &NodePath, of: &Arc<str>) -> EntryDraft {
    let mut findings = Findings::new(Arc::clone(of));
    let found = &mut findings;
    fields.refuse_unknown_but(&REGISTRY, belongs_to_mirror, found);
    EntryDraft {
        side: registry(fields, file, found),
        client_cert: PemField::read(fields, &pem::CLIENT_CERT, file, found),
        client_key: PemField::read(fields, &pem::CLIENT_KEY, file, found),
        system_store: fields.boolean("system_store", found),
        reason: reason(fields, found),
        until: fields.timestamp("until", found),
        runtimes: words(fields, "runtimes", &words::RUNTIMES, found),
        fallback: fields.boolean("fallback", found),
        mirrors: mirrors(fields, file, found),
        repeats: false,
        findings,
    }
}

fn registry(fields: &Fields<'_>, file: &NodePath, findings: &mut Findings) -> Side {
    let ca = PemField::read(fields, &pem::CA, file, findings);
    let trust = trust(fields, findings);
    if trust.is_absent() {
        let cure = if ca.is_given() {
            "add `trust = \"ca\"`"
        } else {
            "add `trust = \"system\"`, \"ca\", \"skip-verify\", \"http\" or \"insecure\""
        };
        *findings.error(fields.place(), &fields.name("trust"), "is missing") = Some(cure.into());
    }
    let address = address(fields, "host", Address::parse, findings);
    if address.is_absent() {
        *findings.error(fields.place(), &fields.name("host"), "is missing") =
            Some("add the registry's name, such as `host = \"harbor.corp:8443\"`".into());
    }
    Side { place: fields.place(), address, trust, ca }
}

fn mirrors(
    fields: &Fields<'_>,
    file: &NodePath,
    findings: &mut Findings,
) -> Field<Vec<MirrorDraft>> {
    let tables = fields.tables("mirror", "registry.mirror", "mirror.", findings);
    tables.and_then(|At { value: tables, place }| {
        if tables.len() > MOST_MIRRORS {
            let message = format!("there are {}, more than {MOST_MIRRORS}", tables.len());
            *findings.error(place, "mirror", message) =
                Some("a pull waits for each of them in turn; keep the nearest".into());
            return None;
        }
        let value = tables.iter().map(|fields| mirror(fields, file, findings)).collect();
        Some(At { value, place })
    })
}

fn mirror(fields: &Fields<'_>, file: &NodePath, findings: &mut Findings) -> MirrorDraft {
    fields.refuse_unknown_but(&MIRROR, belongs_to_registry, findings);
    let trust = match trust(fields, findings) {
        Field::Absent => Field::Given(At { value: TrustWord::System, place: fields.place() }),
        given => given,
    };
    let address = address(fields, "url", Address::parse_mirror, findings);
    if address.is_absent() {
        *findings.error(fields.place(), &fields.name("url"), "is missing") =
            Some("add where it lies, such as `url = \"https://mirror.corp/v2/proxy\"`".into());
    }
    let ca = PemField::read(fields, &pem::CA, file, findings);
    let side = Side { place: fields.place(), address, trust, ca };
    let capabilities = words(fields, "capabilities", &words::CAPABILITIES, findings);
    MirrorDraft { side, capabilities }
}

/// TOML gives every key after `[[registry.mirror]]` to the mirror, however far it is indented.
fn belongs_to_registry(key: &str) -> Option<(String, String)> {
    let cure = "if it is meant for the registry, move it above the first `[[registry.mirror]]`";
    let is = REGISTRY.contains(&key);
    is.then(|| (format!("`{key}` is a key of `[[registry]]`, not of a mirror"), cure.to_owned()))
}

fn belongs_to_mirror(key: &str) -> Option<(String, String)> {
    let cure = "a registry has a `host`; mirrors follow it, each below `[[registry.mirror]]`";
    let is = MIRROR.contains(&key);
    is.then(|| (format!("`{key}` is a key of `[[registry.mirror]]`"), cure.to_owned()))
}

fn trust(fields: &Fields<'_>, findings: &mut Findings) -> Field<TrustWord> {
    let text = fields.string("trust", findings);
    text.and_then(|at| word(at, &fields.named("trust"), &words::TRUST, findings))
}

fn address(
    fields: &Fields<'_>,
    key: &str,
    parse: fn(&str) -> Result<Address, HostError>,
    findings: &mut Findings,
) -> Field<Address> {
    let text = fields.string(key, findings);
    text.and_then(|At { value, place }| {
        if holds_pem(value) {
            findings.error(place, &fields.name(key), "holds PEM text");
            return None;
        }
        match parse(value) {
            Ok(value) => Some(At { value, place }),
            Err(error) => {
                *findings.error(place, &fields.name(key), error.message()) = Some(error.cure());
                None
            }
        }
    })
}

fn reason(fields: &Fields<'_>, findings: &mut Findings) -> Field<String> {
    let text = fields.string("reason", findings);
    text.and_then(|At { value, place }| {
        let length = value.chars().count();
        let fault = if value.trim().is_empty() {
            "is empty".to_owned()
        } else if length > LONGEST_REASON {
            format!("has {length} characters, more than {LONGEST_REASON}")
        } else if holds_pem(value) {
            "holds PEM text".to_owned()
        } else if let Some(control) = value.chars().find(|c| c.is_control()) {
            format!("contains the control character {}", control.escape_unicode())
        } else {
            return Some(At { value: value.to_owned(), place });
        };
        *findings.error(place, &fields.name("reason"), fault) =
            Some("say in one line why this is needed; it is shown in status".to_owned());
        None
    })
}

/// A list of words; saying one twice changes nothing.
fn words<T: Copy + Ord>(
    fields: &Fields<'_>,
    key: &'static str,
    known: &[(&str, T)],
    findings: &mut Findings,
) -> Field<BTreeSet<T>> {
    let name = fields.named(key);
    let list = fields.strings(key, findings);
    list.and_then(|At { value: list, place }| {
        if list.is_empty() {
            refuse_empty(place, &name, findings);
            return None;
        }
        let meant: Vec<Option<At<T>>> =
            list.into_iter().map(|at| word(at, &name, known, findings)).collect();
        let value = meant.into_iter().map(|at| at.map(|at| at.value)).collect::<Option<_>>()?;
        Some(At { value, place })
    })
}

fn refuse_empty(place: Place, name: &str, findings: &mut Findings) {
    *findings.error(place, name, "is empty") =
        Some("leave it out for the default, or name at least one".to_owned());
}
