//! A node in memory for the tests of the plan: what is on it, what is declared, and what happens
//! when a plan is made true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::change::Unit;
use super::rejected::Rejection;
use super::{Plan, Situation, plan};
use crate::content::Content;
use crate::ledger::{Ledger, Loads};
use crate::observed::{CaLayout, Containerd, CriUse, Docker, Files, Found, Observed, Running};
use crate::path::NodePath;
use crate::target::{Believer, Item};
use crate::trust::certificate::{CaBundle, ClientPair};
use crate::trust::entry::{Capability, Entry, Mirror, Origin, Trust};
use crate::trust::host::RegistryHost;
use crate::trust::policy::RestartLimit;

pub(crate) const CA: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/ca.pem"));
pub(crate) const CA_B: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/ca-b.pem"));
pub(crate) const DAEMON: &str = "etc/docker/daemon.json";
pub(crate) const CONFIG: &str = "etc/containerd/config.toml";
pub(crate) const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

pub(crate) struct Node {
    pub(crate) entries: BTreeMap<RegistryHost, Arc<Entry>>,
    pub(crate) observed: Observed,
    pub(crate) ledger: Ledger,
    pub(crate) adopt: BTreeSet<RegistryHost>,
    pub(crate) acknowledged: BTreeSet<Loads>,
    pub(crate) entering_store: BTreeSet<String>,
    pub(crate) refused: BTreeMap<NodePath, (String, String)>,
    pub(crate) restart: RestartLimit,
    pub(crate) live_restore: Option<bool>,
    pub(crate) rejection: Rejection,
    pub(crate) retry: bool,
    pub(crate) now: Timestamp,
}

impl Node {
    /// A live node with nothing on it, where the daemons are found to run since before its time.
    pub(crate) fn bare() -> Self {
        let observed = Observed {
            files: Files::default(),
            docker: None,
            containerd: None,
            ca_layout: Some(CaLayout::Debian),
            bundle_written: None,
            unmanaged: vec![],
            live: true,
        };
        let mut node = Self {
            entries: BTreeMap::new(),
            observed,
            ledger: Ledger::default(),
            adopt: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            entering_store: BTreeSet::new(),
            refused: BTreeMap::new(),
            restart: RestartLimit::Allowed,
            live_restore: None,
            rejection: Rejection::default(),
            retry: false,
            now: at("10:00"),
        };
        node.make("etc/ssl/certs");
        node.make("usr/local/share/ca-certificates");
        node
    }

    /// docker since before the node's time, with nothing but its own directory.
    pub(crate) fn with_docker(version: &str) -> Self {
        let mut node = Self::bare();
        node.observed.docker = Some(Docker {
            version: Some(version.parse().unwrap()),
            running: Running::Since(at("09:00")),
            flags: vec![],
        });
        node.make("etc/docker");
        node
    }

    /// containerd under a kubelet.
    pub(crate) fn with_containerd(version: &str) -> Self {
        let mut node = Self::bare();
        node.add_containerd(version);
        node
    }

    pub(crate) fn add_containerd(&mut self, version: &str) {
        self.observed.containerd = Some(Containerd {
            version: Some(version.parse().unwrap()),
            running: Running::Since(at("09:00")),
            cri: CriUse::Used("a test".to_owned()),
            imports: vec![],
        });
        self.make("etc/containerd");
    }

    pub(crate) fn docker(&mut self) -> &mut Docker {
        self.observed.docker.as_mut().unwrap()
    }

    pub(crate) fn containerd(&mut self) -> &mut Containerd {
        self.observed.containerd.as_mut().unwrap()
    }

    pub(crate) fn declare(&mut self, entry: Entry) {
        self.entries.insert(entry.host.clone(), Arc::new(entry));
    }

