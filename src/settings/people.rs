//! `[[access]]` and `[[owner]]`.

use std::collections::BTreeSet;

use super::parse::{given, one_word, required};
use super::{Grant, Grantee};
use crate::identity::{OVERFLOW_ID, Principal, Role, SpiffePattern};
use crate::owners::{Owner, OwnerName};
use crate::trust::findings::{At, Findings, Place, Quoted};
use crate::trust::policy::Pattern;
use crate::trust::toml_reader::{Field, Fields};

const ACCESS_KEYS: [&str; 5] = ["role", "uid", "gid", "san", "socket"];
const OWNER_KEYS: [&str; 6] = ["name", "priority", "hosts", "uid", "gid", "san"];
const ROLES: [(&str, Role); 3] =
    [("reader", Role::Reader), ("operator", Role::Operator), ("admin", Role::Admin)];

pub(super) fn accesses(fields: &Fields<'_>, findings: &mut Findings) -> Vec<At<Grant>> {
    let tables = given(fields.tables("access", "access", "access.", findings)).unwrap_or_default();
    let mut seen = BTreeSet::new();
    tables.iter().flat_map(|fields| access(fields, &mut seen, findings)).collect()
}

fn access(
    fields: &Fields<'_>,
    seen: &mut BTreeSet<Grantee>,
    findings: &mut Findings,
) -> Vec<At<Grant>> {
    fields.refuse_unknown(&ACCESS_KEYS, findings);
    if fields.key("role").is_none() {
        findings.error(fields.place(), &fields.name("role"), "is required");
    }
    let role = one_word(fields, "role", &ROLES, findings);
    let mut to: Vec<At<Grantee>> =
        principals(fields, findings).into_iter().map(|at| at.map(Grantee::Principal)).collect();
    to.extend(read_socket(fields, role, findings));
    if ["uid", "gid", "san", "socket"].iter().all(|key| fields.key(key).is_none()) {
        *findings.error(fields.place(), "access", "is given to nobody") =
            Some("name somebody with `uid`, `gid` or `san`".to_owned());
    }
    for At { value, place } in &to {
        if !seen.insert(value.clone()) {
            let message = format!("{} has a role already", shown(value));
            findings.error(*place, "access", message);
        }
    }
    let role = role.unwrap_or(Role::Reader);
    to.into_iter().map(|at| at.map(|to| Grant { role, to })).collect()
}

fn shown(grantee: &Grantee) -> String {
    match grantee {
        Grantee::Principal(principal) => format!("`{principal}`"),
        Grantee::ReadSocket => "the read socket".to_owned(),
    }
}

fn read_socket(
    fields: &Fields<'_>,
    role: Option<Role>,
    findings: &mut Findings,
) -> Option<At<Grantee>> {
    let at = fields.string("socket", findings).given().copied()?;
    let field = fields.name("socket");
    if at.value != "read" {
        let message = format!("{} means nothing here", Quoted(at.value));
        *findings.error(at.place, &field, message) = Some("the only one is `read`".to_owned());
        return None;
    }
    if role.is_some_and(|role| role > Role::Reader) {
        let message = "whoever can open the read socket is a reader at most";
        *findings.error(at.place, &field, message) =
            Some("name them with `uid`, `gid` or `san`".to_owned());
    }
    Some(At { value: Grantee::ReadSocket, place: at.place })
}

pub(super) fn owners(fields: &Fields<'_>, findings: &mut Findings) -> Vec<At<Owner>> {
    let tables = given(fields.tables("owner", "owner", "owner.", findings)).unwrap_or_default();
    let owners: Vec<At<Owner>> =
        tables.iter().filter_map(|fields| owner(fields, findings)).collect();
    let (mut names, mut principals) = (BTreeSet::new(), BTreeSet::new());
    for At { value: owner, place } in &owners {
        if !names.insert(&owner.name) {
            findings.error(*place, "owner.name", format!("`{}` is declared twice", owner.name));
        }
        for principal in &owner.principals {
            if !principals.insert(principal) {
                let message = format!("`{principal}` is named twice");
                *findings.error(*place, "owner", message) =
                    Some("a caller speaks as one owner".to_owned());
            }
        }
    }
    owners
}

