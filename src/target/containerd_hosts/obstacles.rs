//! What else lies on the node: things that would hide our directory, be hidden by it, or decide
//! about a registry that needs none.

use super::HOSTS_TOML;
use super::endpoint::{API, Endpoint, Meaning, upstream};
use super::site::{self, DEFAULT, Settings, Site};
use crate::content::Content;
use crate::observed::{Directory, Found};
use crate::path::NodePath;
use crate::target::system_ca::fingerprints;
use crate::target::{Item, Target, WantedFile, Wants};
use crate::trust::entry::{Entry, Trust};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Conflict { path: NodePath, message: String, cure: String },
    Note(String),
}

impl Finding {
    fn conflict(path: &NodePath, message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Conflict { path: path.clone(), message: message.into(), cure: cure.into() }
    }

    pub(super) fn report(self, wants: &mut Wants, item: &Item) {
        match self {
            Self::Conflict { path, message, cure } => {
                wants.conflict(Target::ContainerdHosts, &path, item, message, cure);
            }
            Self::Note(message) => wants.note(item, message),
        }
    }

    /// What is hidden already since our files are there is no reason to leave them as they are: a
    /// renewed CA must still reach them.
    fn unless(self, in_force: bool) -> Self {
        match self {
            Self::Conflict { message, cure, .. } if in_force => {
                Self::Note(format!("{message}; {cure}"))
            }
            other => other,
        }
    }
}

/// Whether an administrator's hosts.toml means what ours would, down to the certificates.
pub(super) fn is_already_there(
    site: &Site<'_>,
    entry: &Entry,
    directory: &NodePath,
    wanted: &[WantedFile],
    meaning: &Meaning,
) -> bool {
    let host = entry.host.as_str();
    if site.is_ours_in(directory.as_str(), HOSTS_TOML) {
        return false;
    }
    if site.alias(host).is_some() || is_odd(site, directory) {
        return false;
    }
    let Settings::Hosts(theirs) = site.settings(directory, host) else { return false };
    let on_node = |path: &NodePath| site.files.content(path);
    let in_plan =
        |path: &NodePath| wanted.iter().find(|file| file.path == *path).map(|file| &file.content);
    let theirs = with_contents(&theirs, directory, &on_node);
    theirs.is_some() && theirs == with_contents(&meaning.endpoints, directory, &in_plan)
}

/// The endpoints with the fingerprints of what their files hold in place of the names. `None`: a
/// file could not be seen.
fn with_contents<'a>(
    endpoints: &[Endpoint],
    directory: &NodePath,
    content: &dyn Fn(&NodePath) -> Option<&'a Content>,
) -> Option<Vec<Endpoint>> {
    let look = |name: &String| {
        let path = if name.starts_with('/') { name.clone() } else { format!("{directory}/{name}") };
        content(&NodePath::new(&path).ok()?)
    };
    let resolve = |endpoint: &Endpoint| {
        let mut resolved = endpoint.clone();
        resolved.ca = Vec::new();
        for file in &endpoint.ca {
            let found = fingerprints(look(file)?.bytes());
            resolved.ca.extend(found.iter().map(ToString::to_string));
        }
        resolved.ca.sort();
        for (certificate, key) in &mut resolved.client {
            *certificate = look(certificate)?.digest().to_string();
            if let Some(key) = key {
                *key = look(key)?.digest().to_string();
            }
        }
        Some(resolved)
    };
    endpoints.iter().map(resolve).collect()
}

/// What speaks against writing our directory.
pub(super) fn in_the_way(
    site: &Site<'_>,
    entry: &Entry,
    directory: &NodePath,
    wanted: &[WantedFile],
    meaning: &Meaning,
) -> Vec<Finding> {
    let host = entry.host.as_str();
    let mut findings = Vec::new();
    if let Some(alias) = site.alias(host) {
        findings.push(Finding::conflict(
            &alias,
            format!("containerd looks into `{alias}` first, even if it is empty, and would never see `{directory}`"),
            "declare what it says in this entry, and remove it",
        ));
    }
    if is_odd(site, directory) {
        findings.push(Finding::conflict(
            directory,
            format!("`{directory}` is not a plain directory, so somebody else manages it"),
            "remove it, or manage this registry where it leads",
        ));
        return findings;
    }
    let hidden = if site.stays(directory) {
        findings.extend(foreign_hosts_toml(site, directory));
        shadowed_certificates(site, directory, wanted)
    } else {
        hidden_default(site, entry, meaning)
    };
    findings.extend(hidden.map(|finding| finding.unless(site.in_force(directory).is_some())));
    findings
}

fn is_odd(site: &Site<'_>, directory: &NodePath) -> bool {
    let known = site.files.directory(directory.as_str());
    !known.is_some_and(Directory::is_found)
        && !matches!(site.files.get(directory), None | Some(Found::Directory))
}

fn foreign_hosts_toml(site: &Site<'_>, directory: &NodePath) -> Option<Finding> {
    let path = directory.join(HOSTS_TOML);
    let found = site.files.get(&path).filter(|_| !site.is_ours(&path))?;
    // What is no file has its own reason and cure, which are the same for every target.
    let Found::File { content, .. } = found else { return None };
    let cure = if content.bytes().starts_with(b"# File generated by ") {
        "it is generated by k3s or RKE2: use its registries.yaml".to_owned()
    } else {
        let host = directory.file_name();
        format!(
            "hand it over with `regtrust adopt {host}`, or declare what it says in this entry and \
             remove it, or leave this registry to it"
        )
    };
    Some(Finding::conflict(&path, format!("`{path}` is there and means something else"), cure))
}

