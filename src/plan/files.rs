//! Files that are ours as a whole: what to write, what to take back, what to leave alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::change::FileEdit;
use super::{Situation, directories, refusal};
use crate::ledger::{Ledger, OwnedFile};
use crate::observed::{Files, Found, Nearby};
use crate::path::NodePath;
use crate::target::docker_daemon::Key;
use crate::target::{Believer, Conflict, Item, Target, WantedFile};

const READABLE: &str = "make it readable for regtrust";

/// Something of ours that somebody else changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Drift {
    pub path: String,
    pub message: String,
    /// `false`: it is left as it is and is no longer ours.
    pub repaired: bool,
}

/// What becomes of the files that are ours, or should be.
#[derive(Debug, Default)]
pub(super) struct FileOutcome {
    pub(super) edits: Vec<FileEdit>,
    /// What of the ledger changes; `None`: it is no longer ours.
    records: Vec<(NodePath, Option<OwnedFile>)>,
    pub(super) drift: Vec<Drift>,
    pub(super) conflicts: Vec<Conflict>,
}

/// What stands in the way of writing `wanted`, whoever put it there.
pub(super) fn obstacles(wanted: &[WantedFile], files: &Files, ledger: &Ledger) -> Vec<Conflict> {
    let mut nearby = files.nearby();
    wanted.iter().filter_map(|file| obstacle(file, &mut nearby, files, ledger)).collect()
}

fn obstacle<'a>(
    wanted: &'a WantedFile,
    nearby: &mut Nearby<'a>,
    files: &Files,
    ledger: &Ledger,
) -> Option<Conflict> {
    if is_there(wanted, nearby) {
        return None;
    }
    let (path, (message, cure)) = match directory_in_the_way(wanted, files) {
        // Once, however many files are to lie in it.
        Some((directory, problem)) => (directory, problem),
        None => (wanted.path.clone(), in_the_way(wanted, files, ledger)?),
    };
    let (target, items) = (wanted.target, wanted.items.to_set());
    Some(Conflict { target, path: path.to_string(), items, message, cure })
}

/// The same bytes in a directory that is one, which nearly every file of ours is.
fn is_there<'a>(wanted: &'a WantedFile, nearby: &mut Nearby<'a>) -> bool {
    let (directory, name) = wanted.path.split();
    let directory = nearby.directory(directory).filter(|directory| directory.is_found());
    let content = directory.and_then(|directory| directory.content(name));
    content.is_some_and(|content| *content == wanted.content)
}

fn in_the_way(wanted: &WantedFile, files: &Files, ledger: &Ledger) -> Option<(String, String)> {
    let found = files.get(&wanted.path);
    if matches!(found, Some(Found::File { content, .. }) if *content == wanted.content) {
        return None;
    }
    if let Some(error) = files.hidden(&wanted.path) {
        return Some((format!("it cannot be read: {error}"), READABLE.to_owned()));
    }
    if let Some(problem) = directories::in_the_way(&wanted.path, files) {
        return Some(problem);
    }
    let is_ours = ledger.files.contains_key(&wanted.path);
    match found? {
        Found::File { immutable: true, .. } => Some((
            "the file is immutable (chattr +i or +a), so it cannot be replaced".to_owned(),
            format!("chattr -i -a {}", wanted.path),
        )),
        Found::File { .. } if is_ours => None,
        Found::File { .. } => {
            let host =
                wanted.items.iter().next().map(|item| item.host.to_string()).unwrap_or_default();
            Some((
                "the file is there, says something else, and is not regtrust's".to_owned(),
                format!("remove it, or hand it over with `regtrust adopt {host}`"),
            ))
        }
        Found::Symlink { to } => Some((
            format!("it is a symbolic link to `{to}`, which something else probably manages"),
            "replace the link by a file, or configure what manages it".to_owned(),
        )),
        Found::Directory => Some(("a directory has this name".to_owned(), "remove it".to_owned())),
        Found::Other | Found::Unreadable { .. } => {
            Some(("it is no regular file".to_owned(), "remove it".to_owned()))
        }
    }
}

/// A registry's own directory must be a real one: it is exchanged as a whole.
fn directory_in_the_way(
    wanted: &WantedFile,
    files: &Files,
) -> Option<(NodePath, (String, String))> {
    let directory = wanted.target.unit_directory(&wanted.path)?;
    let (what, cure) = match files.get(&directory)? {
        Found::Symlink { to } => (
            format!("the registry's directory is a symbolic link to `{to}`"),
            "replace the link by a directory, or configure what manages it",
        ),
        Found::Directory => return None,
        // The error has its own cure: it may only be a name in it that is not UTF-8.
        Found::Unreadable { error } => {
            (format!("the registry's directory: {error}"), "see to it; it is exchanged as a whole")
        }
        _ => ("the registry's directory is no directory".to_owned(), "remove it"),
    };
    Some((directory, (what, cure.to_owned())))
}

