//! Which mirrors docker can have, and under which address.
//!
//! Docker mirrors Docker Hub only, believes a mirror's tags, and asks Docker Hub when a mirror
//! fails. It keeps one way to verify per host, whether that host is asked as a mirror or for its
//! own images.

use std::collections::BTreeMap;

use super::grammar::Grammar;
use crate::observed::Docker;
use crate::trust::entry::{Capability, Entry, Mirror, Runtime, Trust};
use crate::trust::host::RegistryHost;

/// A mirror that docker can have.
#[derive(Clone, Debug)]
pub(crate) struct Usable<'a> {
    pub(crate) mirror: &'a Mirror,
    /// As docker wants it: it appends `/v2/` itself.
    pub(crate) url: String,
}

/// An entry's mirrors, judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judged<'a> {
    pub(crate) usable: Vec<Usable<'a>>,
    pub(crate) notes: Vec<String>,
    /// What is in the way, and the cure.
    pub(crate) conflicts: Vec<(String, String)>,
}

impl<'a> Judged<'a> {
    /// `entries` are all that docker gets: a mirror may have one of its own.
    pub(crate) fn of(entry: &'a Entry, entries: &[&'a Entry], docker: &Docker) -> Self {
        let mut judged = Self::default();
        if entry.mirrors.is_empty() || !is_expressible_for(entry, &mut judged) {
            return judged;
        }
        let mut trusts: BTreeMap<&RegistryHost, &Trust> = entries
            .iter()
            .filter(|own| own.is_for(Runtime::Docker))
            .map(|own| (&own.host, &own.trust))
            .collect();
        for mirror in &entry.mirrors {
            match address(mirror, docker) {
                Err(reason) => judged.notes.push(reason),
                Ok(url) => {
                    let known = trusts.entry(&mirror.host).or_insert(&mirror.trust);
                    judged.add(mirror, url, known);
                }
            }
        }
        if !entry.fallback && !judged.usable.is_empty() {
            judged.notes.push(
                "docker asks Docker Hub itself when a mirror fails; `fallback = false` cannot be \
                 expressed"
                    .into(),
            );
        }
        judged
    }

    fn add(&mut self, mirror: &'a Mirror, url: String, known: &Trust) {
        if *known == mirror.trust {
            // Docker asks a mirror under the scheme of its address alone, so one that may be asked
            // over HTTP as well is two; once TLS has worked, docker passes over the second.
            let is_insecure = mirror.trust == Trust::Insecure;
            let plain = is_insecure.then(|| url.replacen("https://", "http://", 1));
            self.usable.push(Usable { mirror, url });
            self.usable.extend(plain.map(|url| Usable { mirror, url }));
            return;
        }
        let host = &mirror.host;
        let (here, there) = (mirror.trust.word(), known.word());
        let message = if here == there {
            format!("the mirror `{host}` is declared a second time with another `{here}`")
        } else {
            format!("the mirror `{host}` is declared as `{here}` here and as `{there}` elsewhere")
        };
        let cure = format!("docker keeps one setting per host: declare `{host}` alike everywhere");
        self.conflicts.push((message, cure));
    }
}

fn is_expressible_for(entry: &Entry, judged: &mut Judged) -> bool {
    if !entry.host.is_docker_hub() {
        judged.notes.push(
            "docker can mirror only Docker Hub, so it asks the registry itself and no mirror"
                .into(),
        );
    }
    // Without verification, nothing is written for Docker Hub at all: see `want`.
    entry.host.is_docker_hub() && !entry.trust.is_unverified()
}

/// The address to write, or why docker cannot have this mirror.
fn address(mirror: &Mirror, docker: &Docker) -> Result<String, String> {
    let url = mirror.url();
    let has = |capability| mirror.capabilities.contains(&capability);
    if mirror.trust == Trust::SkipVerify {
        return Err(format!(
            "docker cannot have the mirror `{url}`: it cannot skip verification without also \
             falling back to HTTP"
        ));
    }
    if !has(Capability::Pull) || !has(Capability::Resolve) {
        return Err(format!(
            "docker cannot have the mirror `{url}`: it would use it to resolve tags and to pull, \
             and the declaration does not allow both"
        ));
    }
    let Some(path) = docker_path(&mirror.path) else {
        return Err(format!(
            "docker cannot have the mirror `{url}`: it would append `/v2/` to that path"
        ));
    };
    if !path.is_empty() && !docker.is_at_least(25, 0) {
        return Err(format!(
            "docker cannot have the mirror `{url}`: before version 25 it takes no path"
        ));
    }
    let root = url.strip_suffix(mirror.path.as_str()).unwrap_or(&url);
    let address = format!("{root}{path}");
    // A path is judged by this docker's own rules: with one, no older docker would start.
    let grammar = if path.is_empty() { Grammar::default() } else { Grammar::of(docker) };
    if grammar.accepts_mirror(&address) {
        Ok(address)
    } else {
        Err(format!("docker would not accept the mirror `{address}`"))
    }
}

/// `/proxy` and `/proxy/v2` lie at `/proxy/v2/`, which docker finds as `/proxy`. `/v2/proxy` lies
/// in the middle of an API, and docker would look for `/v2/proxy/v2/`. From 28 on it appends
/// nothing to a path that ends in `/v2`, so such a path is never written.
fn docker_path(path: &str) -> Option<&str> {
    match path.strip_suffix("/v2") {
        Some(root) => (!root.ends_with("/v2")).then_some(root),
        None => (!path.split('/').any(|part| part == "v2")).then_some(path),
    }
}

/// `https://M.corp/` and `https://m.corp` are one mirror.
pub(crate) fn identity(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let path = path.strip_suffix('/').unwrap_or(path);
    format!("{}://{}{path}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
}

/// What docker compares with `insecure-registries`, in lower case.
pub(crate) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default().to_ascii_lowercase()
}
