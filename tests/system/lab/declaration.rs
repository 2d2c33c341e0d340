//! Declarations as cases write them.

use std::fmt;

use super::certificates::Identity;

/// The text of one `[[registry]]`.
#[derive(Clone, Debug)]
pub(crate) struct Declaration(String);

impl Declaration {
    pub(crate) fn of(host: &str, trust: &str) -> Self {
        Self("[[registry]]\n".to_owned()).text("host", host).text("trust", trust)
    }

    /// `trust = "ca"` with this authority.
    pub(crate) fn ca(host: &str, authority: &str) -> Self {
        Self::of(host, "ca").text("ca", authority)
    }

    /// The certificate and key to show to a registry that demands one.
    pub(crate) fn client(self, client: &Identity) -> Self {
        self.text("client_cert", &client.chain).text("client_key", &client.key)
    }

    /// Only `docker`, only `containerd`. Naming containerd also says that images are pulled through
    /// its CRI here.
    pub(crate) fn only(self, runtime: &str) -> Self {
        self.line(&format!("runtimes = [\"{runtime}\"]"))
    }

    /// Anything else, a `[[registry.mirror]]` too, which has to come last.
    pub(crate) fn line(self, line: &str) -> Self {
        Self(self.0 + line + "\n")
    }

    fn text(self, key: &str, value: &str) -> Self {
        self.line(&format!("{key} = '''{value}'''"))
    }
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
