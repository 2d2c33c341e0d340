//! The directories of one node, as containerd looks through them.

use std::collections::BTreeMap;

use super::HOSTS_TOML;
use super::endpoint::Endpoint;
use super::text::{self, Reader};
use crate::ledger::OwnedFile;
use crate::observed::{Containerd, Files, Found};
use crate::path::NodePath;

/// Speaks for every registry that has no directory of its own.
pub(super) const DEFAULT: &str = "_default";

pub(super) struct Site<'a> {
    pub(super) containerd: &'a Containerd,
    pub(super) hosts_dir: &'a NodePath,
    pub(super) files: &'a Files,
    pub(super) owned: &'a BTreeMap<NodePath, OwnedFile>,
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

impl Site<'_> {
    pub(super) fn directory(&self, host: &str) -> NodePath {
        self.hosts_dir.join(host)
    }

    pub(super) fn hosts_toml(&self, host: &str) -> NodePath {
        self.directory(host).join(HOSTS_TOML)
    }

    pub(super) fn alias(&self, host: &str) -> Option<NodePath> {
        alias(host).map(|name| self.hosts_dir.join(&name)).filter(|path| self.exists(path))
    }

    pub(super) fn exists(&self, path: &NodePath) -> bool {
        self.files.found.contains_key(path) || self.files.listings.contains_key(path)
    }

    pub(super) fn is_ours(&self, path: &NodePath) -> bool {
        self.owned.contains_key(path)
    }

    /// Whether our hosts.toml for `host` is there, and so counts already.
    pub(super) fn is_in_force(&self, host: &str) -> bool {
        let path = self.hosts_toml(host);
        self.is_ours(&path) && self.files.content(&path).is_some()
    }

    /// Whether our hosts.toml for `host` is there with this very text.
    pub(super) fn is_in_force_as(&self, host: &str, text: &str) -> bool {
        let path = self.hosts_toml(host);
        let content = self.files.content(&path).filter(|_| self.is_ours(&path));
        content.is_some_and(|content| content.bytes() == text.as_bytes())
    }

    /// Whether the directory will still be there, and be somebody else's, without our files.
    pub(super) fn stays(&self, directory: &NodePath) -> bool {
        let mut names = self.files.names(directory).peekable();
        let is_empty = names.peek().is_none();
        self.exists(directory)
            && (is_empty || names.any(|name| !self.is_ours(&directory.join(name))))
    }

    /// Files in docker's manner that are not ours.
    pub(super) fn certificates(&self, directory: &NodePath) -> Vec<String> {
        let is_certificate = |name: &&str| {
            suffix(name).is_some_and(|suffix| ["crt", "cert", "key"].contains(&suffix))
                && !self.is_ours(&directory.join(name))
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
