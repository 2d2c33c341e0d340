//! Who calls, as the connection proves it, and how the configuration names callers. Pure.
//!
//! Nothing here comes out of a request: a Unix socket's peer is what the kernel says it is, and a
//! remote caller is what its certificate's issuer says.

use std::fmt;

use serde::Serialize;

mod spiffe;

pub use spiffe::{LONGEST_ID, SpiffeError, SpiffeId, SpiffePattern};

use crate::content::Sha256Hex;

/// What a caller may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May look.
    Reader,
    /// May also bring into force what is declared, and go back.
    Operator,
    /// May also change what is declared.
    Admin,
}

impl Role {
    pub fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Where a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entrance {
    /// The Unix socket that only its owner can open.
    AdminSocket,
    /// The Unix socket for monitoring: nobody is more than a reader on it, root neither, so that a
    /// mistake with its mode gives nothing away but status.
    ReadSocket,
    /// TCP with mutual TLS.
    Tcp,
}

/// The number that the kernel shows for every user and group that a user namespace does not know.
pub const OVERFLOW_ID: u32 = 65_534;

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Unix {
        uid: u32,
        gid: u32,
        /// For the log. It decides nothing, because it may be another process's by now.
        pid: Option<i32>,
    },
    Certificate {
        san: SpiffeId,
        /// Of the whole certificate, for the log.
        fingerprint: Sha256Hex,
    },
}

impl Identity {
    /// What its connections and calls are counted under, so that no caller takes everybody's share.
    pub fn peer(&self) -> Peer {
        match self {
            Self::Unix { uid, .. } => Peer::User(*uid),
            Self::Certificate { san, .. } => Peer::Name(san.clone()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { uid, gid, .. } => write!(f, "uid {uid} (gid {gid})"),
            Self::Certificate { san, .. } => write!(f, "{san}"),
        }
    }
}

/// One caller, however many connections it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    User(u32),
    Name(SpiffeId),
}

/// How the configuration names callers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    Uid(u32),
    /// The process's effective group. Supplementary groups are not looked at: the kernel gives them
    /// to nobody but the process itself.
    Gid(u32),
    San(SpiffePattern),
}

/// How closely a principal names a caller. Where several do, the closest decides, so that one user
/// of a group, or one name below a prefix, can be treated apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closeness {
    Group,
    /// With the length of the prefix.
    Prefix(usize),
    Exact,
}

impl Principal {
    /// `None`: it is about somebody else.
    pub fn names(&self, identity: &Identity) -> Option<Closeness> {
        match (self, identity) {
            (Self::Uid(named), Identity::Unix { uid, .. }) => {
                (named == uid).then_some(Closeness::Exact)
            }
            (Self::Gid(named), Identity::Unix { gid, .. }) => {
                (named == gid).then_some(Closeness::Group)
            }
            (Self::San(pattern), Identity::Certificate { san, .. }) => pattern.names(san),
            _ => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Gid(gid) => write!(f, "gid {gid}"),
            Self::San(san) => write!(f, "{san}"),
        }
    }
}

/// Of all the principals in `candidates`, what belongs to the one that names `identity` most
/// closely. No two name it equally closely: [`Settings`](crate::settings::Settings) holds no
/// principal twice, and two prefixes of one length that both fit are the same prefix.
pub fn closest<'a, T>(
    candidates: impl Iterator<Item = (&'a Principal, T)>,
    identity: &Identity,
) -> Option<T> {
    candidates
        .filter_map(|(principal, value)| Some((principal.names(identity)?, value)))
        .max_by_key(|(closeness, _)| *closeness)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn san(id: &str) -> Identity {
        let san = SpiffeId::parse(id).unwrap();
        Identity::Certificate { san, fingerprint: Sha256Hex::of(b"") }
    }

    #[test]
    fn the_closest_name_decides() {
        let pattern = |text| Principal::San(SpiffePattern::parse(text).unwrap());
        let rules = [
            (Principal::Gid(100), "group"),
            (Principal::Uid(7), "user"),
            (pattern("spiffe://corp/*"), "domain"),
            (pattern("spiffe://corp/ci/*"), "prefix"),
            (pattern("spiffe://corp/ci/one"), "exact"),
        ];
        let unix = |uid, gid| Identity::Unix { uid, gid, pid: None };
        for (identity, expected) in [
            (unix(7, 100), Some("user")),
            (unix(8, 100), Some("group")),
            (unix(100, 7), None),
            (san("spiffe://corp/ci/one"), Some("exact")),
            (san("spiffe://corp/ci/two"), Some("prefix")),
            (san("spiffe://corp/ci"), Some("domain")),
            (san("spiffe://corp.evil/ci"), None),
        ] {
            for turned in [false, true] {
                let mut rules: Vec<_> = rules.iter().map(|(who, what)| (who, *what)).collect();
                if turned {
                    rules.reverse();
                }
                assert_eq!(closest(rules.into_iter(), &identity), expected, "{identity}");
            }
        }
    }

    #[test]
    fn roles_are_ordered() {
        assert!(Role::Reader < Role::Operator && Role::Operator < Role::Admin);
    }
}
