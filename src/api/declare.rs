//! From a request's registries to entries, and back.
//!
//! A registry of the API is a `[[registry]]` of a file with everything inside, so it is made one and
//! goes the same way: one grammar, one set of checks, the same words.

use std::sync::Arc;

use jiff::Timestamp;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};
use tonic_types::FieldViolation;

use super::v1;
use crate::node_path;
use crate::pushed::PushedSet;
use crate::trust::certificate_cache::CertificateCache;
use crate::trust::declaration::{Declarations, Draft, Loaded};
use crate::trust::entry::Entry;
use crate::trust::problem::{Problem, Severity};
use crate::trust::stored::{StoredEntry, StoredTrust};

#[cfg(test)]
mod tests;

/// What a request declares, with the warnings about it.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) entries: Vec<Arc<Entry>>,
    pub(super) warnings: Vec<Problem>,
}

/// # Errors
/// Everything that is wrong, by field. Nothing of such a request is applied: a client wants its set
/// or an answer, and not a part of it.
pub(super) fn entries(
    registries: &[v1::Registry],
    now: Timestamp,
) -> Result<Declared, Vec<FieldViolation>> {
    let (text, begins) = render(registries)?;
    let draft = Draft::parse(&text, &node_path!("request"));
    let declarations = match draft {
        Ok(draft) => draft.complete(&Loaded::new(), &mut CertificateCache::new(now)),
        Err(broken) => broken,
    };
    let Declarations { entries, problems, .. } = declarations;
    let (errors, warnings): (Vec<Problem>, Vec<Problem>) =
        problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(errors.iter().map(|problem| violation(problem, &begins)).collect());
    }
    let warnings = warnings.into_iter().map(|problem| placed(problem, &begins)).collect();
    Ok(Declared { entries, warnings })
}

/// The set as a file, and the line in which each registry begins.
fn render(registries: &[v1::Registry]) -> Result<(String, Vec<usize>), Vec<FieldViolation>> {
    let mut begins = Vec::with_capacity(registries.len());
    let mut text = String::new();
    let mut unknown = Vec::new();
    let mut line = 1;
    for (at, registry) in registries.iter().enumerate() {
        match table(registry) {
            Ok(table) => {
                let mut document = DocumentMut::new();
                let mut tables = ArrayOfTables::new();
                tables.push(table);
                document.insert("registry", Item::ArrayOfTables(tables));
                let one = document.to_string();
                begins.push(line);
                line += one.lines().count();
                text.push_str(&one);
            }
            Err((field, message)) => {
                unknown.push(FieldViolation::new(format!("registries[{at}].{field}"), message));
            }
        }
    }
    if unknown.is_empty() { Ok((text, begins)) } else { Err(unknown) }
}

type Unknown = (&'static str, String);

fn table(registry: &v1::Registry) -> Result<Table, Unknown> {
    let mut table = Table::new();
    table.insert("host", value(&registry.host));
    if let Some(word) = trust(registry.trust)? {
        table.insert("trust", value(word));
    }
    put(&mut table, "ca", &registry.ca);
    if let Some(client) = &registry.client {
        put(&mut table, "client_cert", &client.certificate);
        put(&mut table, "client_key", &client.key);
    }
    if registry.system_store {
        table.insert("system_store", value(true));
    }
    put(&mut table, "reason", &registry.reason);
    if let Some(until) = &registry.until {
        table.insert("until", value(date(until)?));
    }
    if !registry.runtimes.is_empty() {
        table.insert("runtimes", value(words(&registry.runtimes, runtime)?));
    }
    if let Some(fallback) = registry.fallback {
        table.insert("fallback", value(fallback));
    }
    let mut mirrors = ArrayOfTables::new();
    for one in &registry.mirrors {
        mirrors.push(mirror(one)?);
    }
    if !mirrors.is_empty() {
        table.insert("mirror", Item::ArrayOfTables(mirrors));
    }
    Ok(table)
}

fn mirror(mirror: &v1::Mirror) -> Result<Table, Unknown> {
    let mut table = Table::new();
    table.insert("url", value(&mirror.url));
    if let Some(word) = trust(mirror.trust)? {
        table.insert("trust", value(word));
    }
    put(&mut table, "ca", &mirror.ca);
    if !mirror.capabilities.is_empty() {
        table.insert("capabilities", value(words(&mirror.capabilities, capability)?));
    }
    Ok(table)
}

/// Protobuf cannot tell "not there" from "empty".
fn put(table: &mut Table, key: &str, text: &str) {
    if !text.is_empty() {
        table.insert(key, value(text));
    }
}

fn trust(number: i32) -> Result<Option<&'static str>, Unknown> {
    Ok(match v1::Trust::try_from(number) {
        Ok(v1::Trust::Unspecified) => None,
        Ok(v1::Trust::System) => Some("system"),
        Ok(v1::Trust::Ca) => Some("ca"),
        Ok(v1::Trust::SkipVerify) => Some("skip-verify"),
        Ok(v1::Trust::Http) => Some("http"),
        Ok(v1::Trust::Insecure) => Some("insecure"),
        Err(_) => return Err(("trust", newer(number))),
    })
}

