//! Who may call what. Pure.
//!
//! A call that does not stand in [`RULES`] does not reach any service, and a test compares the table
//! with the compiled definitions: a call that is added without a role cannot be forgotten.

use std::fmt;

use crate::identity::{Entrance, Identity, Principal, Role, closest};
use crate::owners::{OwnerName, Owners};
use crate::settings::{Grant, Grantee, Settings};

/// What is fixed about one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub path: &'static str,
    /// The least role. A call may ask for more when it has seen the request.
    pub role: Role,
    pub shape: Shape,
    pub largest: Largest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One request, one answer, soon.
    Prompt,
    /// One request, and an answer that may wait for a runtime.
    Waiting,
    /// One request and a stream of answers.
    Stream,
    /// A stream of requests and a stream of answers.
    Conversation,
}

/// How large a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Largest {
    /// A name, a time, a reason. Small, because many callers may send one at once.
    Words,
    /// Hosts of 20,000 registries.
    Hosts,
    /// Everything an owner wants. Believed of an admin only; from others it is [`Largest::Hosts`].
    Declarations,
}

impl Largest {
    /// In bytes. 10,000 registries that each carry the same CA of 3 KiB are 30 MiB, because every
    /// entry stands for itself.
    pub const fn bytes(self, role: Role) -> usize {
        match (self, role) {
            (Self::Words, _) => 64 << 10,
            (Self::Declarations, Role::Admin) => 32 << 20,
            (Self::Hosts | Self::Declarations, _) => 1 << 20,
        }
    }
}

const fn rule(path: &'static str, role: Role, shape: Shape, largest: Largest) -> Rule {
    Rule { path, role, shape, largest }
}

use Largest::{Declarations, Hosts, Words};
use Role::{Admin, Operator, Reader};
use Shape::{Conversation, Prompt, Stream, Waiting};

pub const RULES: [Rule; 21] = [
    rule("/regtrust.v1.Node/Apply", Admin, Waiting, Declarations),
    // With a set it needs an admin, which only its request tells.
    rule("/regtrust.v1.Node/Plan", Reader, Prompt, Declarations),
    rule("/regtrust.v1.Node/Confirm", Admin, Prompt, Words),
    rule("/regtrust.v1.Node/GetStatus", Reader, Prompt, Words),
    rule("/regtrust.v1.Node/WatchStatus", Reader, Stream, Words),
    rule("/regtrust.v1.Node/GetDesired", Reader, Prompt, Words),
    rule("/regtrust.v1.Node/Explain", Reader, Prompt, Words),
    rule("/regtrust.v1.Node/Check", Operator, Waiting, Hosts),
    rule("/regtrust.v1.Node/Reconcile", Operator, Prompt, Words),
    rule("/regtrust.v1.Node/Rollback", Operator, Prompt, Words),
    rule("/regtrust.v1.Node/ListGenerations", Reader, Prompt, Words),
    rule("/regtrust.v1.Node/Pause", Operator, Prompt, Words),
    rule("/regtrust.v1.Node/Resume", Operator, Prompt, Words),
    rule("/regtrust.v1.Node/Restart", Operator, Waiting, Words),
    rule("/regtrust.v1.Node/HoldJob", Operator, Stream, Words),
    rule("/regtrust.v1.Node/ListLocks", Reader, Waiting, Words),
    // An operator is one of this node, and these reach the others.
    rule("/regtrust.v1.Node/Unlock", Admin, Waiting, Words),
    rule("/regtrust.v1.Node/ResolveAttempts", Admin, Waiting, Words),
    rule("/grpc.health.v1.Health/Check", Reader, Prompt, Words),
    rule("/grpc.health.v1.Health/Watch", Reader, Stream, Words),
    rule("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Reader, Conversation, Words),
];

/// What is read and is no call.
const PAGE: Rule = rule(super::page::PATH, Reader, Prompt, Words);

/// `None`: there is no such call, and nobody may make it.
pub fn rule_of(path: &str) -> Option<Rule> {
    RULES.into_iter().chain([PAGE]).find(|rule| rule.path == path)
}

/// Who makes a call. Every request carries it in its extensions, and nothing in a request can
/// change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub identity: Identity,
    pub entrance: Entrance,
    pub role: Role,
    /// `None`: it may look and act, and want nothing.
    pub owner: Option<OwnerName>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.identity, self.role)
    }
}

/// The part of the settings that says who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    grants: Vec<Grant>,
    owners: Owners,
}

impl Access {
    pub fn new(settings: &Settings) -> Self {
        Self { grants: settings.access.clone(), owners: settings.owners.clone() }
    }

    /// What an authenticated caller may do. `None`: nothing.
    pub fn of(&self, identity: &Identity, entrance: Entrance) -> Option<Caller> {
        let own = self.own_role(identity);
        let role = match entrance {
            Entrance::AdminSocket | Entrance::Tcp => own,
            Entrance::ReadSocket => own.or(self.read_socket_role()).map(|_| Role::Reader),
        }?;
        let owner = self.owners.of(identity).map(|owner| owner.name.clone());
        Some(Caller { identity: identity.clone(), entrance, role, owner })
    }

    /// Root is an admin unless the settings name uid 0 themselves. Refusing it would protect
    /// nothing: it can change the settings.
    fn own_role(&self, identity: &Identity) -> Option<Role> {
        const ROOT: Principal = Principal::Uid(0);
        let granted = self.grants.iter().filter_map(|grant| match &grant.to {
            Grantee::Principal(principal) => Some((principal, grant.role)),
            Grantee::ReadSocket => None,
        });
        let names_root = granted.clone().any(|(principal, _)| *principal == ROOT);
        let root = (!names_root).then_some((&ROOT, Role::Admin));
        closest(granted.chain(root), identity)
    }

    fn read_socket_role(&self) -> Option<Role> {
        self.grants.iter().find(|grant| grant.to == Grantee::ReadSocket).map(|grant| grant.role)
    }
}

#[cfg(test)]
mod tests;
