//! The grammar of a host and its port.
//!
//! It is the reference grammar of docker and containerd, narrowed: one spelling for each registry,
//! no name that either of them reads as something else, none that DNS could not know.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::fault::HostFault;
use super::{RegistryHost, Scheme};

const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 253;

/// A host in lower case or canonical digits, and its port.
#[derive(Debug)]
pub(super) struct Authority {
    name: String,
    port: Option<u16>,
}

impl Authority {
    pub(super) fn parse(text: &str) -> Result<Self, HostFault> {
        let (name, port) =
            if text.starts_with('[') { split_ipv6(text)? } else { split_name(text)? };
        Ok(Self { name, port: port.map(parse_port).transpose()? })
    }

    /// Spells the port as image references do when the address came with a scheme.
    ///
    /// The scheme's own port is not written, except behind a name without a dot: without a port
    /// that one would not be a registry.
    pub(super) fn with_scheme(mut self, scheme: Option<Scheme>) -> Self {
        let default = scheme.map(Scheme::default_port);
        if self.is_single_word() {
            self.port = self.port.or(default);
        } else if self.port == default {
            self.port = None;
        }
        self
    }

    pub(super) fn into_host(self) -> Result<RegistryHost, HostFault> {
        match self.port {
            Some(port) => Ok(RegistryHost(format!("{}:{port}", self.name).into())),
            None if self.is_single_word() => Err(HostFault::SingleLabel(self.name)),
            None => Ok(RegistryHost(self.name.into())),
        }
    }

    /// Whether runtimes would take `name/image` for a repository on Docker Hub.
    fn is_single_word(&self) -> bool {
        !self.name.contains(['.', ':']) && self.name != "localhost"
    }
}

fn split_ipv6(text: &str) -> Result<(String, Option<&str>), HostFault> {
    let inside = text.strip_prefix('[').unwrap_or(text);
    let (inside, after) = inside.split_once(']').ok_or(HostFault::Ipv6)?;
    if inside.contains('%') {
        return Err(HostFault::Zone);
    }
    let ip: Ipv6Addr = inside.parse().map_err(|_| HostFault::Ipv6)?;
    if let Some(ip) = ip.to_ipv4_mapped() {
        return Err(HostFault::MappedIpv4(ip));
    }
    match after.strip_prefix(':') {
        None if after.is_empty() => Ok((format!("[{ip}]"), None)),
        None => Err(HostFault::Ipv6),
        port => Ok((format!("[{ip}]"), port)),
    }
}

fn split_name(text: &str) -> Result<(String, Option<&str>), HostFault> {
    let (name, port) = match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => return Err(several_colons(text)),
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    Ok((parse_name(name)?, port))
}

fn several_colons(text: &str) -> HostFault {
    match text.parse() {
        Ok(ip) => HostFault::BareIpv6(ip),
        Err(_) if text.contains('%') => HostFault::Zone,
        Err(_) => HostFault::Colons,
    }
}

fn parse_name(name: &str) -> Result<String, HostFault> {
    match name {
        "" => return Err(HostFault::NoHost),
        "." | ".." => return Err(HostFault::Relative),
        "_default" => return Err(HostFault::CatchAll),
        _ => {}
    }
    // `harbor.corp.` is DNS's way to say that nothing may be appended. Image references cannot
    // say it, so it can mean no other registry than `harbor.corp`.
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name.chars().try_for_each(check_character)?;
    if name.len() > LONGEST_NAME {
        return Err(HostFault::LongName(name.len()));
    }
    name.split('.').try_for_each(check_label)?;
    if ends_in_a_number(&name) {
        let ip: Ipv4Addr = name.parse().map_err(|_| HostFault::Ipv4)?;
        return Ok(ip.to_string());
    }
    Ok(name)
}

fn check_character(character: char) -> Result<(), HostFault> {
    match character {
        '_' => Err(HostFault::Underscore),
        '%' => Err(HostFault::Percent),
        '-' | '.' => Ok(()),
        other if other.is_ascii_alphanumeric() => Ok(()),
        other => Err(HostFault::Character(other)),
    }
}

fn check_label(label: &str) -> Result<(), HostFault> {
    if label.is_empty() {
        return Err(HostFault::EmptyLabel);
    }
    if label.len() > LONGEST_LABEL {
        return Err(HostFault::LongLabel(label.len()));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(HostFault::Hyphen(label.to_owned()));
    }
    Ok(())
}

/// No top-level domain is a number, and resolvers disagree about `127.1`, `017.0.0.1` and
/// `0x7f000001`: some dial 127.0.0.1, which docker believes without TLS.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    let is_hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    is_hexadecimal || last.bytes().all(|digit| digit.is_ascii_digit())
}

fn parse_port(port: &str) -> Result<u16, HostFault> {
    if port.is_empty() {
        return Err(HostFault::NoPort);
    }
    if !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(HostFault::PortDigits(port.chars().take(20).collect()));
    }
    if port.len() > 1 && port.starts_with('0') {
        return Err(HostFault::PortDigits(port.chars().take(20).collect()));
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(HostFault::PortRange(port.chars().take(20).collect())),
        Ok(port) => Ok(port),
    }
}
