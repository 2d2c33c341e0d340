//! Everything that was read, by directory and then by name.
//!
//! A plan asks dozens of times about each registry's directory and the few files in it. One table
//! of all paths would compute and compare a long path every time; here that is done once for a
//! directory, and the names in it are short.

#[cfg(test)]
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::Found;
use crate::content::Content;
use crate::path::NodePath;

/// What was found, and what was listed. What is in neither was not there, or nobody looked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// With a hash that is quick for paths, and seeded: who declares a registry chooses its name.
    directories: HashMap<Arc<str>, Directory, RandomState>,
}

/// What is known of one directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    /// It is a [`Found::Directory`], which is kept here and not among the entries above it.
    is_found: bool,
    is_listed: bool,
    /// In the order of their names.
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Shared where many directories have it.
    name: Arc<str>,
    /// It was in the listing. What was looked at by its path need not have been.
    is_listed: bool,
    found: Option<Found>,
}

impl Entry {
    fn unknown(name: &str) -> Self {
        Self { name: name.into(), is_listed: false, found: None }
    }
}

impl Files {
    pub fn get(&self, path: &NodePath) -> Option<&Found> {
        let (directory, name) = path.split();
        let found = self.directory(directory).and_then(|directory| directory.get(name));
        found.or_else(|| {
            let is_found = self.directory(path.as_str()).is_some_and(|known| known.is_found);
            is_found.then_some(&Found::Directory)
        })
    }

    /// What is known of a directory, by its path.
    pub fn directory(&self, path: &str) -> Option<&Directory> {
        self.directories.get(path)
    }

    /// For whoever asks about one path after another.
    pub fn nearby(&self) -> Nearby<'_> {
        Nearby { files: self, path: "", known: self.directory("") }
    }

    /// The bytes, if it is a regular file that could be read.
    pub fn content(&self, path: &NodePath) -> Option<&Content> {
        let (directory, name) = path.split();
        self.directory(directory)?.content(name)
    }

    /// Why nothing is known about a path: it, or a directory on the way to it, could not be read.
    /// That it was not found then does not mean that nothing is there.
    pub fn hidden(&self, path: &NodePath) -> Option<&str> {
        let mut way = std::iter::successors(Some(path.clone()), NodePath::parent);
        match way.find_map(|step| self.get(&step))? {
            Found::Unreadable { error } => Some(error),
            _ => None,
        }
    }

    pub fn is_listed(&self, directory: &NodePath) -> bool {
        self.directory(directory.as_str()).is_some_and(|known| known.is_listed)
    }

    /// Whether a directory's listing has a name.
    pub fn lists(&self, directory: &NodePath, name: &str) -> bool {
        let entry = self.directory(directory.as_str()).and_then(|known| known.entry(name));
        entry.is_some_and(|entry| entry.is_listed)
    }

    /// The names in a directory that was listed, sorted.
    pub fn names(&self, directory: &NodePath) -> impl Iterator<Item = &str> {
        self.directory(directory.as_str()).into_iter().flat_map(Directory::names)
    }

    /// Whether anything is known of a name right in `directory` that is as asked for.
    pub fn has_in(&self, directory: &NodePath, is: impl Fn(&str) -> bool) -> bool {
        let in_it = self.directory(directory.as_str());
        let mut entries = in_it.into_iter().flat_map(|known| &known.entries);
        let below = |path: &str| {
            let name = path.strip_prefix(directory.as_str())?.strip_prefix('/')?;
            Some(is(name))
        };
        entries.any(|entry| is(&entry.name))
            || self.directories.keys().any(|path| below(path).unwrap_or(false))
    }

    pub fn insert(&mut self, path: &NodePath, found: Found) {
        let is_directory = found == Found::Directory;
        let (directory, name) = path.split();
        if is_directory {
            self.known(path.as_str()).is_found = true;
            if let Some(above) = self.directories.get_mut(directory) {
                above.forget(name);
            }
            return;
        }
        if let Some(known) = self.directories.get_mut(path.as_str()) {
            known.is_found = false;
        }
        self.known(directory).make(name).found = Some(found);
    }

    /// Makes room for so many more directories.
    pub fn reserve(&mut self, directories: usize) {
        self.directories.reserve(directories);
    }

    /// Adds a directory's listing.
    pub fn list<'n>(&mut self, directory: &NodePath, names: impl IntoIterator<Item = &'n str>) {
        let known = self.known(directory.as_str());
        known.is_listed = true;
        for name in names {
            known.make(name).is_listed = true;
        }
    }

    /// Adds a directory that was read as a whole and of which nothing was known: every name in its
    /// listing, with what was found there.
    pub fn insert_whole(&mut self, directory: &NodePath, all: Vec<(Arc<str>, Option<Found>)>) {
        let entry = |(name, found)| Entry { name, is_listed: true, found };
        let mut entries: Vec<Entry> = all.into_iter().map(entry).collect();
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let whole = Directory { is_found: true, is_listed: true, entries };
        self.directories.insert(directory.shared(), whole);
    }

    fn known(&mut self, directory: &str) -> &mut Directory {
        self.directories.entry(directory.into()).or_default()
    }
}

