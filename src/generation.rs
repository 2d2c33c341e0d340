//! Generations: what was in force, in order, so that a node can be taken back to it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::content::Sha256Hex;
use crate::trust::host::RegistryHost;
use crate::trust::stored::StoredEntry;

/// How many are kept. A withdrawn client key is erased with the last one that names it, so this
/// is also how long a key can outlive its declaration.
pub const KEPT: u64 = 20;

pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generation {
    pub format: u32,
    pub number: u64,
    pub at: Timestamp,
    /// What differs from the generation before, for people.
    pub summary: Summary,
    /// The generation it was pinned to, if it came from a rollback.
    pub rolled_back_to: Option<u64>,
    pub entries: Vec<StoredEntry>,
    /// PEM by digest; entries refer to it. Keys are not here: they are blobs of their own, which
    /// are erased when no generation needs them.
    pub certificates: BTreeMap<Sha256Hex, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    pub added: BTreeSet<RegistryHost>,
    pub changed: BTreeSet<RegistryHost>,
    pub withdrawn: BTreeSet<RegistryHost>,
}

/// A node that was taken back to an earlier generation, until it is released or the pin ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    pub format: u32,
    pub generation: u64,
    pub at: Timestamp,
    pub until: Timestamp,
    pub reason: Option<String>,
}

impl Summary {
    pub fn between(before: &[StoredEntry], after: &[StoredEntry]) -> Self {
        let by_host = |entries| -> BTreeMap<RegistryHost, StoredEntry> {
            <[StoredEntry]>::iter(entries).map(|e| (e.host.clone(), e.clone())).collect()
        };
        let (before, after) = (by_host(before), by_host(after));
        let mut summary = Self::default();
        for (host, entry) in &after {
            match before.get(host) {
                None => _ = summary.added.insert(host.clone()),
                Some(earlier) if earlier != entry => _ = summary.changed.insert(host.clone()),
                Some(_) => {}
            }
        }
        summary.withdrawn = before.into_keys().filter(|host| !after.contains_key(host)).collect();
        summary
    }

    /// `+2 ~1 -3`, with the names where they are few.
    pub fn line(&self) -> String {
        let part = |sign, hosts: &BTreeSet<RegistryHost>| match hosts.len() {
            0 => None,
            1..=3 => {
                let names: Vec<_> = hosts.iter().map(|host| format!("{sign}{host}")).collect();
                Some(names.join(" "))
            }
            many => Some(format!("{sign}{many} registries")),
        };
        let parts = [part('+', &self.added), part('~', &self.changed), part('-', &self.withdrawn)];
        let line = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if line.is_empty() { "nothing in the declarations".to_owned() } else { line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::entry::Origin;
    use crate::trust::stored::StoredTrust;

    fn entry(host: &str, trust: StoredTrust) -> StoredEntry {
        StoredEntry {
            host: host.parse().unwrap(),
            trust,
            client: None,
            system_store: false,
            reason: None,
            until: None,
            runtimes: None,
            mirrors: vec![],
            fallback: true,
            origin: Origin { owner: "local".into(), file: "/a.toml".into(), line: 0 },
        }
    }

    #[test]
    fn a_summary_names_few_and_counts_many() {
        let system = |host: &str| entry(host, StoredTrust::System);
        let many: Vec<_> = (0..4).map(|number| system(&format!("r{number}.corp"))).collect();
        let http = entry("a.corp", StoredTrust::Http);
        for (before, after, line) in [
            (vec![], vec![], "nothing in the declarations"),
            (vec![system("a.corp")], vec![system("a.corp")], "nothing in the declarations"),
            (vec![], vec![system("a.corp")], "+a.corp"),
            (vec![system("a.corp")], vec![http], "~a.corp"),
            (vec![system("a.corp")], vec![system("b.corp")], "+b.corp -a.corp"),
            (vec![system("a.corp")], many.clone(), "+4 registries -a.corp"),
            (many, vec![], "-4 registries"),
        ] {
            assert_eq!(Summary::between(&before, &after).line(), line);
        }
    }
}
