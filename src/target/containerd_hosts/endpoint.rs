//! What an entry means to containerd: the places it asks, in order.

use std::collections::{BTreeMap, BTreeSet};

use crate::content::Content;
use crate::trust::certificate::{CaBundle, ClientPair};
use crate::trust::entry::{Capability, Entry, Trust};
use crate::trust::host::RegistryHost;

/// One place that containerd asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https://mirror.corp:8443`
    pub(super) origin: String,
    /// The path that API paths are appended to: `/v2`, or `/v2/proxy`.
    pub(super) api: String,
    /// `None`: all that this containerd knows.
    pub(super) capabilities: Option<BTreeSet<String>>,
    pub(super) skip_verify: bool,
    /// Files with additional roots.
    pub(super) ca: Vec<String>,
    /// Certificates and their keys; `None`: the key is in the certificate's file.
    pub(super) client: Vec<(String, Option<String>)>,
    /// Settings that regtrust never writes: headers, timeouts, and an `http://` address with TLS
    /// settings, which containerd 1.7.8 and later try as `https://` first.
    pub(super) other: BTreeSet<String>,
}

impl Endpoint {
    pub(super) fn url(&self) -> String {
        if self.api == API { self.origin.clone() } else { format!("{}{}", self.origin, self.api) }
    }

    /// Whether the path must be taken as it is. containerd otherwise appends `/v2` to one that
    /// does not end so.
    pub(super) fn overrides_path(&self) -> bool {
        !self.api.ends_with(API)
    }

    fn files(&self) -> impl Iterator<Item = &String> + Clone {
        let pairs =
            self.client.iter().flat_map(|(certificate, key)| [Some(certificate), key.as_ref()]);
        self.ca.iter().chain(pairs.flatten())
    }

    pub(super) fn is_plain_http(&self) -> bool {
        self.origin.starts_with("http://")
    }
}

pub(super) const API: &str = "/v2";

pub(super) const CA: &str = "ca.crt";
pub(super) const CERTIFICATE: &str = "client.cert";
pub(super) const KEY: &str = "client.key";

/// What a registry's directory says: the endpoints, and the files that they refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// Never empty. The last one is what hosts.toml calls the server.
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) files: BTreeMap<String, Content>,
}

impl Meaning {
    /// `None`: containerd's own defaults mean the same.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let is_default = entry.trust == Trust::System && entry.client.is_none();
        if is_default && entry.mirrors.is_empty() {
            return None;
        }
        let mut meaning = Self { endpoints: Vec::new(), files: BTreeMap::new() };
        for mirror in &entry.mirrors {
            let ca = mirror.trust.ca().map(|ca| meaning.add_ca(ca, &mirror_ca(ca, entry)));
            let words = |capability: &Capability| capability.word().to_owned();
            let capabilities = Some(mirror.capabilities.iter().map(words).collect());
            let place = Place { host: &mirror.host, api: api_root(&mirror.path), capabilities };
            meaning.endpoints.extend(place.endpoints(&mirror.trust, ca, None));
        }
        // Without a mirror there would be no place left to ask.
        if entry.fallback || entry.mirrors.is_empty() {
            let ca = entry.trust.ca().map(|ca| meaning.add_ca(ca, CA));
            let client = entry.client.as_ref().map(|pair| meaning.add_client(pair));
            let place = Place { host: &entry.host, api: API.to_owned(), capabilities: None };
            meaning.endpoints.extend(place.endpoints(&entry.trust, ca, client));
        }
        meaning.drop_repetitions();
        meaning.drop_unused_files();
        Some(meaning)
    }

    fn add_ca(&mut self, ca: &CaBundle, name: &str) -> String {
        self.files.insert(name.to_owned(), ca.content().clone());
        name.to_owned()
    }

    fn add_client(&mut self, pair: &ClientPair) -> (String, Option<String>) {
        self.files.insert(CERTIFICATE.to_owned(), pair.certificate.clone());
        self.files.insert(KEY.to_owned(), pair.key.clone());
        (CERTIFICATE.to_owned(), Some(KEY.to_owned()))
    }

    /// The same address twice would be the same TOML table twice, and so no TOML: containerd would
    /// ignore the whole file and say nothing to the puller. The first one counts.
    fn drop_repetitions(&mut self) {
        let Some(server) = self.endpoints.pop() else { return };
        let mut seen = BTreeSet::new();
        self.endpoints.retain(|endpoint| seen.insert(endpoint.url()));
        self.endpoints.push(server);
    }

    /// Such as a client pair where only plain HTTP is spoken: a key lies nowhere without need.
    fn drop_unused_files(&mut self) {
        let named = self.endpoints.iter().flat_map(Endpoint::files);
        self.files.retain(|name, _| named.clone().any(|file| file == name));
    }
}

/// A mirror's CA is named after its content, so that reordering mirrors renames nothing. It does
/// not end in `.crt`: docker, and containerd when it cannot read hosts.toml, take every such file
/// in this directory as a CA of the registry itself.
fn mirror_ca(ca: &CaBundle, entry: &Entry) -> String {
    let is_shared = entry.trust.ca().is_some_and(|shared| shared.content() == ca.content());
    if is_shared { CA.to_owned() } else { format!("mirror-{}.pem", ca.content().digest().short()) }
}

/// Where the API of a mirror with this path begins.
///
/// A path with a `v2` in it is the API's root as it is: Harbor serves the proxy project `hub` at
/// `/v2/hub`. Any other path, such as `/repository/hub`, is the prefix of a whole API, whose root is
/// always called `v2`; docker takes a mirror's path in the same way.
fn api_root(path: &str) -> String {
    if path.split('/').any(|part| part == "v2") { path.to_owned() } else { format!("{path}{API}") }
}

struct Place<'a> {
    host: &'a RegistryHost,
    api: String,
    capabilities: Option<BTreeSet<String>>,
}

impl Place<'_> {
    /// An insecure place is two: an `https://` address never falls back to HTTP by itself on any
    /// version, and an `http://` address with `skip_verify` tries HTTPS first only from 1.7.8 on.
    fn endpoints(
        &self,
        trust: &Trust,
        ca: Option<String>,
        client: Option<(String, Option<String>)>,
    ) -> Vec<Endpoint> {
        let skip_verify = matches!(trust, Trust::SkipVerify | Trust::Insecure);
        let tls = Endpoint {
            skip_verify,
            ca: ca.into_iter().collect(),
            client: client.into_iter().collect(),
            ..self.endpoint("https")
        };
        match trust {
            Trust::System | Trust::Ca(_) | Trust::SkipVerify => vec![tls],
            Trust::Http => vec![self.endpoint("http")],
            Trust::Insecure => vec![tls, self.endpoint("http")],
        }
    }

    fn endpoint(&self, scheme: &str) -> Endpoint {
        Endpoint {
            origin: [scheme, "://", upstream(self.host.as_str())].concat(),
            api: self.api.clone(),
            capabilities: self.capabilities.clone(),
            skip_verify: false,
            ca: Vec::new(),
            client: Vec::new(),
            other: BTreeSet::new(),
        }
    }
}

/// Docker Hub's images are not served under the name that they are called by.
pub(super) fn upstream(host: &str) -> &str {
    if host == "docker.io" { "registry-1.docker.io" } else { host }
}
