//! The CAs that every program on the node trusts: one file per certificate in the distribution's
//! own directory, and its own tool to make the bundle from them.
//!
//! One certificate per file, because Debian's tool makes no hash link for a file with two, so
//! programs that look CAs up by hash (OpenSSL's directory lookup) would miss both. The tool checks
//! nothing: given a private key it publishes the key in a bundle that everybody can read. So what
//! goes in is re-encoded from certificates that were parsed, and never a file as somebody sent it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Believer, Conflict, Item, Items, Target, WantedFile, Wants};
use crate::content::{Content, Sha256Hex};
use crate::ledger::OwnedFile;
use crate::observed::{CaLayout, Files, Found};
use crate::path::NodePath;
use crate::trust::certificate::{CaBundle, CaCertificate};
use crate::trust::entry::Entry;

#[cfg(test)]
mod tests;

/// A distribution's program that makes the bundle.
#[derive(Debug, PartialEq, Eq)]
pub struct CaTool {
    pub name: &'static str,
    pub argv: &'static [&'static str],
    /// After a certificate was taken away. Debian's tool otherwise leaves dead links behind.
    pub argv_after_removal: &'static [&'static str],
}

const UPDATE_CA_CERTIFICATES: CaTool = CaTool {
    name: "update-ca-certificates",
    argv: &["/usr/sbin/update-ca-certificates"],
    argv_after_removal: &["/usr/sbin/update-ca-certificates", "--fresh"],
};

const SUSE: CaTool =
    CaTool { argv_after_removal: UPDATE_CA_CERTIFICATES.argv, ..UPDATE_CA_CERTIFICATES };

const UPDATE_CA_TRUST_EXTRACT: CaTool = CaTool {
    name: "update-ca-trust",
    argv: &["/usr/bin/update-ca-trust", "extract"],
    argv_after_removal: &["/usr/bin/update-ca-trust", "extract"],
};

/// Arch's is a script of its own that takes no argument.
const UPDATE_CA_TRUST: CaTool = CaTool {
    name: "update-ca-trust",
    argv: &["/usr/bin/update-ca-trust"],
    argv_after_removal: &["/usr/bin/update-ca-trust"],
};

pub fn tool(layout: CaLayout) -> &'static CaTool {
    match layout {
        CaLayout::Debian | CaLayout::Alpine => &UPDATE_CA_CERTIFICATES,
        CaLayout::Suse => &SUSE,
        CaLayout::Redhat => &UPDATE_CA_TRUST_EXTRACT,
        CaLayout::Arch => &UPDATE_CA_TRUST,
    }
}

/// What the entries with `system_store` need in the system store.
///
/// `leaving` are those of ours that the bundle may still have although their files are gone.
pub fn want(
    entries: &[&Entry],
    layout: Option<CaLayout>,
    files: &Files,
    owned: &BTreeMap<NodePath, OwnedFile>,
    leaving: &BTreeSet<String>,
) -> Wants {
    let mut wants = Wants::default();
    let mut wanted: BTreeMap<NodePath, WantedFile> = BTreeMap::new();
    let theirs = layout.map(|layout| foreign(layout, files, owned, leaving)).unwrap_or_default();
    let unknown = layout.and_then(|layout| unreadable(layout, files, owned));
    for entry in entries.iter().filter(|entry| entry.system_store) {
        let item = Item { host: entry.host.clone(), on: Believer::System };
        let Some(layout) = layout else {
            wants.note(
                &item,
                "how this system keeps the CAs that every program trusts is not known, so this CA \
                 is not added to them",
            );
            wants.inexpressible.insert(item);
            continue;
        };
        for certificate in entry.trust.ca().into_iter().flat_map(CaBundle::certificates) {
            let path = layout.anchors().join(&file_name(certificate));
            // A file of ours stays even beside theirs: withdrawing it because of them, and adding
            // it again when they go, would be two runs of the tool for nothing.
            if let Some(theirs) = theirs.get(&certificate.fingerprint)
                && !owned.contains_key(&path)
            {
                let subject = &certificate.subject;
                wants.note(&item, format!("`{theirs}` already makes the system trust {subject}"));
                continue;
            }
            if let Some((at, error)) = &unknown
                && !owned.contains_key(&path)
            {
                wants.conflicts.push(may_add_it_too(&item, at, error));
                continue;
            }
            let file = wanted.entry(path.clone()).or_insert_with(|| wanted_file(path, certificate));
            file.items.insert(item.clone());
        }
    }
    wants.files = wanted.into_values().collect();
    wants
}

fn may_add_it_too(item: &Item, path: &NodePath, error: &str) -> Conflict {
    Conflict {
        target: Target::SystemCa,
        path: path.to_string(),
        items: BTreeSet::from([item.clone()]),
        message: format!(
            "it cannot be read, so whether it adds the CA already is not known: {error}"
        ),
        cure: "make it readable for regtrust".to_owned(),
    }
}

fn wanted_file(path: NodePath, certificate: &CaCertificate) -> WantedFile {
    // It ends in a newline, without which Alpine's tool, which only joins files, would glue it to
    // the next one and lose both.
    WantedFile {
        target: Target::SystemCa,
        path,
        content: Content::plain(certificate.pem.as_bytes()),
        mode: 0o644,
        items: Items::default(),
    }
}

const PREFIX: &str = "regtrust-";
const SUFFIX: &str = ".crt";

