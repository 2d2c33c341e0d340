//! One registry as its owner wants it: checked, complete, and the same for every runtime.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::certificate::{CaBundle, ClientPair};
use super::host::RegistryHost;

/// How far a registry is believed. What each value becomes on a runtime is for `target` to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The runtime's own roots.
    System,
    /// The runtime's own roots and this bundle, for this registry only.
    Ca(CaBundle),
    /// TLS without verification; never plain HTTP.
    SkipVerify,
    /// Plain HTTP only.
    Http,
    /// Docker's meaning: TLS without verification, else plain HTTP.
    Insecure,
}

impl Trust {
    /// The word in a declaration.
    pub fn word(&self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Ca(_) => "ca",
            Self::SkipVerify => "skip-verify",
            Self::Http => "http",
            Self::Insecure => "insecure",
        }
    }

    /// Whether a forged server would be believed.
    pub fn is_unverified(&self) -> bool {
        matches!(self, Self::SkipVerify | Self::Http | Self::Insecure)
    }

    pub fn ca(&self) -> Option<&CaBundle> {
        match self {
            Self::Ca(bundle) => Some(bundle),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    Docker,
    Containerd,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    Pull,
    Resolve,
    Push,
}

impl Capability {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Resolve => "resolve",
            Self::Push => "push",
        }
    }
}

/// Another place that serves the same images, tried before the registry itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    pub host: RegistryHost,
    /// Normalised: `""`, or begins with a slash and does not end with one.
    pub path: String,
    /// Never [`Trust::Http`] with an `https://` address, nor the reverse: parsing checked it.
    pub trust: Trust,
    /// Never empty.
    pub capabilities: BTreeSet<Capability>,
}

impl Mirror {
    /// The address as runtimes want it written; for an insecure one the first of two, whatever
    /// scheme its declaration has: TLS without verification is tried before plain HTTP.
    pub fn url(&self) -> String {
        let scheme = if self.trust == Trust::Http { "http" } else { "https" };
        format!("{scheme}://{}{}", self.host, self.path)
    }
}

/// Where an entry was declared, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// `local` for drop-in files.
    pub owner: Arc<str>,
    /// The file, as a path on the node; for what was applied over the API the one it is kept in.
    /// Shared by all that are declared in it.
    pub file: Arc<str>,
    /// 0: not known. A generation does not keep it, because a comment above an entry moves it.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self.owner != *super::declaration::LOCAL {
            return write!(f, "owner `{}`", self.owner);
        }
        f.write_str(&self.file)?;
        if self.line == 0 { Ok(()) } else { write!(f, ":{}", self.line) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub host: RegistryHost,
    pub trust: Trust,
    pub client: Option<ClientPair>,
    /// Only ever true with [`Trust::Ca`] whose certificates are all authorities.
    pub system_store: bool,
    pub reason: Option<String>,
    pub until: Option<Timestamp>,
    /// `None`: every runtime that is present. `Some` also *asks for* the runtime, which is what
    /// lets containerd's `config_path` be set where nothing else shows that CRI is used.
    pub runtimes: Option<BTreeSet<Runtime>>,
    pub mirrors: Vec<Mirror>,
    /// Whether the registry itself is tried after its mirrors.
    pub fallback: bool,
    pub origin: Origin,
}

impl Entry {
    /// Whether the runtimes are told the same by both. For whom and for how long is another question,
    /// and so is who says so.
    pub fn trusts_like(&self, other: &Self) -> bool {
        self.told() == other.told()
    }

    fn told(&self) -> impl PartialEq {
        // Without `..`: a new field does not compile until somebody has decided on which side it is.
        let Self {
            host,
            trust,
            client,
            system_store,
            mirrors,
            fallback,
            reason: _,
            until: _,
            runtimes: _,
            origin: _,
        } = self;
        (host, trust, client, system_store, mirrors, fallback)
    }

    pub fn is_for(&self, runtime: Runtime) -> bool {
        self.runtimes.as_ref().is_none_or(|runtimes| runtimes.contains(&runtime))
    }

    pub fn asks_for(&self, runtime: Runtime) -> bool {
        self.runtimes.as_ref().is_some_and(|runtimes| runtimes.contains(&runtime))
    }

    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}
