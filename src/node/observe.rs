//! Reads everything that a plan is made from.
//!
//! What cannot be read is [`Found::Unreadable`] at its path and concerns the items that need it; only
//! what decides about the whole node is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, OwnedFd};

use super::detect::{self, Detected, Overrides, detect};
use super::root::{Listing, Looker, NodeRoot, RootError, list};
use crate::ledger::OwnedFile;
use crate::node_path;
use crate::observed::{CaLayout, Directory, Files, Found, Observed};
use crate::path::NodePath;
use crate::target::docker_daemon::live_restore;
use crate::trust::host::RegistryHost;

mod registries;
#[cfg(test)]
mod tests;

use registries::{Names, Usual};

/// What to look at besides what is always looked at.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The tree is a running system, whose processes are worth asking about.
    pub live: bool,
    pub overrides: Overrides,
    /// The registries whose directories are read. What is there for others is only listed.
    pub hosts: &'a BTreeSet<&'a RegistryHost>,
    /// What the ledger says is ours. A registry's directory with such a path in it is read whole,
    /// also when the registry is no longer among `hosts`.
    pub owned: &'a BTreeMap<NodePath, OwnedFile>,
    /// Read the system's CA bundle: 200 kB that only a check of the CA tool's work needs.
    pub bundle: bool,
    /// Whether docker is in a swarm, which decides about `live-restore`.
    pub swarm: bool,
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
    let hosts = query.hosts.iter().map(|host| host.as_str());
    let files = read(root, &detected, hosts, query);
    Ok(Observed {
        files,
        docker: detected.docker,
        containerd: detected.containerd,
        bundle_written: detected.ca_layout.filter(|_| query.bundle).and_then(|layout| {
            // What cannot even be examined cannot be read either, and is reported for that.
            root.modified(&layout.bundle()).unwrap_or_default()
        }),
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

    let mut reader = Reader {
        root,
        files: Files::default(),
        looker: Looker::default(),
        names: Usual::default(),
    };
    reader.look(&node_path!("etc/docker/daemon.json"));
    if query.swarm {
        reader.look(&live_restore::data_root());
        reader.look(&live_restore::swarm_state());
    }
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
    reader.owned(query.owned, &roots);
    reader.existence(roots, detected.ca_layout);
    reader.files
}

struct Reader<'a> {
    root: &'a NodeRoot,
    files: Files,
    looker: Looker,
    /// Of files in registries' directories.
    names: Usual,
}

impl Reader<'_> {
    fn look(&mut self, path: &NodePath) {
        let found = self.root.look(path).unwrap_or_else(|error| Some(unreadable(&error)));
        self.insert(path, found);
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

    fn insert(&mut self, path: &NodePath, found: Option<Found>) {
        if let Some(found) = found {
            self.files.insert(path, found);
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
                    let found = self.looker.look(handle.as_fd(), name);
                    self.insert(&directory.join(name), found);
                }
                self.files.list(directory, listing.names.iter().map(|name| &**name));
            }
            Err(error) => self.insert(directory, Some(unreadable(&error))),
        }
    }

    /// The paths of the ledger that were not on the way. What lies in a registry's directory was.
    fn owned(&mut self, owned: &BTreeMap<NodePath, OwnedFile>, roots: &BTreeSet<NodePath>) {
        let is_registrys = |directory: &str| {
            let is_name =
                |rest: &str| rest.strip_prefix('/').is_some_and(|name| !name.contains('/'));
            let rest = |root: &NodePath| directory.strip_prefix(root.as_str());
            roots.iter().filter_map(rest).any(|rest| rest.is_empty() || is_name(rest))
        };
        let mut read = "";
        for path in owned.keys() {
            let (directory, _) = path.split();
            if directory == read {
                continue;
            }
            let is_listed = || self.files.directory(directory).is_some_and(Directory::is_listed);
            if is_registrys(directory) || is_listed() {
                read = directory;
            } else if self.files.get(path).is_none() {
                self.look(path);
            }
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
                Ok(true) if self.files.get(&directory).is_some() => {}
                Ok(true) => self.files.insert(&directory, Found::Directory),
                Ok(false) => self.look(&directory),
                Err(error) => self.insert(&directory, Some(unreadable(&error))),
            }
        }
    }
}

fn unreadable(error: &RootError) -> Found {
    Found::Unreadable { error: error.reason() }
}
