//! The directories that docker and containerd keep for each registry.
//!
//! With thousands of them this is where the time goes, so each is opened relative to the handle of
//! the one directory that holds them all, and only if that directory's listing has it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::{Reader, unreadable};
use crate::ledger::{self, OwnedFile};
use crate::node::root::{Listing, RootError, list};
use crate::observed::Found;
use crate::path::NodePath;
use crate::sorted::reaches;

/// What containerd, and docker since 28, look up where there is nothing for the registry itself.
const DEFAULT: &str = "_default";

/// The names of the directories to read.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// In order.
    everywhere: Vec<&'a str>,
    /// By the directory they are in, in order.
    owned: BTreeMap<&'a NodePath, Vec<&'a str>>,
}

impl<'a> Names<'a> {
    pub(super) fn new<'h: 'a>(
        hosts: impl Iterator<Item = &'h str>,
        owned: &'a BTreeMap<NodePath, OwnedFile>,
        roots: &'a BTreeSet<NodePath>,
    ) -> Self {
        let mut everywhere: Vec<&str> = hosts.chain([DEFAULT]).collect();
        everywhere.sort_unstable();
        let mut names = Self { everywhere, owned: BTreeMap::new() };
        for root in roots {
            let first = |path| beneath(root, path)?.split('/').next();
            let mut in_root: Vec<&str> = ledger::within(owned, root).filter_map(first).collect();
            in_root.dedup();
            in_root.sort_unstable();
            names.owned.insert(root, in_root);
        }
        names
    }

    /// Those of `listed`, which is in order, whose directories are to be read.
    fn among<'l>(&self, root: &NodePath, listed: &'l [Box<str>]) -> impl Iterator<Item = &'l str> {
        let mut everywhere = self.everywhere.iter().copied().peekable();
        let mut owned = self.owned.get(root).into_iter().flatten().copied().peekable();
        listed.iter().map(|name| &**name).filter(move |name| {
            reaches(&mut everywhere, name) || reaches(&mut owned, name) || self.is_alias(name)
        })
    }

    /// `name_port_`, which containerd prefers to `name:port`: the last colon counts, whatever it is.
    fn is_alias(&self, name: &str) -> bool {
        let parts = name.strip_suffix('_').and_then(|rest| rest.rsplit_once('_'));
        parts.is_some_and(|(name, port)| {
            let host = format!("{name}:{port}");
            !name.is_empty() && self.everywhere.binary_search(&&*host).is_ok()
        })
    }

    fn all(&self, root: &NodePath) -> impl Iterator<Item = String> {
        let owned = self.owned.get(root).into_iter().flatten();
        let names = self.everywhere.iter().chain(owned).map(|name| (*name).to_owned());
        names.chain(self.everywhere.iter().filter_map(|host| alias(host)))
    }
}

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
                Ok(Some((handle, listing))) => self.wanted(root, &handle, &listing, names),
                Err(error) => self.hidden(root, &error, names),
            }
        }
    }

    fn wanted(&mut self, root: &NodePath, handle: &OwnedFd, listing: &Listing, names: &Names<'_>) {
        self.files.reserve(listing.names.len());
        // All of them first: between the names that are compared, each read would empty the caches.
        let wanted: Vec<&str> = names.among(root, &listing.names).collect();
        for name in wanted {
            self.registry(handle, &root.join(name));
        }
        // A name that is not UTF-8 is no registry's, and nothing here is exchanged as a whole.
        self.files.list(root, listing.names.iter().map(|name| &**name));
    }

    /// Nothing is known about any registry then, and absence must not be read into that.
    fn hidden(&mut self, root: &NodePath, error: &RootError, names: &Names<'_>) {
        let directories = names.all(root).map(|name| root.join(&name));
        for path in directories.chain([root.clone()]) {
            self.files.insert(&path, unreadable(error));
        }
    }

    /// One registry's directory, its listing, and every file in it.
    fn registry(&mut self, parent: &OwnedFd, path: &NodePath) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let name = path.file_name();
        let opened = retry_on_intr(|| rustix::fs::openat(parent, name, flags, Mode::empty()));
        match opened.and_then(|handle| list(&handle).map(|listing| (handle, listing))) {
            Ok((handle, listing)) => self.content(&handle, path, listing),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let found = self.looker.look(parent.as_fd(), name);
                self.insert(path, found);
            }
            // It went after the listing.
            Err(Errno::NOENT) => {}
            Err(errno) => {
                let error = std::io::Error::from(errno).to_string();
                self.files.insert(path, Found::Unreadable { error });
            }
        }
    }

    fn content(&mut self, handle: &OwnedFd, path: &NodePath, listing: Listing) {
        if let Some(error) = listing.reason() {
            self.files.insert(path, Found::Unreadable { error });
            return;
        }
        let found = listing.names.into_iter().map(|name| {
            let found = self.looker.look(handle.as_fd(), &name);
            (self.names.shared(name), found)
        });
        let found = found.collect();
        self.files.insert_whole(path, found);
    }
}

/// One copy of each name that thousands of directories have, such as `hosts.toml`: it is compared
/// with again and again, and is at hand then.
#[derive(Debug, Default)]
pub(super) struct Usual(Vec<Arc<str>>);

impl Usual {
    /// What others put there must not make each search longer than a copy takes.
    const MOST: usize = 16;

    fn shared(&mut self, name: Box<str>) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|known| ***known == *name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        if self.0.len() < Self::MOST {
            self.0.push(Arc::clone(&name));
        }
        name
    }
}