fn owner(fields: &Fields<'_>, findings: &mut Findings) -> Option<At<Owner>> {
    fields.refuse_unknown(&OWNER_KEYS, findings);
    let name = fields.string("name", findings).and_then(|at| owner_name(at, findings));
    let name = required(fields, "name", name, findings);
    let priority = fields.integer("priority", findings);
    let principals = principals(fields, findings);
    let hosts = hosts(fields, findings);
    let is_local = name.as_ref() == Some(&OwnerName::local());
    for key in ["hosts", "uid", "gid", "san"].into_iter().filter(|_| is_local) {
        if let Some(place) = fields.key(key) {
            let message = "`local` is the node's own files, which need no identity and no hosts";
            *findings.error(place, &fields.name(key), message) =
                Some("give it a `priority` and nothing else".to_owned());
        }
    }
    if is_local {
        required(fields, "priority", priority.clone(), findings);
    } else {
        if hosts.is_absent() {
            *findings.error(fields.place(), "owner.hosts", "is required") =
                Some("`hosts = [\"*\"]` lets it speak for every registry".to_owned());
        }
        if ["uid", "gid", "san"].iter().all(|key| fields.key(key).is_none()) {
            *findings.error(fields.place(), "owner", "is nobody") =
                Some("say who it is with `uid`, `gid` or `san`".to_owned());
        }
    }
    let owner = Owner {
        name: name?,
        priority: given(priority).unwrap_or(0),
        principals: principals.into_iter().map(|at| at.value).collect(),
        hosts: given(hosts).unwrap_or_default(),
    };
    Some(At { value: owner, place: fields.place() })
}

fn owner_name(at: At<&str>, findings: &mut Findings) -> Option<At<OwnerName>> {
    let name = OwnerName::parse(at.value);
    let report = |error| {
        let message = format!("{}: {error}", Quoted(at.value));
        findings.error(at.place, "owner.name", message);
    };
    name.map_err(report).ok().map(|value| At { value, place: at.place })
}

fn hosts(fields: &Fields<'_>, findings: &mut Findings) -> Field<Vec<Pattern>> {
    fields.strings("hosts", findings).and_then(|At { value, place }| {
        let read = |at: &At<&str>, findings: &mut Findings| match Pattern::parse(at.value) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                *findings.error(at.place, &fields.name("hosts"), error.message) = Some(error.cure);
                None
            }
        };
        let patterns: Vec<_> = value.iter().map(|at| read(at, findings)).collect();
        Some(At { value: patterns.into_iter().collect::<Option<_>>()?, place })
    })
}

fn principals(fields: &Fields<'_>, findings: &mut Findings) -> Vec<At<Principal>> {
    let mut found = Vec::new();
    found.extend(number(fields, "uid", findings).map(|at| at.map(Principal::Uid)));
    found.extend(number(fields, "gid", findings).map(|at| at.map(Principal::Gid)));
    let names = match fields.type_name("san") {
        Some("array") => given(fields.strings("san", findings)).unwrap_or_default(),
        _ => fields.string("san", findings).given().copied().into_iter().collect(),
    };
    for At { value, place } in names {
        match SpiffePattern::parse(value) {
            Ok(pattern) => found.push(At { value: Principal::San(pattern), place }),
            Err(error) => {
                let message = format!("{}: {error}", Quoted(value));
                *findings.error(place, &fields.name("san"), message) = Some(
                    "write the URI of the certificate, or all below it as `spiffe://corp/ci/*`"
                        .to_owned(),
                );
            }
        }
    }
    found
}

pub(super) fn number(fields: &Fields<'_>, key: &str, findings: &mut Findings) -> Option<At<u32>> {
    let at = fields.integer(key, findings).given().copied()?;
    // The largest is no id but what says "leave it as it is" to the kernel.
    let id = u32::try_from(at.value).ok().filter(|id| *id != u32::MAX);
    let kind = key.rsplit('_').next().unwrap_or(key);
    let mut refuse = |message: String| {
        findings.error(at.place, &fields.name(key), message);
    };
    match id {
        None => refuse(format!("{} is no {}", at.value, kind)),
        Some(OVERFLOW_ID) => refuse(format!(
            "{OVERFLOW_ID} is what the kernel shows for everybody that a user namespace hides"
        )),
        Some(value) => return Some(At { value, place: at.place }),
    }
    None
}

/// What would be obeyed to the letter, and leave people wondering why nothing works.
pub(super) fn warn_about(access: &[At<Grant>], has_tcp: bool, findings: &mut Findings) {
    let by_name = |at: &At<Grant>| matches!(at.value.to, Grantee::Principal(Principal::San(_)));
    match access.iter().find(|at| by_name(at)) {
        None if has_tcp => {
            *findings.warning(Place::default(), "listen.tcp", "no certificate is given a role") =
                Some("add an `[[access]]` with a `san`".to_owned());
        }
        Some(at) if !has_tcp => {
            let message = "certificates are shown over TCP only, and `[listen.tcp]` is missing";
            findings.warning(at.place, "access.san", message);
        }
        _ => {}
    }
}
