//! What dockerd accepts in `insecure-registries` and `registry-mirrors`.
//!
//! `dockerd --validate` says "configuration OK" to nonsense such as `foo://x`, with which dockerd
//! then does not start. So the rules are here again, per version: nothing that regtrust writes may
//! be refused by any docker from 20.10 to 29, and an element of somebody else that this docker
//! refuses would make it refuse ours with it.

use std::net::IpAddr;

use crate::observed::Docker;

/// What changed between versions. The default is what every version accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Grammar {
    /// From 25 on: `[fd00::1]` without a port.
    bare_brackets: bool,
    /// From 25 on: a mirror may have a path.
    mirror_paths: bool,
    /// Up to 28: `10.0.0.0/08`.
    padded_prefix: bool,
}

impl Grammar {
    /// An unknown version is taken for the least able one.
    pub(crate) fn of(docker: &Docker) -> Self {
        Self {
            bare_brackets: docker.is_at_least(25, 0),
            mirror_paths: docker.is_at_least(25, 0),
            padded_prefix: docker.is_before(29, 0),
        }
    }

    pub(crate) fn accepts_insecure(self, element: &str) -> bool {
        let rest = without_scheme(element);
        self.accepts_cidr(rest) || self.accepts_host_port(rest)
    }

    fn accepts_cidr(self, text: &str) -> bool {
        let padded =
            text.rsplit_once('/').is_some_and(|(_, bits)| bits.len() > 1 && bits.starts_with('0'));
        Cidr::parse(text).is_some() && (self.padded_prefix || !padded)
    }

    fn accepts_host_port(self, text: &str) -> bool {
        let (host, port) = split_host_port(text).unwrap_or((text, ""));
        let port_fits = port.is_empty() || is_port(port);
        port_fits && (self.is_domain(text) || host.parse::<IpAddr>().is_ok())
    }

    /// The `domain` of an image reference, with or without a port.
    fn is_domain(self, text: &str) -> bool {
        let host = match text.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && is_digits(port) => host,
            _ => text,
        };
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match bracketed {
            Some(inside) => {
                let hex = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
                self.bare_brackets && !inside.is_empty() && inside.bytes().all(hex)
            }
            None => host.split('.').all(is_label),
        }
    }

    pub(crate) fn accepts_mirror(self, url: &str) -> bool {
        let control = |byte: u8| byte < b' ' || byte == 0x7f;
        let Some(rest) = http_scheme(url) else { return false };
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if url.bytes().any(control) || !fragment.is_empty() || !query.is_empty() {
            return false;
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let path_fits = matches!(path, "" | "/") || (self.mirror_paths && escapes_are_whole(path));
        path_fits && is_authority(authority)
    }
}

/// Docker strips a scheme in any case, with a warning in its log.
pub(crate) fn without_scheme(element: &str) -> &str {
    http_scheme(element).unwrap_or(element)
}

fn http_scheme(text: &str) -> Option<&str> {
    ["http://", "https://"].into_iter().find_map(|scheme| {
        let start = text.get(..scheme.len())?;
        if start.eq_ignore_ascii_case(scheme) { text.get(scheme.len()..) } else { None }
    })
}

/// Go's `net.SplitHostPort`.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inside) => Some((inside.strip_suffix(']')?, port)),
        None if host.contains(':') => None,
        None => Some((host, port)),
    }
}

/// What Go's `url.Parse` takes between `//` and the path, without the user that docker forbids.
fn is_authority(text: &str) -> bool {
    let after_brackets = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((inside, after)) if inside.parse::<IpAddr>().is_ok() => after,
            _ => return false,
        },
        None => text.find(':').and_then(|at| text.get(at..)).unwrap_or_default(),
    };
    let name = text.strip_suffix(after_brackets).unwrap_or(text);
    let port = after_brackets.strip_prefix(':');
    let port_fits = after_brackets.is_empty() || port.is_some_and(is_digits);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:[]<>\"".contains(c);
    port_fits && !name.is_empty() && name.chars().all(|c| plain(c) || !c.is_ascii())
}

fn escapes_are_whole(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        rest.get(..2).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    })
}

fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(plain)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_port(text: &str) -> bool {
    is_digits(text) && text.parse::<u32>().is_ok_and(|port| port <= 65_535)
}

