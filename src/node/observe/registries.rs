//! The directories that docker and containerd keep for each registry.
//!
//! With thousands of them this is where the time goes, so each is opened relative to the handle of
//! the one directory that holds them all, and only if that directory's listing has it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{Reader, unreadable};
use crate::node::root::{Listing, RootError, list};
use crate::observed::Found;
use crate::path::NodePath;

/// What containerd, and docker since 28, look up where there is nothing for the registry itself.
const DEFAULT: &str = "_default";

/// The names of the directories to read.
#[derive(Debug)]
pub(super) struct Names<'a> {
    everywhere: HashSet<Cow<'a, str>>,
    /// By the directory they are in.
    owned: BTreeMap<&'a NodePath, HashSet<&'a str>>,
}

impl<'a> Names<'a> {
    pub(super) fn new<'h: 'a>(
        hosts: impl Iterator<Item = &'h str>,
        owned: &'a BTreeSet<NodePath>,
        roots: &'a BTreeSet<NodePath>,
    ) -> Self {
        let mut names =
            Self { everywhere: HashSet::from([DEFAULT.into()]), owned: BTreeMap::new() };
        for host in hosts {
            names.everywhere.extend(alias(host).map(Cow::Owned));
            names.everywhere.insert(host.into());
        }
        for root in roots {
            let first = |path| beneath(root, path)?.split('/').next();
            names.owned.insert(root, owned.iter().filter_map(first).collect());
        }
        names
    }

    fn hold(&self, root: &NodePath, name: &str) -> bool {
        self.everywhere.contains(name)
            || self.owned.get(root).is_some_and(|names| names.contains(name))
    }

    fn all(&self, root: &NodePath) -> impl Iterator<Item = &str> {
        let owned = self.owned.get(root).into_iter().flatten().copied();
        self.everywhere.iter().map(AsRef::as_ref).chain(owned)
    }
}

/// `name_port_`, which containerd prefers to `name:port`: the last colon counts, whatever it is.
fn alias(host: &str) -> Option<String> {
    match host.rsplit_once(':')? {
        ("", _) => None,
        (name, port) => Some(format!("{name}_{port}_")),
    }
}

/// What follows `directory` in a path beneath it.
pub(super) fn beneath<'a>(directory: &NodePath, path: &'a NodePath) -> Option<&'a str> {
    path.as_str().strip_prefix(directory.as_str())?.strip_prefix('/')
}

impl Reader<'_> {
    pub(super) fn registries(&mut self, roots: &BTreeSet<NodePath>, names: &Names<'_>) {
        for root in roots {
            match self.open(root) {
                Ok(None) => {}
                Ok(Some((handle, listing))) => self.wanted(root, &handle, listing, names),
                Err(error) => self.hidden(root, &error, names),
            }
        }
    }

    fn wanted(&mut self, root: &NodePath, handle: &OwnedFd, listing: Listing, names: &Names<'_>) {
        for name in &listing.names {
            if names.hold(root, name) {
                self.registry(handle, root.join(name));
            }
        }
        // A name that is not UTF-8 is no registry's, and nothing here is exchanged as a whole.
        self.files.listings.insert(root.clone(), listing.names.into_iter().collect());
    }

    /// Nothing is known about any registry then, and absence must not be read into that.
    fn hidden(&mut self, root: &NodePath, error: &RootError, names: &Names<'_>) {
        let directories = names.all(root).map(|name| root.join(name));
        for path in directories.chain([root.clone()]) {
            self.files.found.insert(path, unreadable(error));
        }
    }

    /// One registry's directory, its listing, and every file in it.
    fn registry(&mut self, parent: &OwnedFd, path: NodePath) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = path.file_name();
        let opened = retry_on_intr(|| rustix::fs::openat(parent, name, flags, Mode::empty()));
        match opened.and_then(|handle| list(&handle).map(|listing| (handle, listing))) {
            Ok((handle, listing)) => self.content(&handle, path, listing),
            Err(Errno::NOTDIR | Errno::LOOP) => self.look_in(parent, path),
            // It went after the listing.
            Err(Errno::NOENT) => {}
            Err(errno) => {
                let error = std::io::Error::from(errno).to_string();
                self.files.found.insert(path, Found::Unreadable { error });
            }
        }
    }

    fn content(&mut self, handle: &OwnedFd, path: NodePath, listing: Listing) {
        if let Some(error) = listing.reason() {
            self.files.found.insert(path, Found::Unreadable { error });
            return;
        }
        for name in &listing.names {
            self.look_in(handle, path.join(name));
        }
        self.files.found.insert(path.clone(), Found::Directory);
        self.files.listings.insert(path, listing.names.into_iter().collect());
    }
}