/// After the certificate and not the registry: several registries may share it, and a name that
/// no other tool would choose cannot collide with theirs.
fn file_name(certificate: &CaCertificate) -> String {
    format!("{PREFIX}{}{SUFFIX}", certificate.fingerprint.short())
}

/// The start of the fingerprint in the name of one of our files.
pub fn fingerprint_in(path: &NodePath) -> Option<&str> {
    path.file_name().strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}

/// Certificates that are in the store without us, and by which file. The bundle names those that
/// the distribution brings.
fn foreign(
    layout: CaLayout,
    files: &Files,
    owned: &BTreeMap<NodePath, OwnedFile>,
    leaving: &BTreeSet<String>,
) -> BTreeMap<Sha256Hex, NodePath> {
    let path = layout.bundle();
    let present = files.content(&path).map(|bundle| fingerprints(bundle.bytes()));
    let is_theirs = |found: &Sha256Hex| !leaving.contains(&found.short());
    let present = present.into_iter().flatten().filter(is_theirs).map(|one| (one, path.clone()));
    let mut theirs: BTreeMap<_, _> = present.collect();
    theirs.extend(in_anchors(layout, files, owned));
    theirs
}

/// A file that may add any CA: ours would be added beside it today, and stay for ever.
fn unreadable(
    layout: CaLayout,
    files: &Files,
    owned: &BTreeMap<NodePath, OwnedFile>,
) -> Option<(NodePath, String)> {
    let mut paths = anchors_of_others(layout, files, owned).into_iter().chain([layout.bundle()]);
    paths.find_map(|path| match files.get(&path)? {
        Found::Unreadable { error } => Some((path, error.clone())),
        _ => None,
    })
}

/// Certificates that other people's files add to the store, by the starts of their fingerprints.
pub fn added_by_others(
    layout: CaLayout,
    files: &Files,
    owned: &BTreeMap<NodePath, OwnedFile>,
) -> BTreeSet<String> {
    in_anchors(layout, files, owned).keys().map(Sha256Hex::short).collect()
}

fn anchors_of_others(
    layout: CaLayout,
    files: &Files,
    owned: &BTreeMap<NodePath, OwnedFile>,
) -> Vec<NodePath> {
    let directory = layout.anchors();
    // Debian's tool passes over every other name.
    let is_read = |name: &&str| layout != CaLayout::Debian || name.ends_with(SUFFIX);
    let paths = files.names(&directory).filter(is_read).map(|name| directory.join(name));
    paths.filter(|path| !owned.contains_key(path)).collect()
}

fn in_anchors(
    layout: CaLayout,
    files: &Files,
    owned: &BTreeMap<NodePath, OwnedFile>,
) -> BTreeMap<Sha256Hex, NodePath> {
    let theirs = anchors_of_others(layout, files, owned);
    let contents =
        theirs.into_iter().filter_map(|path| Some((files.content(&path)?.clone(), path)));
    contents
        .flat_map(|(content, path)| {
            let found = fingerprints(content.bytes());
            found.into_iter().map(move |fingerprint| (fingerprint, path.clone()))
        })
        .collect()
}

/// The SHA-256 of each certificate in PEM text, or of the whole if it is no PEM: some stores take
/// bare DER.
///
/// Compares what the text encodes, because each distribution's tool wraps and annotates it in its
/// own way.
pub fn fingerprints(bytes: &[u8]) -> BTreeSet<Sha256Hex> {
    let found: BTreeSet<_> = each_fingerprint(bytes).collect();
    if found.is_empty() { BTreeSet::from([Sha256Hex::of(bytes)]) } else { found }
}

/// That of each certificate in PEM text, as often as it is there.
pub fn each_fingerprint(mut bytes: &[u8]) -> impl Iterator<Item = Sha256Hex> {
    std::iter::from_fn(move || rustls_pemfile::certs(&mut bytes).find_map(Result::ok))
        .map(|der| Sha256Hex::of(&der))
}

/// Why the tool has to run, by the start of each certificate's fingerprint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaToolNeed {
    /// Should be in the bundle and is not. What still is not after the tool ran, it refuses: the
    /// distribution distrusts it.
    pub missing: BTreeSet<String>,
    /// Should not be in the bundle and is. What still is after the tool ran, others put there:
    /// the distribution's own roots, or a file in another directory.
    pub lingering: BTreeSet<String>,
}

impl CaToolNeed {
    pub fn is_due(&self) -> bool {
        !self.missing.is_empty() || !self.lingering.is_empty()
    }

    pub fn argv(&self, tool: &'static CaTool) -> &'static [&'static str] {
        if self.lingering.is_empty() { tool.argv } else { tool.argv_after_removal }
    }
}

/// Derives from the bundle itself whether the tool is due, so that a crash before it ran, and a
/// run of somebody else's, are both seen.
///
/// `wanted` and `withdrawn` are as [`fingerprint_in`] gives them. What is in both is wanted.
pub fn missing_from_bundle(
    bundle: Option<&[u8]>,
    wanted: &BTreeSet<String>,
    withdrawn: &BTreeSet<String>,
) -> CaToolNeed {
    let present: BTreeSet<String> =
        bundle.map(fingerprints).unwrap_or_default().iter().map(Sha256Hex::short).collect();
    CaToolNeed {
        missing: wanted.difference(&present).cloned().collect(),
        lingering: withdrawn
            .intersection(&present)
            .filter(|fingerprint| !wanted.contains(*fingerprint))
            .cloned()
            .collect(),
    }
}
