//! containerd's registry settings: a directory per registry with a hosts.toml, read at every pull.
//!
//! containerd answers no mistake in it with an error: a file that it cannot read is passed over,
//! with mirrors, CA and `skip_verify` in it, and the puller is not told. So only the form that all
//! of 1.6, 1.7 and 2.x read alike is written, it is read back before it is, and whatever else on
//! the node would hide it, or be hidden by it, is reported.

mod endpoint;
mod obstacles;
mod site;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use super::{Believer, Item, Target, WantedFile, Wants};
use crate::content::Content;
use crate::ledger::OwnedFile;
use crate::node_path;
use crate::observed::{Containerd, CriUse, Files};
use crate::path::NodePath;
use crate::trust::entry::{Entry, Runtime, Trust};
use crate::trust::host::RegistryHost;
use endpoint::Meaning;
use site::Site;

const HOSTS_TOML: &str = "hosts.toml";

/// What the entries need below `hosts_dir`, the one directory that CRI reads.
///
/// An item with a conflict is in `files` nevertheless: the conflict holds its files as they are.
pub fn want(
    entries: &[&Entry],
    containerd: &Containerd,
    hosts_dir: &NodePath,
    files: &Files,
    owned: &BTreeMap<NodePath, OwnedFile>,
) -> Wants {
    let mut wants = Wants::default();
    let entries: Vec<_> =
        entries.iter().copied().filter(|entry| entry.is_for(Runtime::Containerd)).collect();
    let items = || entries.iter().map(|entry| item(entry)).collect::<BTreeSet<_>>();
    let is_asked_for = entries.iter().any(|entry| entry.asks_for(Runtime::Containerd));
    if containerd.cri == CriUse::NotSeen && !is_asked_for {
        if !entries.is_empty() {
            let message = "nothing on this node pulls images through containerd's CRI, so nothing \
                           is set up for it; name containerd in `runtimes` to have it nevertheless";
            wants.notes.push(super::Note { items: items(), message: message.to_owned() });
        }
        return wants;
    }
    if is_generated(hosts_dir) {
        let message = format!(
            "`{hosts_dir}` is written by k3s or RKE2 when it starts, so nothing is added there; \
             use its registries.yaml"
        );
        wants.notes.push(super::Note { items: items(), message });
        wants.inexpressible = items();
        return wants;
    }
    let site = Site::new(containerd, hosts_dir, files, owned);
    for entry in entries {
        add(&mut wants, &site, entry);
    }
    wants
}

/// The directories that decide about a registry, in the order that containerd looks for them. Only
/// the first that is there counts. Whoever observes the node must read what is in them.
pub fn directories(hosts_dir: &NodePath, host: &RegistryHost) -> Vec<NodePath> {
    let mut names: Vec<String> = site::alias(host.as_str()).into_iter().collect();
    names.extend([host.to_string(), site::DEFAULT.to_owned()]);
    names.iter().map(|name| hosts_dir.join(name)).collect()
}

/// k3s and RKE2 render this directory from their registries.yaml and clean it at every start.
fn is_generated(hosts_dir: &NodePath) -> bool {
    hosts_dir.is_beneath(&node_path!("var/lib/rancher"))
}

fn item(entry: &Entry) -> Item {
    Item { host: entry.host.clone(), on: Believer::Containerd }
}

fn add(wants: &mut Wants, site: &Site<'_>, entry: &Entry) {
    let item = item(entry);
    if let Some(reason) = why_no_reference(&entry.host, site.containerd) {
        wants.note(&item, reason);
        wants.inexpressible.insert(item);
        return;
    }
    let Some(meaning) = Meaning::of(entry) else {
        for finding in obstacles::catching(site, entry) {
            finding.report(wants, &item);
        }
        if is_local(&entry.host) {
            wants.note(&item, "containerd does not verify registries on localhost by itself");
        }
        return;
    };
    let host = entry.host.as_str();
    let directory = site.directory(host);
    // What is there from us in the same bytes was read back before it was written.
    let known = |text: &str| {
        site.in_force(&directory).filter(|content| content.bytes() == text.as_bytes()).cloned()
    };
    let fresh =
        |text: &str| text::means(text, host, &meaning.endpoints).then(|| Content::plain(text));
    let text = text::render(host, &meaning.endpoints);
    let Some(hosts_toml) = text.and_then(|text| known(&text).or_else(|| fresh(&text))) else {
        wants.note(&item, "hosts.toml would be read as something else; please report this");
        wants.inexpressible.insert(item);
        return;
    };
    explain(wants, &item, entry);
    let mut wanted = wanted_files(&directory, &item, hosts_toml, &meaning);
    if obstacles::is_already_there(site, entry, &directory, &wanted, &meaning) {
        wants.note(&item, format!("`{}` already says the same", directory.join(HOSTS_TOML)));
        // What an earlier plan put there may be what theirs refers to.
        wanted.retain(|file| site.is_ours(&file.path));
        wants.satisfied.insert(item);
        wants.files.append(&mut wanted);
        return;
    }
    for finding in obstacles::in_the_way(site, entry, &directory, &wanted, &meaning) {
        finding.report(wants, &item);
    }
    wants.files.append(&mut wanted);
}

/// What CRI does not take for a reference is never looked up.
fn why_no_reference(host: &RegistryHost, containerd: &Containerd) -> Option<String> {
    let version = containerd.version.filter(|_| containerd.is_before(1, 7))?;
    host.name().starts_with('[').then(|| {
        format!(
            "containerd {version} cannot name an IPv6 address in an image reference; containerd \
             1.7 and later can"
        )
    })
}

fn explain(wants: &mut Wants, item: &Item, entry: &Entry) {
    if entry.client.is_some() && entry.trust == Trust::Http {
        wants.note(item, "the client certificate is not used over plain HTTP");
    }
    let mut addresses = BTreeSet::new();
    for mirror in &entry.mirrors {
        if mirror.host == entry.host && mirror.path.is_empty() {
            wants.note(item, format!("mirror `{}` is the registry itself", mirror.url()));
        }
        if !addresses.insert((&mirror.host, &mirror.path)) {
            wants
                .note(item, format!("mirror `{}` is listed twice; the first counts", mirror.url()));
        }
    }
}

fn wanted_files(
    directory: &NodePath,
    item: &Item,
    hosts_toml: Content,
    meaning: &Meaning,
) -> Vec<WantedFile> {
    let others = meaning.files.iter().map(|(name, content)| (name.as_str(), content.clone()));
    let mut files: Vec<_> = std::iter::once((HOSTS_TOML, hosts_toml)).chain(others).collect();
    // In order from the beginning, thousands of them need not be sorted.
    files.sort_unstable_by_key(|(name, _)| *name);
    files
        .into_iter()
        .map(|(name, content)| WantedFile {
            target: Target::ContainerdHosts,
            path: directory.join(name),
            mode: if content.is_secret() { 0o600 } else { 0o644 },
            content,
            items: item.clone().into(),
        })
        .collect()
}

/// Registries for which containerd has an insecure default of its own.
fn is_local(host: &RegistryHost) -> bool {
    host.name() == "localhost" || host.ip().is_some_and(|ip| ip.is_loopback())
}
