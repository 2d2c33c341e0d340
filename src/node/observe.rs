//! Reads everything that a plan is made from.
//!
//! What cannot be read is [`Found::Unreadable`] at its path and concerns the items that need it; only
//! what decides about the whole node is an error.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd as _, OwnedFd};

use super::detect::{self, Detected, Overrides, detect};
use super::root::{Listing, NodeRoot, RootError, list, look_in};
use crate::content::Content;
use crate::node_path;
use crate::observed::{CaLayout, Files, Found, Observed};
use crate::path::NodePath;
use crate::trust::host::RegistryHost;

mod registries;
#[cfg(test)]
mod tests;

use registries::Names;

/// What to look at besides what is always looked at.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The tree is a running system, whose processes are worth asking about.
    pub live: bool,
    pub overrides: Overrides,
    /// The registries whose directories are read. What is there for others is only listed.
    pub hosts: &'a BTreeSet<RegistryHost>,
    /// What the ledger says is ours. A registry's directory with such a path in it is read whole,
    /// also when the registry is no longer among `hosts`.
    pub owned: &'a BTreeSet<NodePath>,
    /// Read the system's CA bundle: 200 kB that only a check of the CA tool's work needs.
    pub bundle: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    #[error("cannot tell what is on the node")]
    Detect { source: RootError },
}

/// Reads the node. Nothing is changed, and no link is followed at the end of a path that may be
/// written.
///
/// In the result a directory that is reached through links is a [`Found::Directory`] if only its
/// existence matters (`/etc/docker`), and a [`Found::Symlink`] if it is a registry's own. A registry's
/// directory that holds a name which is not UTF-8 is [`Found::Unreadable`]: it cannot be exchanged as
/// a whole without losing that file. Of what is in an unreadable directory nothing is said, so look
/// at the directory before concluding that a file in it is absent.
pub fn observe(root: &NodeRoot, query: &Query<'_>) -> Result<Observed, ObserveError> {
    let detected = detect(root, query.live, &query.overrides)
        .map_err(|source| ObserveError::Detect { source })?;
    let hosts = query.hosts.iter().map(RegistryHost::as_str);
    let files = read(root, &detected, hosts, query);
    Ok(Observed {
        files,
        docker: detected.docker,
        containerd: detected.containerd,
        ca_layout: detected.ca_layout,
        unmanaged: detected.unmanaged,
        live: query.live,
    })
}

fn read<'a>(
    root: &NodeRoot,
    detected: &Detected,
    hosts: impl Iterator<Item = &'a str>,
    query: &Query<'_>,
) -> Files {
    let docker = node_path!("etc/docker/certs.d");
    let containerd = node_path!("etc/containerd/certs.d");
    let mut roots = BTreeSet::from([docker, containerd]);
    roots.extend(detected.host_directories.iter().cloned());

    let mut reader = Reader { root, files: Files::default(), recent: Recent::default() };
    reader.look(&node_path!("etc/docker/daemon.json"));
    reader.look(&detect::containerd_config());
    let imports = detected.containerd.iter().flat_map(|containerd| &containerd.imports);
    imports.for_each(|import| reader.look(import));
    reader.registries(&roots, &Names::new(hosts, query.owned, &roots));
    if let Some(layout) = detected.ca_layout {
        reader.anchors(&layout.anchors(), query.bundle);
        if query.bundle {
            reader.look(&layout.bundle());
        }
    }
    query.owned.iter().for_each(|path| reader.owned(path, &roots));
    reader.existence(roots, detected.ca_layout);
    reader.files
}

struct Reader<'a> {
    root: &'a NodeRoot,
    files: Files,
    recent: Recent,
}

/// What was read last. Thousands of registries have few CAs, and one copy of each is enough.
#[derive(Default)]
struct Recent(VecDeque<Content>);

impl Recent {
    /// More would be compared for longer than a copy takes.
    const MOST: usize = 16;

    fn share(&mut self, found: &mut Found) {
        let Found::File { content, .. } = found else { return };
        // Key material is not kept for longer than it was read for.
        if content.is_secret() {
            return;
        }
        let known = self.0.iter().position(|known| known == content);
        match known.and_then(|at| self.0.remove(at)) {
            Some(known) => *content = known,
            None => self.0.truncate(Self::MOST - 1),
        }
        self.0.push_front(content.clone());
    }
}

impl Reader<'_> {
    fn look(&mut self, path: &NodePath) {
        let found = self.root.look(path).unwrap_or_else(|error| Some(unreadable(&error)));
        self.insert(path.clone(), found);
    }

    fn look_in(&mut self, directory: &OwnedFd, path: NodePath) {
        let found = look_in(directory.as_fd(), &path);
        self.insert(path, found.unwrap_or_else(|error| Some(unreadable(&error))));
    }

    fn open(&self, directory: &NodePath) -> Result<Option<(OwnedFd, Listing)>, RootError> {
        let Some(handle) = self.root.directory(directory)? else { return Ok(None) };
        let listing = list(&handle).map_err(|errno| RootError::Io {
            operation: "list",
            path: directory.clone(),
            source: errno.into(),
        })?;
        Ok(Some((handle, listing)))
    }

    fn insert(&mut self, path: NodePath, found: Option<Found>) {
        if let Some(mut found) = found {
            self.recent.share(&mut found);
            self.files.found.insert(path, found);
        }
    }

    /// Of other people's files the names matter, because the tool makes links by name, and the
    /// contents (`all`) where a CA of ours comes or goes: theirs may be the same one.
    fn anchors(&mut self, directory: &NodePath, all: bool) {
        let ours = |name: &str| Some(name.strip_prefix("regtrust-")?.strip_suffix(".crt")?.len());
        match self.open(directory) {
            Ok(None) => {}
            Ok(Some((handle, listing))) => {
                for name in listing.names.iter().filter(|name| all || ours(name).is_some()) {
                    self.look_in(&handle, directory.join(name));
                }
                self.files.listings.insert(directory.clone(), listing.names.into_iter().collect());
            }
            Err(error) => self.insert(directory.clone(), Some(unreadable(&error))),
        }
    }

    /// A path of the ledger that was not on the way. What lies in a registry's directory was.
    fn owned(&mut self, path: &NodePath, roots: &BTreeSet<NodePath>) {
        let in_registry = |root: &NodePath| {
            registries::beneath(root, path).is_some_and(|rest| rest.split('/').count() <= 2)
        };
        let listed = |directory: NodePath| self.files.listings.contains_key(&directory);
        if !roots.iter().any(in_registry)
            && !self.files.found.contains_key(path)
            && !path.parent().is_some_and(listed)
        {
            self.look(path);
        }
    }

    /// Which of the directories that files are made in are there.
    fn existence(&mut self, roots: BTreeSet<NodePath>, layout: Option<CaLayout>) {
        let mut wanted = roots;
        wanted.extend([node_path!("etc/docker"), node_path!("etc/containerd")]);
        wanted.extend(layout.map(CaLayout::anchors));
        let mut directories = BTreeSet::new();
        for directory in wanted {
            let mut next = Some(directory);
            while let Some(directory) = next {
                next = directory.parent();
                directories.insert(directory);
            }
        }
        for directory in directories {
            match self.root.is_directory(&directory) {
                // What is known to be unreadable stays so.
                Ok(true) => {
                    self.files.found.entry(directory).or_insert(Found::Directory);
                }
                Ok(false) => self.look(&directory),
                Err(error) => self.insert(directory, Some(unreadable(&error))),
            }
        }
    }
}

fn unreadable(error: &RootError) -> Found {
    Found::Unreadable { error: error.reason() }
}
