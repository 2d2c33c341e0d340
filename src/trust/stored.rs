//! An entry as a generation keeps it: certificates and keys by digest, so that ten thousand entries
//! with one CA keep it once, and a key is in no file but its own. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::certificate::{CaBundle, CertError, ClientPair};
use super::entry::{Capability, Entry, Mirror, Origin, Runtime, Trust};
use super::host::{Address, RegistryHost};
use super::printable::printable;
use crate::content::{Content, Sha256Hex};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredEntry {
    pub host: RegistryHost,
    pub trust: StoredTrust,
    pub client: Option<StoredPair>,
    pub system_store: bool,
    pub reason: Option<String>,
    pub until: Option<Timestamp>,
    pub runtimes: Option<BTreeSet<Runtime>>,
    pub mirrors: Vec<StoredMirror>,
    pub fallback: bool,
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoredTrust {
    System,
    Ca(Sha256Hex),
    SkipVerify,
    Http,
    Insecure,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPair {
    pub certificate: Sha256Hex,
    pub key: Sha256Hex,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredMirror {
    pub host: RegistryHost,
    pub path: String,
    pub trust: StoredTrust,
    pub capabilities: BTreeSet<Capability>,
}

impl StoredEntry {
    /// The certificates and keys that it refers to.
    pub fn blobs(&self) -> impl Iterator<Item = Sha256Hex> {
        let of_trust = |trust: &StoredTrust| match trust {
            StoredTrust::Ca(digest) => Some(*digest),
            _ => None,
        };
        let mirrors = self.mirrors.iter().filter_map(move |mirror| of_trust(&mirror.trust));
        let pair = self.client.iter().flat_map(|pair| [pair.certificate, pair.key]);
        of_trust(&self.trust).into_iter().chain(pair).chain(mirrors)
    }
}

/// Why a stored entry cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stored entry for `{host}` {fault}")]
pub struct RestoreError {
    pub host: RegistryHost,
    pub fault: RestoreFault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreFault {
    #[error("needs the blob {digest}, which is not there")]
    Missing { digest: Sha256Hex },
    #[error("needs the blob {digest}, which has been altered")]
    Altered { digest: Sha256Hex },
    #[error("needs the blob {digest}, which cannot be understood: {why}")]
    Certificate { digest: Sha256Hex, why: CertError },
    #[error("is for the system store and has no CA for it")]
    SystemStore,
    #[error("has a mirror at `{mirror}`, which is no address or may do nothing")]
    Mirror { mirror: String },
}

/// The blobs of a generation, by digest.
pub type Blobs = BTreeMap<Sha256Hex, Content>;

/// What to keep of an entry. The blobs it needs are added to `blobs`; those that are
/// [`Content::is_secret`] want mode 0600.
pub fn store(entry: &Entry, blobs: &mut Blobs) -> StoredEntry {
    StoredEntry {
        host: entry.host.clone(),
        trust: store_trust(&entry.trust, blobs),
        client: entry.client.as_ref().map(|pair| StoredPair {
            certificate: keep(&pair.certificate, blobs),
            key: keep(&pair.key, blobs),
        }),
        system_store: entry.system_store,
        reason: entry.reason.clone(),
        until: entry.until,
        runtimes: entry.runtimes.clone(),
        mirrors: entry.mirrors.iter().map(|mirror| store_mirror(mirror, blobs)).collect(),
        fallback: entry.fallback,
        origin: entry.origin.clone(),
    }
}

fn store_mirror(mirror: &Mirror, blobs: &mut Blobs) -> StoredMirror {
    StoredMirror {
        host: mirror.host.clone(),
        path: mirror.path.clone(),
        trust: store_trust(&mirror.trust, blobs),
        capabilities: mirror.capabilities.clone(),
    }
}

fn store_trust(trust: &Trust, blobs: &mut Blobs) -> StoredTrust {
    match trust {
        Trust::System => StoredTrust::System,
        Trust::Ca(bundle) => StoredTrust::Ca(keep(bundle.content(), blobs)),
        Trust::SkipVerify => StoredTrust::SkipVerify,
        Trust::Http => StoredTrust::Http,
        Trust::Insecure => StoredTrust::Insecure,
    }
}

fn keep(content: &Content, blobs: &mut Blobs) -> Sha256Hex {
    let digest = content.digest();
    blobs.entry(digest).or_insert_with(|| content.clone());
    digest
}

/// Reads entries back.
///
/// What was accepted once is not judged again: a CA that has expired since, or a rule that has
/// become stricter, must not make a generation unreadable. What the disk may have done to it is
/// found by its digests.
pub struct Restorer<'a> {
    blob: &'a dyn Fn(Sha256Hex) -> Option<Content>,
    bundles: BTreeMap<Sha256Hex, CaBundle>,
}

impl<'a> Restorer<'a> {
    /// `blob` finds what was in the [`Blobs`] of the generation.
    pub fn new(blob: &'a dyn Fn(Sha256Hex) -> Option<Content>) -> Self {
        Self { blob, bundles: BTreeMap::new() }
    }

    pub fn restore(&mut self, stored: &StoredEntry) -> Result<Entry, RestoreError> {
        let in_entry = |fault| RestoreError { host: stored.host.clone(), fault };
        self.entry(stored).map_err(in_entry)
    }

    fn entry(&mut self, stored: &StoredEntry) -> Result<Entry, RestoreFault> {
        let trust = self.trust(&stored.trust)?;
        let authorities = trust.ca().is_some_and(CaBundle::contains_only_authorities);
        if stored.system_store && !authorities {
            return Err(RestoreFault::SystemStore);
        }
        Ok(Entry {
            host: stored.host.clone(),
            trust,
            client: stored.client.as_ref().map(|pair| self.pair(pair)).transpose()?,
            system_store: stored.system_store,
            reason: stored.reason.clone(),
            until: stored.until,
            runtimes: stored.runtimes.clone(),
            mirrors: stored.mirrors.iter().map(|one| self.mirror(one)).collect::<Result<_, _>>()?,
            fallback: stored.fallback,
            origin: stored.origin.clone(),
        })
    }

    fn trust(&mut self, stored: &StoredTrust) -> Result<Trust, RestoreFault> {
        Ok(match stored {
            StoredTrust::System => Trust::System,
            StoredTrust::SkipVerify => Trust::SkipVerify,
            StoredTrust::Http => Trust::Http,
            StoredTrust::Insecure => Trust::Insecure,
            StoredTrust::Ca(digest) => Trust::Ca(self.bundle(*digest)?),
        })
    }

    fn bundle(&mut self, digest: Sha256Hex) -> Result<CaBundle, RestoreFault> {
        if let Some(known) = self.bundles.get(&digest) {
            return Ok(known.clone());
        }
        let pem = self.fetch(digest)?;
        let bundle = CaBundle::from_stored(pem.bytes())
            .map_err(|why| RestoreFault::Certificate { digest, why })?;
        self.bundles.insert(digest, bundle.clone());
        Ok(bundle)
    }

    fn pair(&self, stored: &StoredPair) -> Result<ClientPair, RestoreFault> {
        let certificate = self.fetch(stored.certificate)?;
        let key = self.fetch(stored.key)?;
        let digest = stored.certificate;
        ClientPair::from_stored(certificate.bytes(), key.bytes())
            .map_err(|why| RestoreFault::Certificate { digest, why })
    }

    fn mirror(&mut self, stored: &StoredMirror) -> Result<Mirror, RestoreFault> {
        // Without a scheme nothing is taken for a default port and dropped.
        let url = format!("{}{}", stored.host, stored.path);
        let as_stored = Address::parse_mirror(&url)
            .is_ok_and(|address| (&address.host, &address.path) == (&stored.host, &stored.path));
        if !as_stored || stored.capabilities.is_empty() {
            return Err(RestoreFault::Mirror { mirror: printable(&url, 80) });
        }
        Ok(Mirror {
            host: stored.host.clone(),
            path: stored.path.clone(),
            trust: self.trust(&stored.trust)?,
            capabilities: stored.capabilities.clone(),
        })
    }

    fn fetch(&self, digest: Sha256Hex) -> Result<Content, RestoreFault> {
        let content = (self.blob)(digest).ok_or(RestoreFault::Missing { digest })?;
        if content.digest() == digest { Ok(content) } else { Err(RestoreFault::Altered { digest }) }
    }
}

impl fmt::Debug for Restorer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restorer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
