//! Which hosts a rule is about.

use std::fmt;

use crate::trust::host::RegistryHost;

/// A registry host in which each `*` stands for any characters, or none.
///
/// It is compared with the whole host as image references spell it, port included: `*.corp` is
/// `harbor.corp` and `a.b.corp`, but neither `corp` nor `harbor.corp:8443`; `harbor.corp:*` is
/// `harbor.corp` on every written port; `*` is every host. Nothing but `*` is special, and an IPv6
/// address keeps its brackets.
///
/// A list that forbids looks at the host without its port as well, or `evil.corp` could come back
/// as `evil.corp:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternError {
    pub(crate) message: String,
    pub(crate) cure: String,
}

impl Pattern {
    /// A text without `*` is read like a declared host, so `https://Harbor.corp/` and Docker Hub's
    /// other names mean here what they mean there.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.contains('*') {
            return text
                .parse::<RegistryHost>()
                .map(|host| Self(host.to_string()))
                .map_err(|error| PatternError { message: error.message(), cure: error.cure() });
        }
        let pattern = text.to_ascii_lowercase();
        let belongs = |c: char| c.is_ascii_alphanumeric() || "-.:[]*".contains(c);
        match pattern.chars().find(|c| !belongs(*c)) {
            None => Ok(Self(pattern)),
            Some(c) => Err(PatternError {
                message: format!("a host pattern cannot contain `{}`", c.escape_debug()),
                cure: "write hosts such as `*.corp` or `harbor.corp:*`".to_owned(),
            }),
        }
    }

    pub fn matches(&self, host: &RegistryHost) -> bool {
        glob(&self.0, host.as_str()) || is_hub(host.as_str()) && glob(&self.0, HUB)
    }

    /// For lists that forbid.
    pub fn covers(&self, host: &RegistryHost) -> bool {
        self.matches(host)
            || glob(&self.0, host.name())
            || is_hub(host.name()) && glob(&self.0, HUB)
    }
}

const HUB: &str = "docker.io";

/// Docker Hub as a mirror keeps its server's name, and a rule for Docker Hub is for it too.
fn is_hub(name: &str) -> bool {
    name == "registry-1.docker.io"
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Takes the pieces between the stars from left to right, each as early as it can be found, which
/// is right because a star gives nothing back that a later one could need. Never exponential.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.split_once(piece) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_characters_and_nothing_else_is_special() {
        for (pattern, host, matches) in [
            ("harbor.corp", "harbor.corp", true),
            ("harbor.corp", "harbor.corp:443", false),
            ("Harbor.CORP", "harbor.corp", true),
            ("https://harbor.corp/", "harbor.corp", true),
            ("index.docker.io", "docker.io", true),
            ("harbor.corp:*", "harbor.corp:5000", true),
            ("harbor.corp:*", "harbor.corp", false),
            ("*.corp", "harbor.corp", true),
            ("*.corp", "a.b.corp", true),
            ("*.corp", "harbor.corp:5000", false),
            ("*.corp", "harbor.corp.evil.com", false),
            ("*.corp", "evilcorp.com", false),
            ("*", "[2001:db8::1]:5000", true),
            ("[2001:db8::*", "[2001:db8::1]:5000", true),
            ("a*b*c.io", "a-b-b-c.io", true),
            ("a*b*c.io", "a-c-b.io", false),
            ("ab*ba.io", "aba.io", false),
            ("10.0.0.*", "10.0.0.7:5000", true),
            ("**.corp", "x.corp", true),
        ] {
            let host: RegistryHost = host.parse().unwrap();
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(&host),
                matches,
                "{pattern} {host}"
            );
        }
    }

    #[test]
    fn what_is_forbidden_does_not_come_back_with_a_port() {
        let host: RegistryHost = "evil.corp:443".parse().unwrap();
        for pattern in ["evil.corp", "evil.corp:443", "*.corp", "evil.corp:*"] {
            assert!(Pattern::parse(pattern).unwrap().covers(&host), "{pattern}");
        }
        assert!(!Pattern::parse("evil.corp:5000").unwrap().covers(&host));
    }

    #[test]
    fn docker_hub_is_the_same_when_it_is_a_mirror() {
        use crate::trust::host::Address;

        for mirror in ["https://docker.io", "https://registry-1.docker.io:8443"] {
            let host = Address::parse_mirror(mirror).unwrap().host;
            for pattern in ["docker.io", "index.docker.io", "registry-1.docker.io", "docker.*"] {
                assert!(Pattern::parse(pattern).unwrap().covers(&host), "{pattern} {host}");
            }
        }
    }

    #[test]
    fn a_pattern_that_no_host_could_match_is_refused() {
        for pattern in ["", "https://*.corp", "*.corp/lib", "*.cörp", "* .corp", "?.corp*", "a_*"]
        {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
