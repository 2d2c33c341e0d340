//! Who may want something on this node, for which registries, and who comes first. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::{Identity, Principal, closest};
use crate::trust::declaration::LOCAL;
use crate::trust::host::RegistryHost;
use crate::trust::policy::Pattern;

/// A name that is safe in a message and as one component of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OwnerName(String);

impl TryFrom<String> for OwnerName {
    type Error = OwnerNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<OwnerName> for String {
    fn from(name: OwnerName) -> Self {
        name.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an owner's name has 1 to {LONGEST_NAME} lower-case letters, digits and `-`, and begins with a letter"
)]
pub struct OwnerNameError;

pub const LONGEST_NAME: usize = 63;

impl OwnerName {
    pub fn parse(text: &str) -> Result<Self, OwnerNameError> {
        let belongs = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
        if begins && text.len() <= LONGEST_NAME && text.bytes().all(belongs) {
            Ok(Self(text.to_owned()))
        } else {
            Err(OwnerNameError)
        }
    }

    /// The owner of everything that is declared in files.
    pub fn local() -> Self {
        Self(LOCAL.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OwnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub name: OwnerName,
    /// Lower comes first.
    pub priority: i64,
    /// Who it is. Nobody can be `local`, whose declarations are files.
    pub principals: Vec<Principal>,
    /// The registries it may speak for, mirrors not among them: policy speaks about those.
    pub hosts: Vec<Pattern>,
}

impl Owner {
    pub fn may_speak_for(&self, host: &RegistryHost) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }
}

/// Every owner, the first in rank first. `local` is always among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners(Vec<Owner>);

impl Default for Owners {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Owners {
    /// Owners of one priority rank in their order, and `local` before them all where it is not
    /// placed.
    pub fn new(mut owners: Vec<Owner>) -> Self {
        let local = OwnerName::local();
        if !owners.iter().any(|owner| owner.name == local) {
            let priority = owners.iter().map(|owner| owner.priority).min().unwrap_or(0);
            let local = Owner { name: local, priority, principals: Vec::new(), hosts: Vec::new() };
            owners.insert(0, local);
        }
        owners.sort_by_key(|owner| owner.priority);
        Self(owners)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Owner> {
        self.0.iter()
    }

    /// Those before and those after the node's own files, each in their order.
    pub fn around_files(&self) -> (&[Owner], &[Owner]) {
        let is_files = |owner: &Owner| owner.name == OwnerName::local();
        let at = self.0.iter().position(is_files).unwrap_or_default();
        let (before, rest) = self.0.split_at_checked(at).unwrap_or_default();
        (before, rest.get(1..).unwrap_or_default())
    }

    pub fn get(&self, name: &OwnerName) -> Option<&Owner> {
        self.0.iter().find(|owner| owner.name == *name)
    }

    /// Who comes first, counted from 0. `None`: there is no such owner (any more).
    pub fn rank(&self, name: &OwnerName) -> Option<usize> {
        self.0.iter().position(|owner| owner.name == *name)
    }

    /// The owner that a caller speaks as.
    pub fn of(&self, identity: &Identity) -> Option<&Owner> {
        let candidates = self
            .0
            .iter()
            .flat_map(|owner| owner.principals.iter().map(move |principal| (principal, owner)));
        closest(candidates, identity)
    }

    /// Whether an owner may declare a registry. Files are the node's own and may name any.
    pub fn may_speak_for(&self, name: &OwnerName, host: &RegistryHost) -> bool {
        *name == OwnerName::local() || self.get(name).is_some_and(|owner| owner.may_speak_for(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str, priority: i64) -> Owner {
        let name = OwnerName::parse(name).unwrap();
        Owner { name, priority, principals: Vec::new(), hosts: Vec::new() }
    }

    fn order(owners: Vec<Owner>) -> Vec<String> {
        Owners::new(owners).iter().map(|owner| owner.name.to_string()).collect()
    }

    #[test]
    fn files_come_first_unless_they_are_placed() {
        assert_eq!(order(vec![]), ["local"]);
        assert_eq!(order(vec![owner("b", 5), owner("a", -3)]), ["local", "a", "b"]);
        assert_eq!(order(vec![owner("b", 10), owner("a", 10)]), ["local", "b", "a"]);
        assert_eq!(order(vec![owner("a", 10), owner("local", 20)]), ["a", "local"]);
    }

    #[test]
    fn a_name_fits_into_a_path_and_a_message() {
        for good in ["a", "zadig", "control-plane-2", &"a".repeat(63)] {
            assert!(OwnerName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "2a", "-a", "a/b", "..", "a b", "ü", "a\n", "a.b", &"a".repeat(64)] {
            assert!(OwnerName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_owner_speaks_for_its_hosts_and_files_for_all() {
        let mut zadig = owner("zadig", 1);
        zadig.hosts = vec![Pattern::parse("*.corp").unwrap()];
        zadig.principals = vec![Principal::Uid(7)];
        let owners = Owners::new(vec![zadig, owner("mute", 2)]);
        let name = |text| OwnerName::parse(text).unwrap();
        let host = |text: &str| text.parse::<RegistryHost>().unwrap();
        for (owner, registry, may) in [
            ("zadig", "a.corp", true),
            ("zadig", "a.corp:5000", false),
            ("zadig", "docker.io", false),
            ("mute", "a.corp", false),
            ("local", "docker.io", true),
            ("unknown", "a.corp", false),
        ] {
            assert_eq!(owners.may_speak_for(&name(owner), &host(registry)), may, "{owner}");
        }
        let caller = |uid| Identity::Unix { uid, gid: 7, pid: None };
        assert_eq!(owners.of(&caller(7)).map(|owner| owner.name.as_str()), Some("zadig"));
        assert_eq!(owners.of(&caller(0)), None);
        assert_eq!((owners.rank(&name("mute")), owners.rank(&name("gone"))), (Some(2), None));
    }
}
