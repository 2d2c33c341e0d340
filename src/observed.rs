//! What was seen on the node, as plain values. Pure: `node` fills them in.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::node_path;
use crate::path::NodePath;

mod files;

pub use files::{Directory, Files, Nearby};

/// What a path held. A path that is not in [`Files`] held nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// `immutable` is `chattr +i` or `+a`: even root's rename over it is refused.
    File {
        content: Content,
        mode: u32,
        immutable: bool,
    },
    /// Never followed where we write: whatever manages the link's target would lose its file.
    Symlink {
        to: String,
    },
    Directory,
    /// A socket, a device, a pipe.
    Other,
    Unreadable {
        error: String,
    },
}

/// `26.1.5`, from whatever a package calls it: `26.1.5+dfsg1-9`, `5:24.0.7-1~ubuntu`, `v2.1.9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a version such as `26.1.5`")]
pub struct VersionError {
    text: String,
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || VersionError { text: text.to_owned() };
        let upstream = text.split_once(':').map_or(text, |(_epoch, rest)| rest);
        let upstream = upstream.strip_prefix('v').unwrap_or(upstream);
        let numeric = upstream.split(|c: char| !c.is_ascii_digit() && c != '.').next();
        let mut parts = numeric.unwrap_or_default().split('.').filter(|part| !part.is_empty());
        let mut next = || parts.next().map(str::parse).transpose().map_err(|_| error());
        let major = next()?.ok_or_else(error)?;
        let minor = next()?.ok_or_else(error)?;
        Ok(Self { major, minor, patch: next()?.unwrap_or(0) })
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Whether a daemon runs from this tree, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// A tree that is no live system, or a daemon that is stopped: it reads its files when it
    /// starts, so nothing needs an effect.
    No,
    Since(Timestamp),
    /// It may run; whoever needs to know must assume that it does.
    Unknown,
}

/// A flag that dockerd is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Without dashes: `insecure-registry`.
    pub name: String,
    /// Empty for a bare `--flag`.
    pub value: String,
    /// The file that sets it, for the message.
    pub source: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// Unknown means: assume the least able one, and say so.
    pub version: Option<Version>,
    pub running: Running,
    pub flags: Vec<Flag>,
}

impl Docker {
    /// The values of one flag, with the file that gave each.
    pub fn flag<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Flag> {
        self.flags.iter().filter(move |flag| flag.name == name)
    }

    pub fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.version.is_some_and(|version| version >= Version::new(major, minor, 0))
    }

    pub fn is_before(&self, major: u32, minor: u32) -> bool {
        self.version.is_some_and(|version| version < Version::new(major, minor, 0))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CriUse {
    /// With what shows it: "kubelet is installed".
    Used(String),
    /// Nothing pulls through CRI here, so a restart for `config_path` would buy nothing.
    NotSeen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containerd {
    /// Unknown means: the portable hosts.toml, and hands off config.toml.
    pub version: Option<Version>,
    pub running: Running,
    pub cri: CriUse,
    /// The files that config.toml's `imports` names, in the order they are merged.
    pub imports: Vec<NodePath>,
}

impl Containerd {
    pub fn is_before(&self, major: u32, minor: u32) -> bool {
        self.version.is_some_and(|version| version < Version::new(major, minor, 0))
    }
}

/// How a distribution keeps the CAs that every program trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaLayout {
    Debian,
    Alpine,
    Redhat,
    Suse,
    Arch,
}

impl CaLayout {
    /// Where CAs are dropped for the distribution's tool to pick up.
    pub fn anchors(self) -> NodePath {
        match self {
            Self::Debian | Self::Alpine => node_path!("usr/local/share/ca-certificates"),
            Self::Redhat => node_path!("etc/pki/ca-trust/source/anchors"),
            Self::Suse => node_path!("etc/pki/trust/anchors"),
            Self::Arch => node_path!("etc/ca-certificates/trust-source/anchors"),
        }
    }

    /// The bundle that the tool writes and programs read.
    pub fn bundle(self) -> NodePath {
        match self {
            Self::Debian | Self::Alpine => node_path!("etc/ssl/certs/ca-certificates.crt"),
            Self::Redhat => node_path!("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
            Self::Suse => node_path!("var/lib/ca-certificates/ca-bundle.pem"),
            Self::Arch => node_path!("etc/ca-certificates/extracted/tls-ca-bundle.pem"),
        }
    }
}

/// A container engine that is here but is not managed, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unmanaged {
    /// "docker from a snap", "rootless docker of `ann`".
    pub what: String,
    /// What shows it.
    pub path: String,
    pub cure: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub files: Files,
    pub docker: Option<Docker>,
    pub containerd: Option<Containerd>,
    pub ca_layout: Option<CaLayout>,
    /// When the distribution's tool, or whoever, last wrote the bundle; `None`: it was not looked
    /// at, or is not there.
    pub bundle_written: Option<Timestamp>,
    pub unmanaged: Vec<Unmanaged>,
    /// `false` for an image tree or a chroot, where nothing runs.
    pub live: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_packages_call_them() {
        for (text, version) in [
            ("26.1.5+dfsg1-9+b7", Version::new(26, 1, 5)),
            ("5:24.0.7-1~ubuntu.22.04~jammy", Version::new(24, 0, 7)),
            ("1.6.20~ds1-1+deb12u1", Version::new(1, 6, 20)),
            ("v2.1.9", Version::new(2, 1, 9)),
            ("20.10", Version::new(20, 10, 0)),
        ] {
            assert_eq!(text.parse::<Version>().unwrap(), version, "{text}");
        }
        for text in ["", "latest", "26", "v", ".."] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