impl Target {
    /// The directory that is exchanged as a whole when `path` changes.
    pub(super) fn unit_directory(self, path: &NodePath) -> Option<NodePath> {
        match self {
            Self::DockerCerts | Self::ContainerdHosts => path.parent(),
            Self::DockerDaemon | Self::ContainerdConfig | Self::SystemCa => None,
        }
    }

    fn believer(self) -> Believer {
        match self {
            Self::DockerCerts | Self::DockerDaemon => Believer::Docker,
            Self::ContainerdHosts | Self::ContainerdConfig => Believer::Containerd,
            Self::SystemCa => Believer::System,
        }
    }
}

/// Files of items that are blocked: what is in force stays in force until the way is clear.
///
/// A directory is held as a whole, also where two runtimes share it: one's files may refer to the
/// other's. Docker Hub's mirrors have directories of their own.
pub(super) fn protected(
    wanted: &[WantedFile],
    blocked: &BTreeSet<Item>,
    ledger: &Ledger,
) -> BTreeSet<NodePath> {
    if blocked.is_empty() {
        return BTreeSet::new();
    }
    let wanted_by_blocked =
        wanted.iter().filter(|file| file.items.are_among(blocked)).map(|file| file.path.clone());
    let of_mirrors = mirrors_of_blocked(blocked, ledger);
    let is_held = |path: &NodePath, target: Target| {
        let item = named(path, target);
        item.is_some_and(|item| blocked.contains(&item) || of_mirrors.contains(&item))
    };
    let held: BTreeSet<NodePath> = ledger
        .files
        .iter()
        .filter(|(path, owned)| is_held(path, owned.target))
        .filter_map(|(path, _)| path.parent())
        .collect();
    let lies_there = |path: &&NodePath| path.parent().is_some_and(|parent| held.contains(&parent));
    wanted_by_blocked.chain(ledger.files.keys().filter(lies_there).cloned()).collect()
}

/// The registry that a file is named after. `None`: it is in no registry's directory, or in that
/// of a name that this version does not accept any more.
fn named(path: &NodePath, target: Target) -> Option<Item> {
    let directory = target.unit_directory(path)?;
    Some(Item { host: directory.file_name().parse().ok()?, on: target.believer() })
}

fn mirrors_of_blocked(blocked: &BTreeSet<Item>, ledger: &Ledger) -> BTreeSet<Item> {
    let on = Believer::Docker;
    if !blocked.iter().any(|item| item.on == on && item.host.is_docker_hub()) {
        return BTreeSet::new();
    }
    let key = Key::RegistryMirrors;
    let urls = ledger.docker_daemon.arrays.get(key.name()).map(|array| &array.elements);
    let hosts = urls.into_iter().flatten().filter_map(|url| key.host(url).parse().ok());
    hosts.map(|host| Item { host, on }).collect()
}

/// Compares what should be on the node with what is. Only what is ours is changed or removed.
///
/// `wanted` is in the order of its paths, as the ledger is, so they are gone through side by side:
/// thirty thousand searches for long paths that begin alike take longer than all the rest.
pub(super) fn settle(
    wanted: &[&WantedFile],
    protected: &BTreeSet<NodePath>,
    situation: &Situation<'_>,
    ledger: &Ledger,
) -> FileOutcome {
    let files = &situation.observed.files;
    let mut nearby = files.nearby();
    let mut outcome = FileOutcome::default();
    let mut ours = ledger.files.iter().peekable();
    for file in wanted {
        while let Some((path, owned)) = ours.next_if(|(path, _)| **path < file.path) {
            withdraw(path, owned, protected, situation, &mut outcome);
        }
        let owned = ours.next_if(|(path, _)| **path == file.path).map(|(_, owned)| owned);
        let is_in_place = is_in_place(file, &mut nearby, owned);
        write(file, files, (owned, is_in_place), &mut outcome);
    }
    for (path, owned) in ours {
        withdraw(path, owned, protected, situation, &mut outcome);
    }
    outcome
}

/// What nobody wants there any more.
fn withdraw(
    path: &NodePath,
    owned: &OwnedFile,
    protected: &BTreeSet<NodePath>,
    situation: &Situation<'_>,
    outcome: &mut FileOutcome,
) {
    if protected.contains(path) {
        return;
    }
    if let Some((at, (reason, cure))) = refusal(path, situation.refused) {
        let message = format!("trust was withdrawn, but the file cannot go: `{at}` {reason}");
        outcome.keep(path, owned, message, cure.clone());
    } else {
        take_back(path, owned, situation, outcome);
    }
}