/// Looks for directories, and remembers the last one: files are asked about in the order of their
/// paths, and so one directory after the other.
#[derive(Clone, Debug)]
pub struct Nearby<'a> {
    files: &'a Files,
    path: &'a str,
    known: Option<&'a Directory>,
}

impl<'a> Nearby<'a> {
    pub fn directory(&mut self, path: &'a str) -> Option<&'a Directory> {
        if self.path != path {
            (self.path, self.known) = (path, self.files.directory(path));
        }
        self.known
    }
}

impl Directory {
    pub fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Whether it was found to be a directory.
    pub fn is_found(&self) -> bool {
        self.is_found
    }

    /// The names in its listing, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|entry| entry.is_listed).map(|entry| &*entry.name)
    }

    /// What was found under a name; a directory is known by its own path only.
    pub fn get(&self, name: &str) -> Option<&Found> {
        self.entry(name)?.found.as_ref()
    }

    pub fn content(&self, name: &str) -> Option<&Content> {
        match self.get(name) {
            Some(Found::File { content, .. }) => Some(content),
            _ => None,
        }
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
        self.entries.get(at)
    }

    fn make(&mut self, name: &str) -> &mut Entry {
        match self.entries.last() {
            // In order, as nearly all come, nothing has to be searched.
            Some(last) if &*last.name < name => self.entries.push_mut(Entry::unknown(name)),
            _ => {
                let at = self.entries.partition_point(|entry| &*entry.name < name);
                if self.entries.get(at).is_none_or(|entry| &*entry.name != name) {
                    self.entries.insert(at, Entry::unknown(name));
                }
                &mut self.entries[at]
            }
        }
    }

    fn forget(&mut self, name: &str) {
        self.entries
            .iter_mut()
            .filter(|entry| &*entry.name == name)
            .for_each(|entry| entry.found = None);
        self.entries.retain(|entry| entry.is_listed || entry.found.is_some());
    }
}

/// What somebody does to a node.
#[cfg(test)]
impl Files {
    pub(crate) fn remove(&mut self, path: &NodePath) {
        let (directory, name) = path.split();
        self.known(directory).entries.retain(|entry| &*entry.name != name);
        self.known(path.as_str()).is_found = false;
        self.tidy();
    }

    pub(crate) fn unlist(&mut self, directory: &NodePath) {
        let known = self.known(directory.as_str());
        known.is_listed = false;
        known.entries.iter_mut().for_each(|entry| entry.is_listed = false);
        known.entries.retain(|entry| entry.found.is_some());
        self.tidy();
    }

    pub(crate) fn get_mut(&mut self, path: &NodePath) -> Option<&mut Found> {
        let (directory, name) = path.split();
        let entries = &mut self.directories.get_mut(directory)?.entries;
        entries.iter_mut().find(|entry| &*entry.name == name)?.found.as_mut()
    }

    pub(crate) fn found(&self) -> HashMap<NodePath, Found> {
        let entries = self.directories.iter().flat_map(|(path, known)| {
            known.entries.iter().filter_map(move |entry| {
                let path = NodePath::new(&format!("{path}/{}", entry.name)).unwrap();
                Some((path, entry.found.clone()?))
            })
        });
        let directories = self.directories.iter().filter(|(_, known)| known.is_found);
        let directories =
            directories.map(|(path, _)| (NodePath::new(path).unwrap(), Found::Directory));
        entries.chain(directories).collect()
    }

    pub(crate) fn listings(&self) -> HashMap<NodePath, BTreeSet<String>> {
        let listed = self.directories.iter().filter(|(_, known)| known.is_listed);
        let names = |known: &Directory| known.names().map(str::to_owned).collect();
        listed.map(|(path, known)| (NodePath::new(path).unwrap(), names(known))).collect()
    }

    /// Of what nothing is known nothing is kept, or equal files would differ.
    fn tidy(&mut self) {
        self.directories.retain(|_, known| *known != Directory::default());
    }
}

#[cfg(test)]
mod tests;
