//! Puts `config_path` into the text of a config.toml, and takes it out again.
//!
//! In place, and never by a drop-in: containerd 1.x replaces a plugin's whole table by the one in
//! an imported file, so a drop-in with nothing but `config_path` would reset `SystemdCgroup` and
//! the sandbox image, and the kubelet's pods with them.

use std::ops::Range;

use toml_edit::TomlError;

use super::splice::{self, Splice};
use super::tree::Tree;
use super::{LEGACY_VERSION, config_path_key, is_a_default, version_of};
use crate::ledger::ConfigOwned;
use crate::observed::Version;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// `None`: the file goes, or stays away.
    pub text: Option<String>,
    pub owned: Option<ConfigOwned>,
}

#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("config.toml is not valid TOML")]
    Syntax(#[from] TomlError),
    #[error("`config_path` is already `{value}`, and regtrust did not set it")]
    Foreign { value: String },
    #[error("config.toml has settings but no `version = 2`, so containerd would ignore the key")]
    Unversioned,
    #[error("`{key}` leads through something that is not a table")]
    NotATable { key: String },
    /// The edit was made, read back, and found to mean something else as well.
    #[error("`config_path` cannot be {verb} without changing other settings")]
    Unfit { verb: &'static str },
}

/// The first lines of a config.toml that was not there before us. All of 1.x and 2.x read
/// version 2.
const NEW_FILE: &str = "\
# Written by regtrust, because containerd had no configuration of its own.
# `config_path` is the directory where CRI looks for registry settings; the rest is yours.
version = 2
";

const VERSION_LINE: &str = "version = 2";

/// Returns `current` with `config_path` set to `want`, or without what is `owned` of it.
///
/// Everything else stays byte for byte. Merging the result again changes nothing.
pub fn merge(
    current: Option<&str>,
    owned: Option<&ConfigOwned>,
    want: Option<&str>,
    containerd: Option<Version>,
) -> Result<Merged, MergeError> {
    match (current, want, owned) {
        (None, None, _) => Ok(Merged { text: None, owned: None }),
        (None, Some(directory), _) => create(directory),
        (Some(text), Some(directory), _) => set(text, owned, directory, containerd),
        (Some(text), None, Some(owned)) => withdraw(text, owned),
        (Some(text), None, None) => Ok(Merged { text: Some(text.to_owned()), owned: None }),
    }
}

fn create(directory: &str) -> Result<Merged, MergeError> {
    let (text, _) = insert(NEW_FILE, directory)?;
    let owned = ConfigOwned {
        created_file: true,
        config_path: directory.to_owned(),
        replaced: None,
        inserted: Some(text.clone()),
    };
    Ok(Merged { text: Some(text), owned: Some(owned) })
}

fn set(
    text: &str,
    owned: Option<&ConfigOwned>,
    directory: &str,
    containerd: Option<Version>,
) -> Result<Merged, MergeError> {
    let file = File::parse(text)?;
    let Some(value) = file.value() else { return add(&file, owned, directory) };
    let ours = owned.filter(|owned| owned.config_path == value);
    if value == directory {
        return Ok(Merged { text: Some(text.to_owned()), owned: ours.cloned() });
    }
    if ours.is_none() && !is_a_default(value, containerd) {
        return Err(MergeError::Foreign { value: value.to_owned() });
    }
    let span = file.value_span().ok_or(MergeError::Unfit { verb: "replaced" })?;
    let replaced = text.get(span.clone()).map(str::to_owned);
    let literal = splice::literal(directory);
    let edit = Splice { range: span, text: literal.clone() };
    let new = edit.apply(text).ok_or(MergeError::Unfit { verb: "replaced" })?;
    file.check_set(&new, directory)?;
    let owned = match ours {
        Some(before) => ConfigOwned {
            config_path: directory.to_owned(),
            // The text we put in is searched for when it is taken out, so it follows the value.
            inserted: before.inserted.as_ref().map(|inserted| {
                inserted.replacen(&splice::literal(&before.config_path), &literal, 1)
            }),
            ..before.clone()
        },
        None => ConfigOwned {
            created_file: owned.is_some_and(|owned| owned.created_file),
            config_path: directory.to_owned(),
            replaced,
            inserted: None,
        },
    };
    Ok(Merged { text: Some(new), owned: Some(owned) })
}

fn add(
    file: &File<'_>,
    owned: Option<&ConfigOwned>,
    directory: &str,
) -> Result<Merged, MergeError> {
    let text = file.text;
    let (new, inserted) = if file.version > LEGACY_VERSION {
        insert(text, directory)?
    } else if file.tree.is_empty() {
        // Nothing but comments: there is no setting that a version could change the meaning of.
        let eol = splice::line_ending(text);
        let unfinished = if text.is_empty() || text.ends_with('\n') { "" } else { eol };
        let versioned = format!("{text}{unfinished}{VERSION_LINE}{eol}");
        let (new, _) = insert(&versioned, directory)?;
        let inserted = new.get(text.len()..).unwrap_or_default().to_owned();
        (new, inserted)
    } else {
        return Err(MergeError::Unversioned);
    };
    file.check_set(&new, directory)?;
    let owned = ConfigOwned {
        created_file: owned.is_some_and(|owned| owned.created_file),
        config_path: directory.to_owned(),
        replaced: None,
        inserted: Some(inserted),
    };
    Ok(Merged { text: Some(new), owned: Some(owned) })
}

/// The new text, and what was put into it.
fn insert(text: &str, directory: &str) -> Result<(String, String), MergeError> {
    let tree = Tree::parse(text)?;
    let key = config_path_key(version_of(&tree).unwrap_or(LEGACY_VERSION));
    let splice = splice::insertion(text, &key, &splice::literal(directory))?;
    let not_a_table = || MergeError::NotATable { key: key.join(".") };
    let inserted = |splice: Splice| Some((splice.apply(text)?, splice.text));
    splice.and_then(inserted).ok_or_else(not_a_table)
}

fn withdraw(text: &str, owned: &ConfigOwned) -> Result<Merged, MergeError> {
    let file = File::parse(text)?;
    let released = || Merged { text: Some(text.to_owned()), owned: None };
    // Changed by somebody, or gone: it is theirs now.
    if file.value() != Some(&owned.config_path) {
        return Ok(released());
    }
    let Some(span) = file.value_span() else { return Ok(released()) };
    let (text, blank) = match &owned.replaced {
        Some(replaced) => (file.put_back(span, replaced)?, false),
        None => file.take_out(&span, owned.inserted.as_deref())?,
    };
    let keep = !(owned.created_file && blank);
    Ok(Merged { text: keep.then_some(text), owned: None })
}

struct File<'a> {
    text: &'a str,
    tree: Tree,
    version: i64,
}