/// Writes what differs, and records what is ours of it then.
fn write(
    wanted: &WantedFile,
    files: &Files,
    (owned, is_in_place): (Option<&OwnedFile>, bool),
    outcome: &mut FileOutcome,
) {
    // Already there and not ours: left, and not taken.
    if is_in_place && owned.is_none() {
        return;
    }
    let record =
        OwnedFile { target: wanted.target, sha256: wanted.content.digest(), mode: wanted.mode };
    if owned != Some(&record) {
        outcome.records.push((wanted.path.clone(), Some(record)));
    }
    if is_in_place {
        return;
    }
    outcome.drift.extend(drift_of(&wanted.path, owned, files));
    outcome.edits.push(FileEdit {
        target: Some(wanted.target),
        path: wanted.path.clone(),
        before: files.content(&wanted.path).cloned(),
        after: Some(wanted.content.clone()),
        mode: Some(wanted.mode),
    });
}

/// Whether nothing has to be written. The mode of somebody else's file is theirs.
pub(super) fn is_in_place<'a>(
    wanted: &'a WantedFile,
    nearby: &mut Nearby<'a>,
    owned: Option<&OwnedFile>,
) -> bool {
    let (directory, name) = wanted.path.split();
    let found = nearby.directory(directory).and_then(|directory| directory.get(name));
    let Some(Found::File { content, mode, .. }) = found else { return false };
    *content == wanted.content && (owned.is_none() || *mode == wanted.mode)
}

fn drift_of(path: &NodePath, owned: Option<&OwnedFile>, files: &Files) -> Option<Drift> {
    let owned = owned?;
    let message = match files.get(path) {
        None => "removed by somebody".to_owned(),
        Some(Found::File { content, .. }) if content.digest() != owned.sha256 => {
            "changed by somebody".to_owned()
        }
        Some(Found::File { mode, .. }) if *mode != owned.mode => {
            format!("mode {:04o} set by somebody, {:04o} is right", mode, owned.mode)
        }
        Some(_) => return None,
    };
    Some(Drift { path: path.to_string(), message, repaired: true })
}

/// Removes exactly what we wrote. What somebody made of it since is theirs.
fn take_back(
    path: &NodePath,
    owned: &OwnedFile,
    situation: &Situation<'_>,
    outcome: &mut FileOutcome,
) {
    let files = &situation.observed.files;
    // Taken for absent it would be forgotten, and would go on being believed.
    if let Some(error) = files.hidden(path) {
        let message = format!("trust was withdrawn, but the file cannot be read: {error}");
        outcome.keep(path, owned, message, READABLE.to_owned());
        return;
    }
    let left = |message: &str| Drift {
        path: path.to_string(),
        message: format!("no longer needed, but {message}: left as it is, no longer regtrust's"),
        repaired: false,
    };
    match files.get(path) {
        None => {}
        Some(Found::File { content, immutable, .. }) if content.digest() == owned.sha256 => {
            if *immutable {
                let message = "trust was withdrawn, but the file is immutable (chattr +i or +a)";
                outcome.keep(path, owned, message.to_owned(), format!("chattr -i -a {path}"));
                return;
            }
            if is_half_of_theirs(path, situation) {
                outcome.drift.push(left("somebody changed the other half of the pair"));
            } else {
                outcome.edits.push(FileEdit {
                    target: Some(owned.target),
                    path: path.clone(),
                    before: Some(content.clone()),
                    after: None,
                    mode: None,
                });
            }
        }
        Some(_) => outcome.drift.push(left("somebody changed it since")),
    }
    outcome.records.push((path.clone(), None));
}

/// Whether `path` is half of a client pair whose other half somebody changed. Docker fails every
/// pull from a registry with half a pair, and the registry may be somebody else's business by now.
fn is_half_of_theirs(path: &NodePath, situation: &Situation<'_>) -> bool {
    let partner = match path.as_str().rsplit_once('.') {
        Some((stem, "cert")) => NodePath::new(&format!("{stem}.key")),
        Some((stem, "key")) => NodePath::new(&format!("{stem}.cert")),
        _ => return false,
    };
    let Ok(partner) = partner else { return false };
    let owned = situation.ledger.files.get(&partner);
    let content = situation.observed.files.content(&partner);
    owned.zip(content).is_some_and(|(owned, content)| content.digest() != owned.sha256)
}

impl FileOutcome {
    /// What is ours afterwards: the very same map if nothing changes.
    pub(super) fn owned(&mut self, ledger: &Ledger) -> Arc<BTreeMap<NodePath, OwnedFile>> {
        let mut owned = Arc::clone(&ledger.files);
        for (path, record) in self.records.drain(..) {
            match record {
                Some(record) => Arc::make_mut(&mut owned).insert(path, record),
                None => Arc::make_mut(&mut owned).remove(&path),
            };
        }
        owned
    }

    /// What should go and cannot stays ours, so that it is tried again, and is reported.
    fn keep(&mut self, path: &NodePath, owned: &OwnedFile, message: String, cure: String) {
        self.conflicts.push(Conflict {
            target: owned.target,
            path: path.to_string(),
            items: named(path, owned.target).into_iter().collect(),
            message,
            cure,
        });
    }
}
