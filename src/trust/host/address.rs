//! Takes an address apart: scheme, authority, path.

use super::fault::{AT_SIGNS, HostError, HostFault};
use super::name::Authority;
use super::{Address, RegistryHost, Scheme};

/// A path goes into the URL of a mirror and is compared with what others wrote; nobody needs more.
const LONGEST_PATH: usize = 255;

/// Paths that every registry answers at its root. They say how it was asked, not where it lies.
const API: [&str; 4] = ["/v1", "/v2", "/v1/_ping", "/v2/_catalog"];

/// What an address is used for, where that makes a difference: Docker Hub.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Registry,
    Mirror,
}

pub(super) fn parse(input: &str, role: Role) -> Result<Address, HostError> {
    understand(input, role).map_err(|fault| HostError::new(input, fault))
}

fn understand(input: &str, role: Role) -> Result<Address, HostFault> {
    let text = trimmed(input);
    if text.is_empty() {
        return Err(HostFault::Empty);
    }
    check_characters(text)?;
    let (scheme, rest) = split_scheme(text)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err(HostFault::NoHost);
    }
    let authority = Authority::parse(authority)?.with_scheme(scheme).into_host()?;
    Ok(Address { host: docker_hub(authority, role), scheme, path: normal_path(path)? })
}

/// Reads what a [`RegistryHost`] wrote: the host alone, and no other name for it.
pub(super) fn parse_stored(host: &str) -> Result<RegistryHost, HostError> {
    check_characters(host)
        .and_then(|()| Authority::parse(host))
        .and_then(Authority::into_host)
        .map_err(|fault| HostError::new(host, fault))
}

/// A byte-order mark comes with text that an editor saved, and says as little as a space does.
fn trimmed(input: &str) -> &str {
    input.trim_matches(|character: char| character.is_whitespace() || character == '\u{feff}')
}

fn check_characters(text: &str) -> Result<(), HostFault> {
    // What nearly every address is made of, at a glance.
    let is_usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:/_".contains(&byte);
    if text.bytes().all(is_usual) {
        return Ok(());
    }
    // First, so that no other reason can name a character of a password.
    if text.contains(AT_SIGNS) {
        return Err(HostFault::Userinfo);
    }
    text.chars().try_for_each(check_character)
}

/// Refuses, by its own name, every character that has no place anywhere in an address.
fn check_character(character: char) -> Result<(), HostFault> {
    Err(match character {
        '\0' => HostFault::Nul,
        '\u{1b}' | '\u{9b}' => HostFault::Escape,
        control if control.is_control() => HostFault::Control(control.into()),
        space if space.is_whitespace() => HostFault::Space,
        '"' | '\'' | '`' | '‘' | '’' | '‚' | '“' | '”' | '„' | '«' | '»' => {
            HostFault::Quotes
        }
        '?' => HostFault::Query,
        '#' => HostFault::Fragment,
        '\\' => HostFault::Backslash,
        ',' | ';' => HostFault::Several,
        '*' | '{' | '}' => HostFault::Pattern,
        ascii if ascii.is_ascii() => return Ok(()),
        letter if letter.is_alphanumeric() => HostFault::NotAscii(letter),
        other => HostFault::Invisible(other.into()),
    })
}

fn split_scheme(text: &str) -> Result<(Option<Scheme>, &str), HostFault> {
    match text.split_once("://") {
        // What stands before it is a host with a path, so this is no scheme's end.
        Some((before, _)) if before.contains('/') => Ok((None, text)),
        Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
            "https" => Ok((Some(Scheme::Https), rest)),
            "http" => Ok((Some(Scheme::Http), rest)),
            "oci" => Ok((None, rest)),
            _ => Err(HostFault::Scheme),
        },
        None => Ok((None, text)),
    }
}

/// Docker Hub is looked up as `docker.io` by every runtime, and dialled as `registry-1.docker.io`.
///
/// `registry.hub.docker.com` also answers, but images named with it are looked up by that name, so
/// it stays a registry of its own.
fn docker_hub(host: RegistryHost, role: Role) -> RegistryHost {
    match (role, host.as_str()) {
        (Role::Registry, "index.docker.io" | "registry-1.docker.io") => {
            RegistryHost("docker.io".into())
        }
        (Role::Mirror, "docker.io") => RegistryHost("registry-1.docker.io".into()),
        _ => host,
    }
}

fn normal_path(path: &str) -> Result<String, HostFault> {
    let path = path.trim_end_matches('/');
    if path.len() > LONGEST_PATH {
        return Err(HostFault::LongPath(path.len()));
    }
    path.chars().try_for_each(check_path_character)?;
    for part in path.split('/').skip(1) {
        match part {
            "" => return Err(HostFault::PathSlashes),
            "." | ".." => return Err(HostFault::PathDots),
            _ => {}
        }
    }
    Ok(if API.contains(&path) { String::new() } else { path.to_owned() })
}

fn check_path_character(character: char) -> Result<(), HostFault> {
    match character {
        '%' => Err(HostFault::Percent),
        '/' | '-' | '.' | '_' | '~' | '+' => Ok(()),
        other if other.is_ascii_alphanumeric() => Ok(()),
        other => Err(HostFault::PathCharacter(other)),
    }
}