    pub(crate) fn withdraw(&mut self, host: &str) {
        self.entries.remove(&name(host)).unwrap();
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&Situation {
            entries: &self.entries,
            observed: &self.observed,
            ledger: &self.ledger,
            adopt: &self.adopt,
            acknowledged: &self.acknowledged,
            entering_store: &self.entering_store,
            restart: self.restart,
            live_restore: self.live_restore,
            rejection: &self.rejection,
            retry: self.retry,
            refused: &self.refused,
            now: self.now,
        })
    }

    /// Makes the plan true, as a transaction would, and lets a minute pass.
    pub(crate) fn apply(&mut self) -> Plan {
        let plan = self.plan();
        plan.changes.make_directories.iter().for_each(|path| self.make(path.as_str()));
        plan.changes.units.iter().for_each(|unit| self.perform(unit));
        for path in &plan.changes.remove_directories {
            self.remove_if_empty(path);
        }
        self.ledger = plan.ledger.clone();
        self.adopt.clear();
        self.acknowledged.clear();
        self.rejection = Rejection::default();
        self.retry = false;
        self.now = self.now.checked_add(SignedDuration::from_mins(1)).unwrap();
        plan
    }

    fn perform(&mut self, unit: &Unit) {
        if let Some(directory) = &unit.directory {
            self.make(directory.as_str());
        }
        for edit in &unit.edits {
            assert_eq!(
                self.observed.files.content(&edit.path),
                edit.before.as_ref(),
                "{}",
                edit.path
            );
            let parent = edit.path.parent().unwrap();
            assert_eq!(self.observed.files.get(&parent), Some(&Found::Directory), "{parent}");
            match &edit.after {
                None => self.remove(edit.path.as_str()),
                Some(content) => {
                    let mode = edit.mode.unwrap_or(0o644);
                    let content = content.clone();
                    self.place(edit.path.as_str(), Found::File { content, mode, immutable: false });
                }
            }
        }
        if let Some(directory) = unit.directory.as_ref().filter(|_| !unit.keep) {
            self.remove_if_empty(directory);
        }
    }

    fn remove_if_empty(&mut self, path: &NodePath) {
        if self.observed.files.names(path).next().is_none() {
            self.remove(path.as_str());
            self.observed.files.unlist(path);
        }
    }

    /// Makes a directory and those above it.
    pub(crate) fn make(&mut self, path: &str) {
        let directory = NodePath::new(path).unwrap();
        if let Some(parent) = directory.parent() {
            self.make(parent.as_str());
            self.list(&directory);
        }
        if self.observed.files.get(&directory).is_none() {
            self.observed.files.insert(&directory, Found::Directory);
        }
        self.observed.files.list(&directory, None);
    }

    fn list(&mut self, path: &NodePath) {
        self.observed.files.list(&path.parent().unwrap(), [path.file_name()]);
    }

    pub(crate) fn place(&mut self, path: &str, found: Found) {
        let path = NodePath::new(path).unwrap();
        self.make(path.parent().unwrap().as_str());
        self.list(&path);
        self.observed.files.insert(&path, found);
    }

    pub(crate) fn put(&mut self, path: &str, text: &str) {
        self.place(
            path,
            Found::File { content: Content::plain(text), mode: 0o644, immutable: false },
        );
    }

    pub(crate) fn remove(&mut self, path: &str) {
        let path = NodePath::new(path).unwrap();
        self.observed.files.remove(&path);
    }

    /// What somebody does to a file without touching its text.
    pub(crate) fn alter(&mut self, path: &str, change: impl FnOnce(&mut u32, &mut bool)) {
        match self.observed.files.get_mut(&NodePath::new(path).unwrap()) {
            Some(Found::File { mode, immutable, .. }) => change(mode, immutable),
            found => panic!("{path}: {found:?}"),
        }
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let content = self.observed.files.content(&NodePath::new(path).unwrap())?;
        Some(String::from_utf8(content.bytes().to_vec()).unwrap())
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.observed.files.get(&NodePath::new(path).unwrap()).is_some()
    }

    /// The distribution's tool: the bundle has what the anchors have.
    pub(crate) fn run_ca_tool(&mut self) {
        let directory = CaLayout::Debian.anchors();
        let names: Vec<String> = self.observed.files.names(&directory).map(str::to_owned).collect();
        let texts = names.iter().filter_map(|file| self.text(directory.join(file).as_str()));
        let bundle: String = texts.collect();
        self.put(BUNDLE, &bundle);
        self.observed.bundle_written = Some(self.now);
    }

    /// The certificates in the system's directory.
    pub(crate) fn anchors(&self) -> Vec<String> {
        self.observed.files.names(&CaLayout::Debian.anchors()).map(str::to_owned).collect()
    }

    pub(crate) fn owned(&self) -> Vec<String> {
        self.ledger.files.keys().map(ToString::to_string).collect()
    }

    /// Everything on the node, to see that it is as it was.
    pub(crate) fn tree(&self) -> Files {
        self.observed.files.clone()
    }
}

pub(crate) fn at(time: &str) -> Timestamp {
    format!("2026-06-01T{time}:00Z").parse().unwrap()
}

pub(crate) fn name(host: &str) -> RegistryHost {
    host.parse().unwrap()
}

pub(crate) fn entry(host: &str, trust: Trust) -> Entry {
    Entry {
        host: name(host),
        trust,
        client: None,
        system_store: false,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: vec![],
        fallback: true,
        origin: Origin {
            owner: "local".into(),
            file: "/etc/regtrust/registries.d/a.toml".into(),
            line: 1,
        },
    }
}

pub(crate) fn ca(pem: &str) -> Trust {
    Trust::Ca(CaBundle::from_stored(pem.as_bytes()).unwrap())
}

pub(crate) fn with_ca(host: &str) -> Entry {
    entry(host, ca(CA))
}

pub(crate) fn insecure(host: &str) -> Entry {
    entry(host, Trust::Insecure)
}

pub(crate) fn in_store(host: &str, pem: &str) -> Entry {
    Entry { system_store: true, ..entry(host, ca(pem)) }
}

pub(crate) fn hub(mirrors: &[(&str, Trust)]) -> Entry {
    let mirror = |(host, trust): &(&str, Trust)| Mirror {
        host: name(host),
        path: String::new(),
        trust: trust.clone(),
        capabilities: [Capability::Pull, Capability::Resolve].into(),
    };
    Entry { mirrors: mirrors.iter().map(mirror).collect(), ..entry("docker.io", Trust::System) }
}

pub(crate) fn client() -> ClientPair {
    ClientPair {
        fingerprint: crate::content::Sha256Hex::of(b"client"),
        not_after: Timestamp::MAX,
        certificate: Content::plain("CERTIFICATE\n"),
        key: Content::secret(b"KEY\n".to_vec()),
    }
}

pub(crate) fn item(host: &str, on: Believer) -> Item {
    Item { host: name(host), on }
}

/// `path: message` of every conflict.
pub(crate) fn conflicts(plan: &Plan) -> Vec<String> {
    plan.conflicts.iter().map(|one| format!("{}: {}", one.path, one.message)).collect()
}

/// `create /path`, `change /path`, `remove /path` for every edit.
pub(crate) fn edits(plan: &Plan) -> Vec<String> {
    let word = |edit: &super::change::FileEdit| match (&edit.before, &edit.after) {
        (None, _) => format!("create {}", edit.path),
        (_, Some(_)) => format!("change {}", edit.path),
        (_, None) => format!("remove {}", edit.path),
    };
    plan.changes.edits().map(word).collect()
}

/// What is due, as commands.
pub(crate) fn due(plan: &Plan) -> Vec<&str> {
    plan.due.iter().map(|due| due.command.as_str()).collect()
}
