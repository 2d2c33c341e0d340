//! hosts.toml as text: written in the form that containerd 1.6, 1.7 and 2.x all read alike, and
//! read as containerd reads it.

use std::collections::BTreeSet;

use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::endpoint::{API, Endpoint, upstream};

/// Whether every containerd reads `text` as `endpoints`. Only a bug can be the reason if not.
pub(super) fn means(text: &str, host: &str, endpoints: &[Endpoint]) -> bool {
    read(text, host, Reader::Portable).as_deref() == Some(endpoints)
}

/// The text that makes containerd ask `endpoints`; see [`means`]. `None`: there are none.
pub(super) fn render(host: &str, endpoints: &[Endpoint]) -> Option<String> {
    let (server, hosts) = endpoints.split_last()?;
    // Most need no more.
    let mut text = String::with_capacity(512);
    for part in [
        "# Written by regtrust for ",
        host,
        ". Edits here are repaired: change the declaration.\nserver = ",
        &quoted(&server.url()),
        "\n",
    ] {
        text.push_str(part);
    }
    settings(&mut text, server);
    // Up to 1.7 a file without any `host` table is rejected, which the puller is not told.
    if hosts.is_empty() {
        text.push_str("\n[host]\n");
    }
    for endpoint in hosts {
        for part in ["\n[host.", &quoted(&endpoint.url()), "]\n"] {
            text.push_str(part);
        }
        settings(&mut text, endpoint);
    }
    Some(text)
}

/// Settings at the root are the server's alone, and those of a host that host's alone.
///
/// Line by line, because a document for each of thousands of registries would take longer to build
/// than all their files to read; that it is understood is seen when it is read back.
fn settings(text: &mut String, endpoint: &Endpoint) {
    let mut line = |name: &str, value: &str| {
        for part in [name, " = ", value, "\n"] {
            text.push_str(part);
        }
    };
    if let Some(words) = &endpoint.capabilities {
        line("capabilities", &list(words.iter().map(|word| quoted(word))));
    }
    match endpoint.ca.as_slice() {
        [] => {}
        [one] => line("ca", &quoted(one)),
        several => line("ca", &list(several.iter().map(|file| quoted(file)))),
    }
    let pair = |(certificate, key): &(String, Option<String>)| match key {
        Some(key) => list([certificate, key].into_iter().map(|file| quoted(file))),
        None => quoted(certificate),
    };
    if !endpoint.client.is_empty() {
        line("client", &list(endpoint.client.iter().map(pair)));
    }
    if endpoint.skip_verify {
        line("skip_verify", "true");
    }
    if endpoint.overrides_path() {
        line("override_path", "true");
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// A TOML string. Nearly all have nothing in them that TOML could take for something else.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        ["\"", text, "\""].concat()
    } else {
        Value::from(text).to_string()
    }
}

/// Whose rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Those of all versions together.
    Portable,
    /// 2.0 and later: a file without a `host` table will do.
    Modern,
}

/// What containerd makes of a hosts.toml in the directory of `host`. `None`: it ignores the file,
/// with a line in its log.
pub(super) fn read(text: &str, host: &str, reader: Reader) -> Option<Vec<Endpoint>> {
    let document: DocumentMut = text.parse().ok()?;
    let root = document.as_table();
    let mut endpoints = Vec::new();
    match root.get("host") {
        None if reader == Reader::Modern => {}
        // 2.x finds hosts by their headers, and so passes over inline and dotted ones.
        Some(Item::Table(hosts)) if !hosts.is_dotted() => {
            for (url, item) in hosts {
                endpoints.push(endpoint(url, item.as_table()?, reader)?);
            }
        }
        _ => return None,
    }
    let server = match root.get("server") {
        None => None,
        Some(item) => Some(item.as_str()?).filter(|server| !server.is_empty()),
    };
    endpoints.push(match server {
        Some(server) => endpoint(server, root, reader)?,
        // Capabilities and a path are not taken from the file then.
        None => Endpoint {
            api: API.to_owned(),
            capabilities: None,
            ..endpoint(upstream(host), root, reader)?
        },
    });
    Some(endpoints)
}

