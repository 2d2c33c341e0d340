//! What the text says, before it is known whether it makes sense.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::pem::{Holds, PemField};
use super::{Declarations, LARGEST_FILE, MOST_ENTRIES, read};
use crate::path::NodePath;
use crate::trust::entry::{Capability, Runtime};
use crate::trust::findings::{Findings, Place};
use crate::trust::host::Address;
use crate::trust::toml_reader::{Field, Source};

/// A file whose text was understood, as far as it could be.
#[derive(Debug)]
pub struct Draft {
    pub(super) entries: Vec<EntryDraft>,
    pub(super) findings: Findings,
}

/// The word after `trust =`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrustWord {
    System,
    Ca,
    SkipVerify,
    Http,
    Insecure,
}

/// What registries and mirrors have in common: how far one server is believed.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) place: Place,
    pub(super) address: Field<Address>,
    pub(super) trust: Field<TrustWord>,
    pub(super) ca: PemField,
}

#[derive(Debug)]
pub(super) struct EntryDraft {
    pub(super) side: Side,
    pub(super) client_cert: PemField,
    pub(super) client_key: PemField,
    pub(super) system_store: Field<bool>,
    pub(super) reason: Field<String>,
    pub(super) until: Field<Timestamp>,
    pub(super) runtimes: Field<BTreeSet<Runtime>>,
    pub(super) fallback: Field<bool>,
    pub(super) mirrors: Field<Vec<MirrorDraft>>,
    /// The file has declared the host before.
    pub(super) repeats: bool,
    pub(super) findings: Findings,
}

#[derive(Debug)]
pub(super) struct MirrorDraft {
    pub(super) side: Side,
    pub(super) capabilities: Field<BTreeSet<Capability>>,
}

impl Draft {
    /// Understands the text of `file`, beside which its certificates lie.
    ///
    /// # Errors
    /// With nothing but problems, if nothing can be told of the file.
    pub fn parse(text: &str, file: &NodePath) -> Result<Self, Declarations> {
        let mut findings = Findings::new(file.to_string());
        if text.len() > LARGEST_FILE {
            let message = format!("is larger than {LARGEST_FILE} bytes");
            return Err(too_much(findings, message));
        }
        let Some(source) = Source::parse(text, &mut findings) else {
            return Err(Declarations::broken(findings));
        };
        let entries = read::entries(source.fields(), file, &mut findings);
        if entries.len() > MOST_ENTRIES {
            let message = format!("has {} entries, more than {MOST_ENTRIES}", entries.len());
            return Err(too_much(findings, message));
        }
        Ok(Self { entries, findings })
    }

    /// The files that must be read before the draft can be completed.
    ///
    /// A file that is named both as a certificate and as a key (some tools put both into one) is
    /// treated as a key.
    pub fn references(&self) -> BTreeMap<NodePath, Holds> {
        let mut references = BTreeMap::new();
        for (path, holds) in self.entries.iter().flat_map(EntryDraft::references) {
            let known = references.entry(path.clone()).or_insert(holds);
            *known = holds.max(*known);
        }
        references
    }
}

impl EntryDraft {
    fn references(&self) -> impl Iterator<Item = (&NodePath, Holds)> {
        let own = [&self.side.ca, &self.client_cert, &self.client_key];
        let mirrors = self.mirrors.value().into_iter().flatten().map(|mirror| &mirror.side.ca);
        own.into_iter().chain(mirrors).filter_map(PemField::reference)
    }
}

fn too_much(mut findings: Findings, message: String) -> Declarations {
    *findings.error(Place::default(), "", message) = Some("divide it into several files".into());
    Declarations::broken(findings)
}