/// containerd ignores such files as soon as there is a hosts.toml.
fn shadowed_certificates(
    site: &Site<'_>,
    directory: &NodePath,
    wanted: &[WantedFile],
) -> Option<Finding> {
    let is_covered = |name: &String| {
        let path = directory.join(name);
        let is_ca = |file: &&WantedFile| file.path.file_name() == super::endpoint::CA;
        let Some(content) = site.files.content(&path) else { return false };
        let is_same = wanted.iter().any(|file| file.path == path && file.content == *content);
        let ca = wanted.iter().find(is_ca).map(|file| fingerprints(file.content.bytes()));
        let is_known = ca.is_some_and(|ca| fingerprints(content.bytes()).is_subset(&ca));
        is_same || (is_known && site::suffix(name) == Some("crt"))
    };
    let lost: Vec<_> =
        site.certificates(directory).into_iter().filter(|name| !is_covered(name)).collect();
    let names = lost.join(", ");
    (!lost.is_empty()).then(|| {
        Finding::conflict(
            directory,
            format!("containerd ignores {names} in `{directory}` once there is a hosts.toml"),
            "declare these certificates in this entry, and remove them",
        )
    })
}

/// Only one directory counts, so ours takes this registry away from `_default`.
fn hidden_default(site: &Site<'_>, entry: &Entry, meaning: &Meaning) -> Option<Finding> {
    let directory = site.default()?;
    let host = entry.host.as_str();
    let decides = entry.trust != Trust::System;
    let (lost, superseded) = match site.settings(directory, host) {
        Settings::Nothing => return None,
        Settings::Unknown => (vec!["settings that cannot be read".to_owned()], false),
        Settings::Certificates(names) if decides => (Vec::new(), !names.is_empty()),
        Settings::Certificates(names) => (names, false),
        Settings::Hosts(endpoints) => lost_settings(&endpoints, entry, meaning),
    };
    if !lost.is_empty() {
        let lost = lost.join(", ");
        return Some(Finding::conflict(
            directory,
            format!("a directory of its own hides `{directory}` from this registry: {lost}"),
            "declare the same in this entry, or remove it from `_default`",
        ));
    }
    superseded.then(|| {
        let word = entry.trust.word();
        Finding::Note(format!("trust = \"{word}\" takes the place of what `{directory}` says"))
    })
}

/// What `_default` does for a registry that the entry does not say again; and whether it says how
/// far to trust it, which the entry overrules.
fn lost_settings(endpoints: &[Endpoint], entry: &Entry, meaning: &Meaning) -> (Vec<String>, bool) {
    let Some((server, mirrors)) = endpoints.split_last() else { return (Vec::new(), false) };
    let is_kept = |endpoint: &&Endpoint| {
        meaning
            .endpoints
            .iter()
            .any(|ours| (&ours.origin, &ours.api) == (&endpoint.origin, &endpoint.api))
    };
    let mut lost: Vec<_> = mirrors
        .iter()
        .filter(|mirror| !is_kept(mirror))
        .map(|mirror| format!("mirror {}", mirror.url()))
        .collect();
    let name = upstream(entry.host.as_str());
    let is_elsewhere = server.origin.split_once("://").is_none_or(|(_, host)| host != name);
    if is_elsewhere || server.api != API {
        lost.push(format!("server {}", server.url()));
    }
    let settings = endpoints.iter().flat_map(|endpoint| &endpoint.other);
    lost.extend(settings.filter(|setting| !setting.starts_with("TLS")).cloned());
    if !server.client.is_empty() && entry.client.is_none() {
        lost.push("a client certificate".to_owned());
    }
    let trusts = server.skip_verify || !server.ca.is_empty() || server.is_plain_http();
    if trusts && entry.trust == Trust::System {
        lost.push("how far to trust it".to_owned());
    }
    (lost, trusts)
}

/// What decides about a registry that is to have containerd's defaults, and so no directory.
pub(super) fn catching(site: &Site<'_>, entry: &Entry) -> Vec<Finding> {
    let host = entry.host.as_str();
    let own = Some(site.directory(host)).filter(|directory| site.stays(directory));
    let directory = site.alias(host).or(own).unwrap_or_else(|| site.directory(DEFAULT));
    let cure = "declare what it says in this entry, or remove it";
    let mut findings = Vec::new();
    match site.settings(&directory, host) {
        Settings::Nothing => {}
        Settings::Unknown => findings.push(Finding::conflict(
            &directory,
            format!("`{directory}` decides about this registry and cannot be read"),
            cure,
        )),
        Settings::Certificates(names) => findings.push(Finding::Note(format!(
            "containerd also uses {} in `{directory}` for this registry",
            names.join(", ")
        ))),
        Settings::Hosts(endpoints) => {
            let Some((server, mirrors)) = endpoints.split_last() else { return findings };
            let expected = format!("https://{}", upstream(host));
            if server.skip_verify || server.origin != expected || server.api != API {
                let how = if server.skip_verify { " without verification" } else { "" };
                findings.push(Finding::conflict(
                    &directory,
                    format!("`{directory}` sends this registry's pulls to {}{how}", server.url()),
                    cure,
                ));
            }
            if !mirrors.is_empty() {
                let urls: Vec<_> = mirrors.iter().map(Endpoint::url).collect();
                let urls = urls.join(", ");
                findings.push(Finding::Note(format!("`{directory}` has {urls} asked first")));
            }
        }
    }
    findings
}