fn endpoint(address: &str, table: &dyn TableLike, reader: Reader) -> Option<Endpoint> {
    let override_path = boolean(table, "override_path").ok()?.unwrap_or(false);
    let (origin, api) = location(address, override_path);
    let skip_verify = boolean(table, "skip_verify").ok()?;
    let ca = table.get("ca").map_or(Some(Vec::new()), ca_files)?;
    let client = table.get("client").map_or(Some(Vec::new()), client_pairs)?;
    let mut other: BTreeSet<String> = ["header", "dial_timeout", "rewrite"]
        .into_iter()
        .filter(|name| table.contains_key(name))
        .map(str::to_owned)
        .collect();
    let has_tls = ["ca", "client", "skip_verify"].into_iter().any(|name| table.contains_key(name));
    if origin.starts_with("http://") && has_tls {
        other.insert("TLS settings for an http:// address".to_owned());
    }
    Some(Endpoint {
        origin,
        api,
        capabilities: capabilities(table, reader).ok()?,
        skip_verify: skip_verify.unwrap_or(false),
        ca,
        client,
        other,
    })
}

fn location(address: &str, override_path: bool) -> (String, String) {
    // Also what containerd looks for: a host called `httpd` therefore needs its scheme written.
    let has_scheme = address.starts_with("http");
    let address = if has_scheme { address.to_owned() } else { format!("https://{address}") };
    let start = address.find("://").map_or(0, |at| at + "://".len());
    let path = address.get(start..).and_then(|rest| rest.find('/')).map(|at| start + at);
    let Some((origin, path)) = path.and_then(|at| address.split_at_checked(at)) else {
        return (address, if override_path { String::new() } else { API.to_owned() });
    };
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let path = format!("/{}", parts.join("/"));
    let is_root = override_path || path.ends_with(API);
    (origin.to_owned(), if is_root { path } else { format!("{path}{API}") })
}

/// A type or a word that makes containerd ignore the whole file.
struct Unreadable;

fn boolean(table: &dyn TableLike, name: &str) -> Result<Option<bool>, Unreadable> {
    table.get(name).map(|item| item.as_bool().ok_or(Unreadable)).transpose()
}

fn capabilities(
    table: &dyn TableLike,
    reader: Reader,
) -> Result<Option<BTreeSet<String>>, Unreadable> {
    let Some(item) = table.get("capabilities") else { return Ok(None) };
    let array = item.as_array().ok_or(Unreadable)?;
    let words = array.iter().map(|word| word.as_str().map(str::to_ascii_lowercase));
    let words: BTreeSet<String> = words.collect::<Option<_>>().ok_or(Unreadable)?;
    // `referrers` is a word only from 2.2 on; before, it makes the file unreadable.
    let is_known = |word: &String| match word.as_str() {
        "pull" | "resolve" | "push" => true,
        "referrers" => reader == Reader::Modern,
        _ => false,
    };
    let all_known = words.iter().all(is_known);
    // An empty list is as good as none.
    if all_known { Ok(Some(words).filter(|words| !words.is_empty())) } else { Err(Unreadable) }
}

fn ca_files(item: &Item) -> Option<Vec<String>> {
    match item.as_value()? {
        Value::String(file) => Some(vec![file.value().clone()]),
        Value::Array(files) => files.iter().map(|file| file.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn client_pairs(item: &Item) -> Option<Vec<(String, Option<String>)>> {
    let one = |value: &Value| match value {
        Value::String(file) => Some((file.value().clone(), None)),
        Value::Array(pair) => match (pair.get(0)?.as_str(), pair.get(1)?.as_str(), pair.len()) {
            (Some(certificate), Some(key), 2) => {
                Some((certificate.to_owned(), Some(key.to_owned())))
            }
            _ => None,
        },
        _ => None,
    };
    match item.as_value()? {
        Value::Array(pairs) => pairs.iter().map(one).collect(),
        value @ Value::String(_) => Some(vec![one(value)?]),
        _ => None,
    }
}