impl<'a> File<'a> {
    fn parse(text: &'a str) -> Result<Self, MergeError> {
        let tree = Tree::parse(text)?;
        let version = version_of(&tree).unwrap_or(LEGACY_VERSION);
        Ok(Self { text, tree, version })
    }

    fn value(&self) -> Option<&str> {
        self.tree.get(&config_path_key(self.version)).and_then(Tree::text)
    }

    fn value_span(&self) -> Option<Range<usize>> {
        splice::value_span(self.text, &config_path_key(self.version))
    }

    /// Whether `new` says what this says, with `config_path`, and nothing else.
    fn check_set(&self, new: &str, directory: &str) -> Result<(), MergeError> {
        let mut expected = self.tree.clone();
        let version = self.version.max(2);
        if self.tree.is_empty() {
            expected.set(&["version"], Tree::Integer(version));
        }
        expected.set(&config_path_key(version), Tree::Text(directory.to_owned()));
        let is_fit = Tree::parse(new).is_ok_and(|found| found == expected);
        if is_fit { Ok(()) } else { Err(MergeError::Unfit { verb: "set" }) }
    }

    fn put_back(&self, range: Range<usize>, replaced: &str) -> Result<String, MergeError> {
        let edit = Splice { range, text: replaced.to_owned() };
        let fits = |new: &String| self.is_without(new);
        edit.apply(self.text).filter(fits).ok_or(MergeError::Unfit { verb: "put back" })
    }

    /// The text without what was inserted, and whether nothing is left in it.
    ///
    /// Somebody may have worked around our lines since: put keys under our header, or settings
    /// that need our `version`. So the whole is tried first and then less and less, and the first
    /// cut that leaves every other setting as it is wins.
    fn take_out(
        &self,
        value: &Range<usize>,
        inserted: Option<&str>,
    ) -> Result<(String, bool), MergeError> {
        let whole = inserted.and_then(|inserted| self.find(value, inserted));
        let cuts = whole.into_iter().flat_map(|whole| self.cuts(whole));
        let line =
            std::iter::once(Splice { range: splice::lines(self.text, value), text: String::new() });
        // An inline table that somebody rewrote: `""` is containerd's own way to say "not set".
        let blanked = std::iter::once(Splice { range: value.clone(), text: "\"\"".to_owned() });
        let fits = |new: &String| self.is_without(new);
        cuts.chain(line)
            .chain(blanked)
            .find_map(|cut| cut.apply(self.text).filter(fits))
            .map(|new| {
                let blank = new.trim().is_empty();
                (new, blank)
            })
            .ok_or(MergeError::Unfit { verb: "taken out" })
    }

    /// Where the text that was inserted stands: around the value, and nowhere else.
    fn find(&self, value: &Range<usize>, inserted: &str) -> Option<Range<usize>> {
        let offset = inserted.rfind(self.text.get(value.clone())?)?;
        let start = value.start.checked_sub(offset)?;
        let range = start..start + inserted.len();
        (self.text.get(range.clone())? == inserted).then_some(range)
    }

    /// The whole; without the line end that it began with; from its table's header on.
    fn cuts(&self, whole: Range<usize>) -> Vec<Splice> {
        let text = self.text.get(whole.clone()).unwrap_or_default();
        let eol = splice::line_ending(self.text).len();
        let header = text.find("\n[").map(|newline| whole.start + newline + 1);
        let starts = [Some(whole.start), text.starts_with(['\r', '\n']).then(|| whole.start + eol)];
        let cut = |start| Splice { range: start..whole.end, text: String::new() };
        starts.into_iter().chain([header]).flatten().map(cut).collect()
    }

    /// Whether `new` says what this says without `config_path`. Our `version` may go only with
    /// the last setting, because every other one is read by it.
    fn is_without(&self, new: &str) -> bool {
        let Ok(mut found) = Tree::parse(new) else { return false };
        if found.is_empty() && self.is_only_ours() {
            return true;
        }
        let mut expected = self.tree.clone();
        let key = config_path_key(self.version);
        expected.prune(&key);
        // What was put back instead, such as `""`, is a default too.
        found.prune(&key);
        expected == found
    }

    fn is_only_ours(&self) -> bool {
        let mut rest = self.tree.clone();
        rest.prune(&config_path_key(self.version));
        rest.prune(&["version"]);
        rest.is_empty()
    }
}
