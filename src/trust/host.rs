//! Registry hosts, checked once at the edge.
//!
//! Input is forgiven where it can mean only one registry, and refused with a reason everywhere
//! else. What is forgiven: white space and a byte-order mark around it, `http://`, `https://` and
//! `oci://` in any case, upper case, slashes at the end, one dot at the end, Docker Hub's other
//! names, and the API's own paths (see [`Address::path`]).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text;

mod address;
mod fault;
mod name;
#[cfg(test)]
mod tests;

pub use fault::{HostError, HostFault};

/// A registry as image references spell it: `name`, `name:port` or `[v6]:port`.
///
/// A value of this type is safe as a single path component. Docker and containerd name a directory
/// after each registry, so this type is all that stands between an API caller and `../../etc`.
/// `name` and `name:443` are different registries, because to docker and containerd they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryHost(Arc<str>);

/// What an address said besides the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: RegistryHost,
    /// `http`, `https`: ambiguous on its own, because people paste `http://` before TLS registries.
    /// `oci://` says nothing about TLS, so it is `None` like no scheme at all.
    pub scheme: Option<Scheme>,
    /// Everything after the host, without a trailing slash: `""` or `/lib/proxy`.
    ///
    /// `/v1`, `/v2`, `/v1/_ping` and `/v2/_catalog` are the API of a registry that lies at the
    /// root, so alone they are `""`. Anything longer is kept whole, because a mirror's `/v2/proxy`
    /// is where it lies.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl RegistryHost {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the port; an IPv6 address keeps its brackets.
    pub fn name(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &self.0,
        }
    }

    pub fn port(&self) -> Option<u16> {
        self.0.strip_prefix(self.name())?.strip_prefix(':')?.parse().ok()
    }

    pub fn ip(&self) -> Option<IpAddr> {
        self.name().trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == "docker.io"
    }

    /// The directory that containerd looks for before the one with this host's own name.
    ///
    /// It was made for file systems without colons, and an empty one hides the real directory. A
    /// port-less IPv6 address has one too: containerd cuts at the last colon, whatever it divides,
    /// and looks for `[:_1]_`.
    pub fn containerd_alias(&self) -> Option<String> {
        self.0.rsplit_once(':').map(|(name, port)| format!("{name}_{port}_"))
    }
}

impl Address {
    /// Understands what people paste where a registry is named.
    ///
    /// A scheme's default port is dropped, because image references do not write it: the images of
    /// `https://harbor.corp:443/` are called `harbor.corp/…`. Without a scheme the text is taken
    /// for the start of an image reference, and there `harbor.corp:443` is another registry.
    ///
    /// A name without a dot is the exception: runtimes take it for a registry only with a port, so
    /// `https://registry/` is `registry:443`, and a bare `registry` is refused.
    pub fn parse(input: &str) -> Result<Self, HostError> {
        address::parse(input, address::Role::Registry)
    }

    /// Understands the address of a mirror.
    ///
    /// It is dialled, not looked up, so Docker Hub's server keeps its own name here: nothing
    /// answers as a registry at `docker.io`.
    pub fn parse_mirror(input: &str) -> Result<Self, HostError> {
        address::parse(input, address::Role::Mirror)
    }
}

impl FromStr for RegistryHost {
    type Err = HostError;

    fn from_str(host: &str) -> Result<Self, Self::Err> {
        Address::parse(host).map(|address| address.host)
    }
}

/// The way back from what was stored: the host alone, which must come back as the same value. So
/// Docker Hub's server, as a mirror, is not turned into Docker Hub here.
impl TryFrom<String> for RegistryHost {
    type Error = HostError;

    fn try_from(host: String) -> Result<Self, Self::Error> {
        address::parse_stored(&host)
    }
}

impl<'de> Deserialize<'de> for RegistryHost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, address::parse_stored)
    }
}

impl Serialize for RegistryHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
impl RegistryHost {
    pub(crate) fn unchecked(host: &str) -> Self {
        Self(host.into())
    }
}
