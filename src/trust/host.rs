//! Registry hosts, checked once at the edge.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A registry as image references spell it: `name`, `name:port` or `[v6]:port`.
///
/// A value of this type is safe as a single path component. Docker and containerd name a directory
/// after each registry, so this type is all that stands between an API caller and `../../etc`.
/// `name` and `name:443` are different registries, because to docker and containerd they are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistryHost(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("the registry host is empty")]
    Empty,
}

/// What an address said besides the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: RegistryHost,
    /// `http`, `https`: ambiguous on its own, because people paste `http://` before TLS registries.
    pub scheme: Option<Scheme>,
    /// Everything after the host, without a trailing slash: `""` or `/lib/proxy`.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
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
}

impl Address {
    /// Understands what people paste: schemes, paths, upper case, Docker Hub's other names.
    pub fn parse(_input: &str) -> Result<Self, HostError> {
        Err(HostError::Empty)
    }
}

impl FromStr for RegistryHost {
    type Err = HostError;

    fn from_str(host: &str) -> Result<Self, Self::Err> {
        Address::parse(host).map(|address| address.host)
    }
}

impl TryFrom<String> for RegistryHost {
    type Error = HostError;

    fn try_from(host: String) -> Result<Self, Self::Error> {
        host.parse()
    }
}

impl From<RegistryHost> for String {
    fn from(host: RegistryHost) -> Self {
        host.0.to_string()
    }
}

impl fmt::Display for RegistryHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
