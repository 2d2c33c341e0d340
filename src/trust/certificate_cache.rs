//! Parses each certificate once, however many registries share it. Pure.

use std::collections::HashMap;

use jiff::Timestamp;

use super::certificate::{CaBundle, CertError, ClientPair, Parsed};
use crate::content::{Content, Sha256Hex};

type Judged<T> = Result<Parsed<T>, CertError>;

/// One look at a set of declarations, at one instant.
#[derive(Debug)]
pub struct CertificateCache {
    now: Timestamp,
    bundles: HashMap<Sha256Hex, Judged<CaBundle>>,
    pairs: HashMap<(Sha256Hex, Sha256Hex), Judged<ClientPair>>,
}

impl CertificateCache {
    pub fn new(now: Timestamp) -> Self {
        Self { now, bundles: HashMap::new(), pairs: HashMap::new() }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn bundle(&mut self, pem: &Content) -> &Judged<CaBundle> {
        let now = self.now;
        let parse = || CaBundle::parse(pem.bytes(), now);
        self.bundles.entry(pem.digest()).or_insert_with(parse)
    }

    pub fn pair(&mut self, certificate: &Content, key: &Content) -> &Judged<ClientPair> {
        let now = self.now;
        let parse = || ClientPair::parse(certificate.bytes(), key.bytes(), now);
        self.pairs.entry((certificate.digest(), key.digest())).or_insert_with(parse)
    }
}
