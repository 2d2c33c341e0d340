//! Reads regtrust's own state: the ledger, the generations and the pin. Writing it is part of a
//! transaction, like every other file.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::generation::{self, Generation, Pin};
use crate::ledger::{self, Ledger};
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::owners::OwnerName;
use crate::path::NodePath;
use crate::pushed::{self, PushedSet};
use crate::trust::entry::Runtime;

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Root(#[from] RootError),
    /// Guessing at a format we do not know would lose track of what is ours.
    #[error(
        "`{path}` has format {found}, and this regtrust knows {known}: it was written by a newer \
         version; use that one"
    )]
    Newer { path: NodePath, found: u32, known: u32 },
    #[error("`{path}` is damaged")]
    Damaged { path: NodePath, source: serde_json::Error },
}

impl StateError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let Self::Damaged { path, .. } = self else { return None };
        Some(if *path == ledger_path() {
            "restore it from a backup, or move it away: `regtrust adopt` then takes over again what \
             is on the node"
                .to_owned()
        } else if *path == pin_path() {
            "`regtrust rollback --release` follows the declarations again".to_owned()
        } else {
            format!("move `{path}` away; only a rollback to it needs it")
        })
    }
}

/// A state file with the bytes it was read from: an edit of it needs both sides.
#[derive(Debug)]
pub struct Stored<T> {
    pub value: T,
    pub bytes: Vec<u8>,
}

pub fn ledger_path() -> NodePath {
    node_path!("var/lib/regtrust/ledger.json")
}

pub fn pin_path() -> NodePath {
    node_path!("var/lib/regtrust/pin.json")
}

pub fn generation_path(number: u64) -> NodePath {
    generations_path().join(&format!("{number}.json"))
}

pub fn generations_path() -> NodePath {
    node_path!("var/lib/regtrust/generations")
}

/// Where the restart of each runtime stands.
pub fn restarts_path() -> NodePath {
    node_path!("var/lib/regtrust/restart")
}

pub fn restart_path(runtime: Runtime) -> NodePath {
    restarts_path().join(&format!("{runtime}.json"))
}

pub fn pause_path() -> NodePath {
    node_path!("var/lib/regtrust/pause.json")
}

/// The format of what the daemon writes down about itself.
const KEPT: u32 = 1;

/// Something that the daemon has written down about itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept<T> {
    format: u32,
    value: T,
}

impl<T> Kept<T> {
    pub fn new(value: T) -> Self {
        Self { format: KEPT, value }
    }
}

pub fn read_kept<T: DeserializeOwned>(
    root: &NodeRoot,
    path: &NodePath,
) -> Result<Option<T>, StateError> {
    let stored = read(root, path, KEPT, |kept: &Kept<T>| kept.format)?;
    Ok(stored.map(|stored| stored.value.value))
}

pub fn read_ledger(root: &NodeRoot) -> Result<Option<Stored<Ledger>>, StateError> {
    read(root, &ledger_path(), ledger::FORMAT, |ledger: &Ledger| ledger.format)
}

pub fn read_pin(root: &NodeRoot) -> Result<Option<Stored<Pin>>, StateError> {
    read(root, &pin_path(), generation::FORMAT, |pin: &Pin| pin.format)
}

pub fn read_generation(
    root: &NodeRoot,
    number: u64,
) -> Result<Option<Stored<Generation>>, StateError> {
    let format = |generation: &Generation| generation.format;
    read(root, &generation_path(number), generation::FORMAT, format)
}

/// The numbers of the generations that are kept, oldest first.
pub fn generation_numbers(root: &NodeRoot) -> Result<Vec<u64>, StateError> {
    let names = root.names(&generations_path())?.unwrap_or_default();
    let number = |name: &String| name.strip_suffix(".json")?.parse().ok();
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Every generation that is kept, by number.
pub fn read_generations(root: &NodeRoot) -> Result<BTreeMap<u64, Stored<Generation>>, StateError> {
    let mut generations = BTreeMap::new();
    for number in generation_numbers(root)? {
        if let Some(generation) = read_generation(root, number)? {
            generations.insert(number, generation);
        }
    }
    Ok(generations)
}

/// The owners that have ever applied anything.
pub fn owner_names(root: &NodeRoot) -> Result<Vec<OwnerName>, StateError> {
    let names = root.names(&pushed::directory())?.unwrap_or_default();
    let owner = |name: &String| OwnerName::parse(name.strip_suffix(".json")?).ok();
    Ok(names.iter().filter_map(owner).collect())
}

pub fn read_pushed(
    root: &NodeRoot,
    owner: &OwnerName,
) -> Result<Option<Stored<PushedSet>>, StateError> {
    read(root, &pushed::path(owner), pushed::FORMAT, |set: &PushedSet| set.format)
}

fn read<T: DeserializeOwned>(
    root: &NodeRoot,
    path: &NodePath,
    known: u32,
    format: impl Fn(&T) -> u32,
) -> Result<Option<Stored<T>>, StateError> {
    let Some(bytes) = root.read(path)? else { return Ok(None) };
    let newer = |found| StateError::Newer { path: path.clone(), found, known };
    match serde_json::from_slice(&bytes) {
        Ok(value) if format(&value) > known => Err(newer(format(&value))),
        Ok(value) => Ok(Some(Stored { value, bytes })),
        // A newer format may have fields that this version calls damage.
        Err(source) => match serde_json::from_slice(&bytes) {
            Ok(Format { format }) if format > known => Err(newer(format)),
            _ => Err(StateError::Damaged { path: path.clone(), source }),
        },
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}
