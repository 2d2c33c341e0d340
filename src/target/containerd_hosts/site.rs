//! The directories of one node, as containerd looks through them.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use super::HOSTS_TOML;
use super::endpoint::Endpoint;
use super::text::{self, Reader};
use crate::content::Content;
use crate::ledger::{self, OwnedFile};
use crate::observed::{Containerd, Files, Found};
use crate::path::NodePath;

/// Speaks for every registry that has no directory of its own.
pub(super) const DEFAULT: &str = "_default";

pub(super) struct Site<'a> {
    pub(super) containerd: &'a Containerd,
    pub(super) hosts_dir: &'a NodePath,
    pub(super) files: &'a Files,
    /// Names of ours, by their directory.
    owned: HashMap<&'a str, Vec<&'a str>, RandomState>,
    /// Whether anything is there that could be an [`alias`]: nearly always nothing is.
    has_aliases: bool,
    default: Option<NodePath>,
}

/// What somebody's directory says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settings {
    /// Nothing, so containerd's defaults hold.
    Nothing,
    /// Names of `.crt`, `.cert` and `.key` files, which count where there is no hosts.toml, or
    /// none that can be read.
    Certificates(Vec<String>),
    Hosts(Vec<Endpoint>),
    /// A link, or unreadable to us; containerd may well read it.
    Unknown,
}

/// The spelling that containerd looks for first: `harbor.corp_8443_` for `harbor.corp:8443`. It
/// cuts at the last colon whatever that means, so an IPv6 address without a port has one too.
pub(super) fn alias(host: &str) -> Option<String> {
    let (name, port) = host.rsplit_once(':').filter(|(name, _)| !name.is_empty())?;
    Some(format!("{name}_{port}_"))
}

pub(super) fn suffix(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, suffix)| suffix)
}

impl<'a> Site<'a> {
    pub(super) fn new(
        containerd: &'a Containerd,
        hosts_dir: &'a NodePath,
        files: &'a Files,
        owned: &'a BTreeMap<NodePath, OwnedFile>,
    ) -> Self {
        let mut by_directory: HashMap<&str, Vec<&str>, RandomState> = HashMap::default();
        for path in ledger::within(owned, hosts_dir).filter(|path| path.is_beneath(hosts_dir)) {
            let (directory, name) = path.split();
            by_directory.entry(directory).or_default().push(name);
        }
        let default = hosts_dir.join(DEFAULT);
        let has_default = files.get(&default).is_some() || files.is_listed(&default);
        Self {
            containerd,
            hosts_dir,
            files,
            owned: by_directory,
            has_aliases: files.has_in(hosts_dir, |name| name.ends_with('_')),
            default: has_default.then_some(default),
        }
    }

    pub(super) fn directory(&self, host: &str) -> NodePath {
        self.hosts_dir.join(host)
    }

    pub(super) fn alias(&self, host: &str) -> Option<NodePath> {
        let name = if self.has_aliases { alias(host)? } else { return None };
        Some(self.hosts_dir.join(&name)).filter(|path| self.exists(path))
    }

    /// The directory that speaks for every registry without one of its own, if it is there.
    pub(super) fn default(&self) -> Option<&NodePath> {
        self.default.as_ref()
    }

    fn exists(&self, path: &NodePath) -> bool {
        self.files.get(path).is_some() || self.files.is_listed(path)
    }

    pub(super) fn is_ours(&self, path: &NodePath) -> bool {
        let (directory, name) = path.split();
        self.is_ours_in(directory, name)
    }

    pub(super) fn is_ours_in(&self, directory: &str, name: &str) -> bool {
        self.owned.get(directory).is_some_and(|names| names.contains(&name))
    }

    /// Our hosts.toml in this directory, if it is there and so counts already.
    pub(super) fn in_force(&self, directory: &NodePath) -> Option<&Content> {
        let directory = directory.as_str();
        let content = self.files.directory(directory)?.content(HOSTS_TOML)?;
        self.is_ours_in(directory, HOSTS_TOML).then_some(content)
    }

    /// Whether the directory will still be there, and be somebody else's, without our files.
    pub(super) fn stays(&self, directory: &NodePath) -> bool {
        let mut names = self.files.names(directory).peekable();
        let is_empty = names.peek().is_none();
        let is_theirs = |name| !self.is_ours_in(directory.as_str(), name);
        (is_empty || names.any(is_theirs)) && self.exists(directory)
    }

    /// Files in docker's manner that are not ours.
    pub(super) fn certificates(&self, directory: &NodePath) -> Vec<String> {
        let is_certificate = |name: &&str| {
            suffix(name).is_some_and(|suffix| ["crt", "cert", "key"].contains(&suffix))
                && !self.is_ours_in(directory.as_str(), name)
        };
        self.files.names(directory).filter(is_certificate).map(str::to_owned).collect()
    }

    /// What other people's files in `directory` say about `host`.
    pub(super) fn settings(&self, directory: &NodePath, host: &str) -> Settings {
        let path = directory.join(HOSTS_TOML);
        let without = || match self.certificates(directory) {
            names if names.is_empty() => Settings::Nothing,
            names => Settings::Certificates(names),
        };
        match self.files.get(&path) {
            _ if self.is_ours(&path) => without(),
            None => without(),
            Some(Found::File { content, .. }) => std::str::from_utf8(content.bytes())
                .ok()
                .filter(|text| !text.is_empty())
                .and_then(|text| text::read(text, host, self.reader()))
                .map_or_else(without, Settings::Hosts),
            Some(_) => Settings::Unknown,
        }
    }

    fn reader(&self) -> Reader {
        let is_old = self.containerd.version.is_none() || self.containerd.is_before(2, 0);
        if is_old { Reader::Portable } else { Reader::Modern }
    }
}