/// A range of addresses, as in `insecure-registries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    base: IpAddr,
    bits: u32,
}

impl Cidr {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/')?;
        let base: IpAddr = base.parse().ok()?;
        if bits.is_empty() || !is_digits(bits) {
            return None;
        }
        let bits: u32 = bits.parse().ok()?;
        match base {
            IpAddr::V4(_) if bits > 32 => None,
            IpAddr::V6(_) if bits > 128 => None,
            // Go takes `::ffff:10.0.0.0/104` for `10.0.0.0/8`.
            IpAddr::V6(_) if bits >= 96 && base.to_canonical().is_ipv4() => {
                Some(Self { base: base.to_canonical(), bits: bits - 96 })
            }
            _ => Some(Self { base, bits }),
        }
    }

    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => {
                let differing = u32::from(base) ^ u32::from(ip);
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(base), IpAddr::V6(ip)) => {
                let differing = u128::from(base) ^ u128::from(ip);
                differing.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::{Running, Version};

    fn of(version: &str) -> Grammar {
        let version: Option<Version> = version.parse().ok();
        Grammar::of(&Docker { version, running: Running::No, flags: vec![] })
    }

    #[test]
    fn what_every_docker_accepts_as_insecure() {
        for element in [
            "harbor.corp",
            "harbor.corp:8443",
            "Harbor.Corp",
            "registry:0",
            "registry:65535",
            "10.0.0.1:5000",
            "10.0.0.0/8",
            "fd00::/8",
            "fd00::1",
            "[fd00::1]:5000",
            "http://harbor.corp:5000",
            "HTTPS://harbor.corp",
        ] {
            assert!(Grammar::default().accepts_insecure(element), "{element}");
            assert!(of("20.10.24").accepts_insecure(element), "{element}");
            assert!(of("29.1.0").accepts_insecure(element), "{element}");
        }
    }

    /// `dockerd --validate` of 26 and 28 accepts these, and the daemon then does not start.
    #[test]
    fn what_no_docker_starts_with() {
        for element in [
            "",
            "foo://x",
            "http://https://x",
            "a b",
            "a:99999",
            "a:",
            "a:x",
            "a:5000/foo",
            "harbor.corp/",
            "10.0.0.0/99",
            "10.0.0.0/",
            "fd00::/129",
            "-a",
            "a-",
            "a-.b",
            "a..b",
            "under_score",
            "*.corp",
            "ü.corp",
            "[fd00::1",
        ] {
            for version in ["20.10.24", "26.1.5", "28.5.2", "29.1.0", "unknown"] {
                assert!(!of(version).accepts_insecure(element), "{element} on {version}");
            }
        }
    }

    #[test]
    fn what_only_some_accept_as_insecure() {
        let accepted = |element: &str, version: &str| of(version).accepts_insecure(element);
        assert!(!accepted("[fd00::1]", "24.0.9") && accepted("[fd00::1]", "25.0.0"));
        assert!(accepted("10.0.0.0/08", "28.5.2") && !accepted("10.0.0.0/08", "29.0.0"));
        assert!(!accepted("[fd00::1]", "unknown") && !accepted("10.0.0.0/08", "unknown"));
    }

    #[test]
    fn mirrors_need_a_scheme_and_nothing_but_a_host_and_since_25_a_path() {
        for url in ["https://m.corp", "http://m.corp:80/", "HTTPS://m", "https://[fd00::1]:5"] {
            assert!(Grammar::default().accepts_mirror(url), "{url}");
        }
        for url in [
            "m.corp",
            "ftp://m",
            "https://u:p@m",
            "https://m?x=1",
            "https://m#x",
            "https://m:port",
            "https://a b",
            "https://m/%zz",
            "https://m\n",
            "https://[x]",
            "",
        ] {
            assert!(!of("28.5.2").accepts_mirror(url), "{url:?}");
        }
        assert!(!of("24.0.9").accepts_mirror("https://m/proxy"));
        assert!(of("25.0.0").accepts_mirror("https://m/proxy%20x"));
    }

    #[test]
    fn a_range_contains_its_addresses_only() {
        let contains = |range: &str, ip: &str| {
            Cidr::parse(range).is_some_and(|range| range.contains(ip.parse().unwrap()))
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "8.8.8.8"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fd12::1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(!contains("10.0.0.1/32", "10.0.0.2"));
    }
}
