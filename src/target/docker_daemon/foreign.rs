//! What daemon.json and dockerd's flags say about registries without us.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use super::grammar::{Cidr, without_scheme};
use super::{Key, mirrors};
use crate::ledger::DaemonOwned;
use crate::observed::{Docker, Files};
use crate::path::NodePath;
use crate::trust::host::RegistryHost;

/// One element of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saying {
    pub(crate) value: String,
    /// The file that says it.
    pub(crate) source: String,
    pub(crate) is_flag: bool,
}

/// Why docker does not verify a host, whatever certs.d holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cover<'a> {
    /// By its name, or by a range that contains its address.
    Stated(&'a Saying),
    /// Docker never verifies loopback addresses.
    Loopback,
    /// Docker resolves a name at every pull, and does not verify it if the address is in a range.
    IfResolvedInto(&'a [(Cidr, Saying)]),
    Nothing,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Foreign {
    /// Every element, for its grammar.
    pub(crate) elements: BTreeMap<Key, Vec<Saying>>,
    hosts: BTreeMap<String, Saying>,
    ranges: Vec<(Cidr, Saying)>,
    mirrors: BTreeMap<String, Saying>,
    mirror_hosts: BTreeMap<String, Saying>,
    trusts_v6_loopback: bool,
}

impl Foreign {
    pub(crate) fn read(docker: &Docker, files: &Files, owned: &DaemonOwned) -> Self {
        // An unknown version may be one that has `::1/128` built in.
        let mut foreign = Self { trusts_v6_loopback: !docker.is_before(28, 0), ..Self::default() };
        for key in Key::ALL {
            let in_file = in_file(key, docker, files, owned);
            let flags = docker.flag(key.flag()).flat_map(|flag| {
                let saying = |value: &str| Saying {
                    value: value.to_owned(),
                    source: flag.source.clone(),
                    is_flag: true,
                };
                flag.value.split(',').map(saying).collect::<Vec<_>>()
            });
            foreign.elements.insert(key, in_file.into_iter().chain(flags).collect());
        }
        foreign.index();
        foreign
    }

    fn index(&mut self) {
        for saying in self.elements.get(&Key::InsecureRegistries).into_iter().flatten() {
            let name = without_scheme(&saying.value);
            match Cidr::parse(name) {
                Some(range) => self.ranges.push((range, saying.clone())),
                None => drop(self.hosts.insert(name.to_owned(), saying.clone())),
            }
        }
        for saying in self.elements.get(&Key::RegistryMirrors).into_iter().flatten() {
            self.mirrors.insert(mirrors::identity(&saying.value), saying.clone());
            self.mirror_hosts.insert(mirrors::host_of(&saying.value), saying.clone());
        }
    }

    /// Elements of the file that a reload would be rejected for.
    pub(crate) fn in_file(&self, key: Key) -> impl Iterator<Item = &str> {
        let sayings = self.elements.get(&key).into_iter().flatten();
        sayings.filter(|saying| !saying.is_flag).map(|saying| saying.value.as_str())
    }

    pub(crate) fn cover(&self, host: &RegistryHost) -> Cover<'_> {
        if let Some(saying) = self.hosts.get(host.as_str()) {
            return Cover::Stated(saying);
        }
        let Some(ip) = host.ip() else {
            return match &*self.ranges {
                _ if host.name() == "localhost" => Cover::Loopback,
                [] => Cover::Nothing,
                ranges => Cover::IfResolvedInto(ranges),
            };
        };
        // A bracketed address without a port is a name to docker, and resolves to nothing.
        if ip.is_ipv6() && host.port().is_none() {
            return Cover::Nothing;
        }
        match self.ranges.iter().find(|(range, _)| range.contains(ip)) {
            Some((_, saying)) => Cover::Stated(saying),
            None if self.is_loopback(ip) => Cover::Loopback,
            None => Cover::Nothing,
        }
    }

    fn is_loopback(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => self.trusts_v6_loopback && ip == Ipv6Addr::LOCALHOST,
        }
    }

    /// Somebody else's mirror at this host.
    pub(crate) fn mirror_at(&self, host: &RegistryHost) -> Option<&Saying> {
        self.mirror_hosts.get(host.as_str())
    }

    /// Somebody else's mirror with this address.
    pub(crate) fn mirror(&self, url: &str) -> Option<&Saying> {
        self.mirrors.get(&mirrors::identity(url))
    }

    /// Somebody else's element that says the same as this one.
    pub(crate) fn insecure(&self, host: &RegistryHost) -> Option<&Saying> {
        self.hosts.get(host.as_str())
    }
}

/// What cannot be read as a list of strings says nothing here: `merge` reports it.
fn in_file(key: Key, docker: &Docker, files: &Files, owned: &DaemonOwned) -> Vec<Saying> {
    let moved = super::moved_config(docker);
    let source = moved.as_ref().map_or_else(|| super::path().to_string(), |moved| moved.0.clone());
    let content = NodePath::new(&source).ok().and_then(|path| files.content(&path));
    let text = content.and_then(|content| str::from_utf8(content.bytes()).ok()).unwrap_or_default();
    let value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or(Value::Null);
    let items = value.get(key.name()).and_then(Value::as_array);
    let array = owned.arrays.get(key.name()).filter(|_| moved.is_none());
    let mut ours: BTreeSet<&str> =
        array.into_iter().flat_map(|array| &array.elements).map(String::as_str).collect();
    let texts = items.into_iter().flatten().filter_map(Value::as_str);
    let saying =
        |value: &str| Saying { value: value.to_owned(), source: source.clone(), is_flag: false };
    texts.filter(|text| !ours.remove(text)).map(saying).collect()
}
