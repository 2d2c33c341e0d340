//! What etcd holds about one group, and whether it leaves room for one more. Pure.
//!
//! ```text
//! regtrust/v1/<group>/holders/<node>/<what>    with a lease: gone soon after its holder
//! regtrust/v1/<group>/attempts/<node>/<what>   without one: only a success removes it
//! ```
//!
//! A node that dies over a bad change frees its slot when its lease runs out, and the next would take
//! it and die as well, until none is left. The attempt stays, so the group can count.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Claim;
use super::node::Node;

/// How many are named in one sentence.
const NAMED: usize = 3;

/// The names of a group's keys.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    prefix: String,
}

impl Layout {
    pub(super) fn of(group: &str) -> Self {
        Self { prefix: format!("regtrust/v1/{group}/") }
    }

    /// The first key of the group, and the first that is not of it any more.
    pub(super) fn range(&self) -> (Vec<u8>, Vec<u8>) {
        // `0` follows `/`, and no name of a group has one.
        let end = format!("{}0", self.prefix.trim_end_matches('/'));
        (self.prefix.clone().into_bytes(), end.into_bytes())
    }

    pub(super) fn holder(&self, node: &str, what: &str) -> Vec<u8> {
        self.key("holders", node, what)
    }

    pub(super) fn attempt(&self, node: &str, what: &str) -> Vec<u8> {
        self.key("attempts", node, what)
    }

    fn key(&self, kind: &str, node: &str, what: &str) -> Vec<u8> {
        format!("{}{kind}/{node}/{what}", self.prefix).into_bytes()
    }

    fn split<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str, &'k str)> {
        let (kind, rest) = key.strip_prefix(&self.prefix)?.split_once('/')?;
        let (node, what) = rest.split_once('/')?;
        Some((kind, node, what))
    }
}

/// What is written beside a key. Other versions may write more or less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    host: String,
    reason: String,
    since: Option<Timestamp>,
    /// How many slots its writer believes there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<u32>,
    /// Of an attempt: the lease of the slot that was taken for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<i64>,
}

impl Record {
    pub(super) fn holder(node: &Node, claim: &Claim, slots: u32) -> Vec<u8> {
        Self { slots: Some(slots), ..Self::of(node, claim) }.bytes()
    }

    pub(super) fn attempt(node: &Node, claim: &Claim, lease: i64) -> Vec<u8> {
        Self { lease: Some(lease), ..Self::of(node, claim) }.bytes()
    }

    fn of(node: &Node, claim: &Claim) -> Self {
        Self {
            host: node.host.clone(),
            reason: claim.reason.clone(),
            since: Some(claim.since),
            ..Self::default()
        }
    }

    fn bytes(&self) -> Vec<u8> {
        // Strings and numbers only; an empty record would still count as a holder.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// One node that holds a slot, or took one and was never heard to succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub node: String,
    pub what: String,
    pub host: String,
    pub reason: String,
    pub since: Option<Timestamp>,
    pub(super) slots: Option<u32>,
    /// Under which the slot is or was held.
    pub(super) lease: i64,
}

/// One group, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Of the store. What was written later than this was not seen.
    pub(super) revision: i64,
    pub(super) holders: Vec<Entry>,
    pub(super) attempts: Vec<Entry>,
}

/// Whether one more may begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    Busy { holders: String },
    Stopped { why: String },
}

/// The most that may be at once, as the settings of one node have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) slots: u32,
    pub(super) unresolved: u32,
}

impl Standing {
    pub(super) fn add(&mut self, layout: &Layout, key: &[u8], value: &[u8], lease: i64) {
        let key = String::from_utf8_lossy(key);
        let Some((kind, node, what)) = layout.split(&key) else { return };
        // What cannot be read still holds a slot: somebody put it there.
        let record: Record = serde_json::from_slice(value).unwrap_or_default();
        let entry = Entry {
            node: node.to_owned(),
            what: what.to_owned(),
            host: record.host,
            reason: record.reason,
            since: record.since,
            slots: record.slots,
            lease: if lease == 0 { record.lease.unwrap_or_default() } else { lease },
        };
        match kind {
            "holders" => self.holders.push(entry),
            "attempts" => self.attempts.push(entry),
            _ => {}
        }
    }

    pub(super) fn holder(&self, node: &str, what: &str) -> Option<&Entry> {
        self.holders.iter().find(|entry| entry.node == node && entry.what == what)
    }

    pub(super) fn attempt(&self, node: &str, what: &str) -> Option<&Entry> {
        self.attempts.iter().find(|entry| entry.node == node && entry.what == what)
    }

    /// Attempts whose node does not hold a slot for them any more, and has not succeeded.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = &Entry> {
        self.attempts.iter().filter(|one| self.holder(&one.node, &one.what).is_none())
    }

    /// Why nobody but `but` may begin.
    pub(super) fn stopped(&self, but: Option<&str>, limits: Limits) -> Option<String> {
        let unresolved: Vec<&Entry> =
            self.unresolved().filter(|one| Some(one.node.as_str()) != but).collect();
        let (who, have) = match nodes(&unresolved) {
            count if count < limits.unresolved as usize => return None,
            1 => ("a node".to_owned(), "was"),
            several => (format!("{several} nodes"), "were"),
        };
        let named = named(&unresolved);
        Some(format!("{who} took a slot and {have} never heard to succeed: {named}"))
    }

    pub(super) fn room(&self, node: &str, limits: Limits) -> Room {
        // One that has failed already may try again: that breaks no further node, and is how a group
        // gets well by itself once the change is mended.
        if let Some(why) = self.stopped(Some(node), limits) {
            return Room::Stopped { why };
        }
        let others: Vec<&Entry> = self.holders.iter().filter(|one| one.node != node).collect();
        // While the settings are being changed on one node after the other, the strictest of those
        // concerned counts, so that never more run than any of them was promised.
        let believed = others.iter().filter_map(|one| one.slots).min().unwrap_or(limits.slots);
        let slots = believed.min(limits.slots);
        if nodes(&others) < slots as usize {
            return Room::Free;
        }
        Room::Busy { holders: named(&others) }
    }
}

fn nodes(entries: &[&Entry]) -> usize {
    entries.iter().map(|entry| &entry.node).collect::<BTreeSet<_>>().len()
}

fn named(entries: &[&Entry]) -> String {
    let mut text = String::new();
    for (at, entry) in entries.iter().take(NAMED).enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let since = entry.since.map(|at| at.strftime(" since %F %T UTC").to_string());
        // Writing to a string cannot fail.
        _ = write!(text, "{comma}{} ({}{})", entry.name(), entry.what, since.unwrap_or_default());
    }
    if entries.len() > NAMED {
        _ = write!(text, " and {} more", entries.len() - NAMED);
    }
    text
}

impl Entry {
    /// As people know the node.
    pub fn name(&self) -> &str {
        if self.host.is_empty() { &self.node } else { &self.host }
    }
}

#[cfg(test)]
mod tests;