fn runtime(number: i32) -> Result<&'static str, Unknown> {
    match v1::Runtime::try_from(number) {
        Ok(v1::Runtime::Docker) => Ok("docker"),
        Ok(v1::Runtime::Containerd) => Ok("containerd"),
        Ok(v1::Runtime::Unspecified) | Err(_) => Err(("runtimes", newer(number))),
    }
}

fn capability(number: i32) -> Result<&'static str, Unknown> {
    match v1::Capability::try_from(number) {
        Ok(v1::Capability::Pull) => Ok("pull"),
        Ok(v1::Capability::Resolve) => Ok("resolve"),
        Ok(v1::Capability::Push) => Ok("push"),
        Ok(v1::Capability::Unspecified) | Err(_) => Err(("mirrors.capabilities", newer(number))),
    }
}

fn newer(number: i32) -> String {
    format!("{number} means nothing to this regtrustd; perhaps it is older than the client")
}

fn words(
    numbers: &[i32],
    word: fn(i32) -> Result<&'static str, Unknown>,
) -> Result<Array, Unknown> {
    numbers.iter().map(|number| word(*number)).collect()
}

fn date(until: &prost_types::Timestamp) -> Result<toml_edit::Datetime, Unknown> {
    let out_of_range = || ("until", "is no time".to_owned());
    let then = Timestamp::new(until.seconds, until.nanos).map_err(|_| out_of_range())?;
    then.to_string().parse().map_err(|_| out_of_range())
}

/// Where in the request something is wrong, by the line of the file that was made of it.
fn index(problem: &Problem, begins: &[usize]) -> usize {
    let line = problem.location.line.unwrap_or(1);
    begins.partition_point(|begin| *begin <= line).saturating_sub(1)
}

fn violation(problem: &Problem, begins: &[usize]) -> FieldViolation {
    let field = match problem.field.as_deref().map(renamed) {
        Some(field) => format!("registries[{}].{field}", index(problem, begins)),
        None => "registries".to_owned(),
    };
    let cure = problem.cure.as_ref().map_or_else(String::new, |cure| format!(" ({cure})"));
    FieldViolation::new(field, format!("{}{cure}", problem.message))
}

/// The API's names where they differ from those of a file.
fn renamed(field: &str) -> String {
    let field = match field {
        "client_cert" => "client.certificate",
        "client_key" => "client.key",
        other => other,
    };
    field.replacen("mirror.", "mirrors.", 1)
}

fn placed(mut problem: Problem, begins: &[usize]) -> Problem {
    problem.location.file = format!("registries[{}]", index(&problem, begins));
    problem.location.line = None;
    problem.location.column = None;
    problem.field = problem.field.as_deref().map(renamed);
    problem
}

/// What an owner has applied, without its keys.
pub(super) fn registries(set: &PushedSet) -> Vec<v1::Registry> {
    set.entries.iter().map(|entry| registry(entry, set)).collect()
}

fn registry(entry: &StoredEntry, set: &PushedSet) -> v1::Registry {
    let pem = |digest| set.certificates.get(&digest).cloned().unwrap_or_default();
    let (trust, ca) = stored_trust(&entry.trust, &pem);
    let mirrors = entry.mirrors.iter().map(|mirror| {
        let (trust, ca) = stored_trust(&mirror.trust, &pem);
        let scheme = if mirror.trust == StoredTrust::Http { "http" } else { "https" };
        v1::Mirror {
            url: format!("{scheme}://{}{}", mirror.host, mirror.path),
            trust: trust.into(),
            ca,
            capabilities: mirror.capabilities.iter().map(|one| of_capability(*one)).collect(),
        }
    });
    v1::Registry {
        host: entry.host.to_string(),
        trust: trust.into(),
        ca,
        client: entry.client.as_ref().map(|pair| v1::ClientCertificate {
            certificate: pem(pair.certificate),
            key: String::new(),
        }),
        system_store: entry.system_store,
        reason: entry.reason.clone().unwrap_or_default(),
        until: entry.until.map(super::present::time),
        runtimes: entry
            .runtimes
            .iter()
            .flatten()
            .map(|one| super::present::runtime(*one))
            .collect(),
        mirrors: mirrors.collect(),
        fallback: Some(entry.fallback),
    }
}

fn stored_trust(
    trust: &StoredTrust,
    pem: &impl Fn(crate::content::Sha256Hex) -> String,
) -> (v1::Trust, String) {
    match trust {
        StoredTrust::System => (v1::Trust::System, String::new()),
        StoredTrust::SkipVerify => (v1::Trust::SkipVerify, String::new()),
        StoredTrust::Http => (v1::Trust::Http, String::new()),
        StoredTrust::Insecure => (v1::Trust::Insecure, String::new()),
        StoredTrust::Ca(digest) => (v1::Trust::Ca, pem(*digest)),
    }
}

fn of_capability(capability: crate::trust::entry::Capability) -> i32 {
    use crate::trust::entry::Capability;
    let capability = match capability {
        Capability::Pull => v1::Capability::Pull,
        Capability::Resolve => v1::Capability::Resolve,
        Capability::Push => v1::Capability::Push,
    };
    capability.into()
}
