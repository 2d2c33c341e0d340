//! The name in a client certificate: a SPIFFE ID.

use std::fmt;
use std::sync::Arc;

use super::Closeness;

/// The specification's limit.
pub const LONGEST_ID: usize = 2_048;
const LONGEST_DOMAIN: usize = 255;
const SCHEME: &str = "spiffe://";

/// A name such as `spiffe://corp.example/regtrust/admin`, spelt in the one way the specification
/// allows.
///
/// Other spellings of a URI (percent signs, upper case in the domain, dots as components, a query)
/// are refused and never made equal: an issuer that checks one spelling and a node that believes
/// another is how names are forged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId(Arc<str>);

/// A name of the configuration: a SPIFFE ID, or everything below one, written `spiffe://corp/ci/*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpiffePattern {
    Exact(SpiffeId),
    /// With the slash at the end, so that `…/ci/*` is not about `…/cinema`.
    Below(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    #[error("a name begins with `spiffe://`")]
    Scheme,
    #[error("a name has at most {LONGEST_ID} characters, its trust domain {LONGEST_DOMAIN}")]
    Length,
    #[error("a trust domain consists of lower-case letters, digits, `.`, `-` and `_`")]
    Domain,
    #[error("a name needs a path after its trust domain")]
    Bare,
    #[error("a path consists of letters, digits, `.`, `-` and `_` between single slashes")]
    Path,
}

impl SpiffeId {
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        let (domain, path) = split(text)?;
        check_domain(domain)?;
        let path = path.ok_or(SpiffeError::Bare)?;
        path.split('/').try_for_each(check_segment)?;
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SpiffePattern {
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        let Some(parent) = text.strip_suffix("/*") else {
            return SpiffeId::parse(text).map(Self::Exact);
        };
        let (domain, path) = split(parent)?;
        check_domain(domain)?;
        if let Some(path) = path {
            path.split('/').try_for_each(check_segment)?;
        }
        Ok(Self::Below([parent, "/"].concat().into()))
    }

    /// `None`: it is about another name.
    pub fn names(&self, id: &SpiffeId) -> Option<Closeness> {
        match self {
            Self::Exact(exact) => (exact == id).then_some(Closeness::Exact),
            // What follows the slash is never empty: no name ends with one.
            Self::Below(prefix) => {
                id.0.starts_with(&**prefix).then_some(Closeness::Prefix(prefix.len()))
            }
        }
    }
}

fn split(text: &str) -> Result<(&str, Option<&str>), SpiffeError> {
    if text.len() > LONGEST_ID {
        return Err(SpiffeError::Length);
    }
    let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
    Ok(rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path))))
}

fn check_domain(domain: &str) -> Result<(), SpiffeError> {
    let belongs = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if domain.len() > LONGEST_DOMAIN {
        return Err(SpiffeError::Length);
    }
    if domain.is_empty() || !domain.bytes().all(belongs) {
        return Err(SpiffeError::Domain);
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), SpiffeError> {
    let belongs = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if matches!(segment, "" | "." | "..") || !segment.bytes().all(belongs) {
        return Err(SpiffeError::Path);
    }
    Ok(())
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SpiffePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(id) => write!(f, "{id}"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spelt_in_one_way() {
        for good in ["spiffe://corp/a", "spiffe://a.b-c_d.1/Ab/c.d/..e/_-"] {
            assert_eq!(SpiffeId::parse(good).unwrap().as_str(), good);
        }
        let long = format!("spiffe://corp/{}", "a".repeat(LONGEST_ID));
        let domain = format!("spiffe://{}/a", "a".repeat(256));
        for (bad, error) in [
            ("", SpiffeError::Scheme),
            ("corp/a", SpiffeError::Scheme),
            ("https://corp/a", SpiffeError::Scheme),
            ("SPIFFE://corp/a", SpiffeError::Scheme),
            (" spiffe://corp/a", SpiffeError::Scheme),
            ("spiffe:/corp/a", SpiffeError::Scheme),
            ("spiffe:///a", SpiffeError::Domain),
            ("spiffe://Corp/a", SpiffeError::Domain),
            ("spiffe://c\u{f6}rp/a", SpiffeError::Domain),
            ("spiffe://user@corp/a", SpiffeError::Domain),
            ("spiffe://corp:443/a", SpiffeError::Domain),
            ("spiffe://corp%2e/a", SpiffeError::Domain),
            ("spiffe://corp", SpiffeError::Bare),
            ("spiffe://corp/", SpiffeError::Path),
            ("spiffe://corp/a/", SpiffeError::Path),
            ("spiffe://corp//a", SpiffeError::Path),
            ("spiffe://corp/a/../b", SpiffeError::Path),
            ("spiffe://corp/./b", SpiffeError::Path),
            ("spiffe://corp/a%2fb", SpiffeError::Path),
            ("spiffe://corp/a?b", SpiffeError::Path),
            ("spiffe://corp/a#b", SpiffeError::Path),
            ("spiffe://corp/a\0", SpiffeError::Path),
            ("spiffe://corp/a\n", SpiffeError::Path),
            ("spiffe://corp/*", SpiffeError::Path),
            (&long, SpiffeError::Length),
            (&domain, SpiffeError::Length),
        ] {
            assert_eq!(SpiffeId::parse(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let names = |pattern: &str, id: &str| {
            SpiffePattern::parse(pattern).unwrap().names(&SpiffeId::parse(id).unwrap()).is_some()
        };
        assert!(names("spiffe://corp/ci/*", "spiffe://corp/ci/a"));
        assert!(names("spiffe://corp/ci/*", "spiffe://corp/ci/a/b"));
        assert!(names("spiffe://corp/*", "spiffe://corp/a"));
        assert!(!names("spiffe://corp/ci/*", "spiffe://corp/ci"));
        assert!(!names("spiffe://corp/ci/*", "spiffe://corp/cinema"));
        assert!(!names("spiffe://corp/*", "spiffe://corp.evil/a"));
        assert!(!names("spiffe://corp/ci", "spiffe://corp/ci/a"));
        for bad in
            ["*", "spiffe://*", "spiffe://*/a", "spiffe://corp/c*", "spiffe://corp/*/a", "/*"]
        {
            assert!(SpiffePattern::parse(bad).is_err(), "{bad}");
        }
    }
}
