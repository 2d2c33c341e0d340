//! daemon.json with our elements in it, and without.
//!
//! Somebody else's element is never taken, not even when it says what we want: it stays when ours
//! go. What was done to somebody else's file is remembered in [`DaemonOwned`] as far as taking it
//! back exactly needs it, and no further, so an edit of theirs in the meantime is never undone.

use std::collections::{BTreeMap, BTreeSet};

use super::json_edit::{Document, List};
use super::merge_error::MergeError;
use super::{Ending, Goal, Goals, Key, live_restore};
use crate::ledger::{ArrayOwned, DaemonOwned};

/// daemon.json as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// `None`: no file.
    pub text: Option<String>,
    /// What is ours in it.
    pub owned: DaemonOwned,
}

/// Returns `current` with exactly the goals' elements in it as far as they are ours.
///
/// Merging again what it returned returns it again, byte for byte.
///
/// # Errors
///
/// The file is left alone whenever dockerd would refuse it anyway, or its meaning is in doubt.
pub fn merge(
    current: Option<&str>,
    owned: &DaemonOwned,
    goals: &Goals,
) -> Result<Merged, MergeError> {
    let unchanged = || current.map(str::to_owned);
    let wants_nothing = Key::ALL.iter().all(|key| goals.of(*key).elements.is_empty())
        && goals.live_restore != live_restore::Goal::On;
    if owned.is_nothing() && wants_nothing {
        return Ok(Merged { text: unchanged(), owned: DaemonOwned::default() });
    }
    let (mark, body) = split_mark(current.unwrap_or_default());
    let mut file = Draft::of(body, current, owned);
    for key in Key::ALL {
        file.bring(key, owned.arrays.get(key.name()), goals.of(key))?;
    }
    file.switch(owned.live_restore, goals.live_restore)?;
    if !file.owned.is_nothing() {
        return Ok(Merged { text: Some(format!("{mark}{}", file.text)), owned: file.owned });
    }
    let text = if file.is_only_ours()? {
        file.owned.blank_file
    } else {
        Some(format!("{mark}{}", file.text))
    };
    Ok(Merged { text, owned: DaemonOwned::default() })
}

/// Docker 23 and later accept a byte order mark; `serde_json` does not, and it is not ours to take.
fn split_mark(text: &str) -> (&str, &str) {
    match text.strip_prefix('\u{feff}') {
        Some(body) => ("\u{feff}", body),
        None => ("", text),
    }
}

struct Draft {
    text: String,
    owned: DaemonOwned,
}

impl Draft {
    /// Nothing but white space is a file to docker 23 and later; 20.10 does not start with it.
    /// Either way it is where an object can go, and it is put back when ours goes again.
    fn of(body: &str, current: Option<&str>, owned: &DaemonOwned) -> Self {
        let arrays = BTreeMap::new();
        if body.trim().is_empty() {
            let blank_file = current.map(str::to_owned);
            let created_file = blank_file.is_none();
            let owned = DaemonOwned {
                created_file,
                blank_file,
                opened_object: true,
                arrays,
                live_restore: None,
            };
            return Self { text: "{}\n".to_owned(), owned };
        }
        let owned = DaemonOwned { arrays, live_restore: None, ..owned.clone() };
        Self { text: body.to_owned(), owned }
    }

    fn bring(
        &mut self,
        key: Key,
        owned: Option<&ArrayOwned>,
        goal: &Goal,
    ) -> Result<(), MergeError> {
        let document = Document::parse(&self.text)?;
        let step = decide(key, &document.list(key)?, owned, goal);
        let opened = match step.edit {
            Edit::Insert(_) if document.is_empty() => document.inside_is_nothing(),
            _ => self.owned.opened_object,
        };
        let text = perform(&document, key, &step.edit, opened);
        if text != self.text {
            verify(&document, &text, key, &step.result)?;
        }
        self.owned.arrays.extend(step.owned.map(|owned| (key.name().to_owned(), owned)));
        self.owned.opened_object = opened;
        self.text = text;
        Ok(())
    }

    fn switch(&mut self, owned: Option<bool>, goal: live_restore::Goal) -> Result<(), MergeError> {
        let document = Document::parse(&self.text)?;
        // As where a list is inserted.
        let opens = document.is_empty()
            && (goal == live_restore::Goal::On
                || (goal == live_restore::Goal::Off && owned.is_some()));
        let opened = if opens { document.inside_is_nothing() } else { self.owned.opened_object };
        let (text, owned) = live_restore::bring(&document, owned, goal, opened)?;
        self.owned.live_restore = owned;
        self.owned.opened_object = opened;
        self.text = text;
        Ok(())
    }

    /// Whether the file would not be there, or would hold nothing, but for us.
    fn is_only_ours(&self) -> Result<bool, MergeError> {
        let made_by_us = self.owned.created_file || self.owned.blank_file.is_some();
        Ok(made_by_us && Document::parse(&self.text)?.is_empty())
    }
}

enum Edit {
    Nothing,
    Insert(Vec<String>),
    Remove,
    SetNull,
    Set(Vec<String>),
    Change { drop: BTreeSet<usize>, add: Vec<String> },
}

struct Step {
    edit: Edit,
    /// `None`: nothing under the key is ours any more.
    owned: Option<ArrayOwned>,
    /// What must stand under the key afterwards.
    result: List,
}

fn perform(document: &Document, key: Key, edit: &Edit, opened: bool) -> String {
    match edit {
        Edit::Nothing => document.text.to_owned(),
        Edit::Insert(items) => document.insert(key, items),
        Edit::Remove => document.remove_member(key.name(), opened),
        Edit::SetNull => document.set_value(key.name(), "null"),
        Edit::Set(items) => document.set(key, items),
        Edit::Change { drop, add } => document.change(key, drop, add),
    }
}

/// The spans came from another parser than the values, and a wrong one would damage what dockerd
/// needs to start. So the result is read again, and must say what was meant and nothing else.
fn verify(before: &Document, after: &str, key: Key, meant: &List) -> Result<(), MergeError> {
    let unsound = |_| MergeError::Unsound { key };
    let after = Document::parse(after).map_err(unsound)?;
    if after.list(key).map_err(unsound)? == *meant
        && before.beside(key.name()).eq(after.beside(key.name()))
    {
        Ok(())
    } else {
        Err(MergeError::Unsound { key })
    }
}

fn decide(key: Key, list: &List, owned: Option<&ArrayOwned>, goal: &Goal) -> Step {
    let split = Split::of(key, list.items(), owned, goal);
    let elements = split.ours();
    if elements.is_empty() {
        return release(list, owned, goal.ending, split);
    }
    let created_key = owned.is_some_and(|owned| owned.created_key);
    let keep = ArrayOwned { elements, created_key, was_null: owned.is_some_and(|o| o.was_null) };
    let result = List::Items(split.result());
    let all_ours = !split.has_foreign && split.kept.is_empty();
    let (edit, owned) = match list {
        List::Absent => {
            (Edit::Insert(split.add), ArrayOwned { created_key: true, was_null: false, ..keep })
        }
        List::Null => (Edit::Set(split.add), ArrayOwned { was_null: !created_key, ..keep }),
        List::Items(_) if created_key && all_ours => (Edit::Set(split.add), keep),
        List::Items(_) => (split.edit(), keep),
    };
    Step { edit, owned: Some(owned), result }
}

/// Nothing under the key is to be ours: what is gets out, and the key with it if it was ours too.
fn release(list: &List, owned: Option<&ArrayOwned>, ending: Ending, split: Split) -> Step {
    let Some(owned) = owned else {
        return Step { edit: Edit::Nothing, owned: None, result: list.clone() };
    };
    let key_alone = ArrayOwned { created_key: true, ..ArrayOwned::default() };
    let nothing = List::Items(Vec::new());
    let (edit, owned, result) = match (list, ending) {
        // Somebody took the key out, and dockerd keeps what it loaded until it reads an empty list.
        (List::Absent, Ending::KeepEmpty) => (Edit::Insert(vec![]), Some(key_alone), nothing),
        (List::Absent, Ending::Restore) => (Edit::Nothing, None, List::Absent),
        _ if split.has_foreign => {
            let result = List::Items(split.result());
            (split.edit(), None, result)
        }
        (_, Ending::Restore) if owned.created_key => (Edit::Remove, None, List::Absent),
        // Docker clears its list for `null` as well.
        (List::Null, _) => (Edit::Nothing, owned.created_key.then_some(key_alone), List::Null),
        (List::Items(items), Ending::KeepEmpty) if owned.created_key => {
            let edit = if items.is_empty() { Edit::Nothing } else { Edit::Set(vec![]) };
            (edit, Some(key_alone), nothing)
        }
        _ if owned.was_null => (Edit::SetNull, None, List::Null),
        _ => (split.edit(), None, nothing),
    };
    Step { edit, owned, result }
}

/// Whose the elements are, and what becomes of them.
struct Split {
    has_foreign: bool,
    /// Ours, and they stay.
    kept: Vec<String>,
    /// Everything that stays, in the order of the file.
    staying: Vec<String>,
    /// Positions of ours that go.
    drop: BTreeSet<usize>,
    add: Vec<String>,
}

impl Split {
    fn of(key: Key, items: &[String], owned: Option<&ArrayOwned>, goal: &Goal) -> Self {
        let ours = positions(items, owned);
        let is_foreign = |(at, item): &(usize, &String)| ours.get(item.as_str()) != Some(at);
        let foreign = items.iter().enumerate().filter(is_foreign);
        let mut taken: BTreeSet<_> = foreign.map(|(_, item)| key.identity(item)).collect();
        let has_foreign = !taken.is_empty();
        let mut wanted = key.ordered(&goal.elements);
        let mut seen = BTreeSet::new();
        wanted.retain(|element| {
            let is_new = taken.insert(key.identity(element)) || ours.contains_key(element.as_str());
            is_new && seen.insert(element.clone())
        });
        let is_here = |element: &String| ours.contains_key(element.as_str());
        let (here, missing): (Vec<_>, Vec<_>) = wanted.iter().cloned().partition(is_here);
        // Docker tries mirrors in order. Where ours are not in theirs, all of ours are put anew.
        let in_file = here.iter().map(|element| ours.get(element.as_str()));
        let in_place = !key.is_ordered() || (in_file.is_sorted() && wanted.starts_with(&here));
        let (kept, add) = if in_place { (here, missing) } else { (Vec::new(), wanted) };
        let staying: BTreeSet<_> = kept.iter().map(String::as_str).collect();
        let goes = |(element, _): &(&&str, &usize)| !staying.contains(**element);
        let drop: BTreeSet<_> = ours.iter().filter(goes).map(|(_, at)| *at).collect();
        let stays = |(at, item): (usize, &String)| (!drop.contains(&at)).then(|| item.clone());
        let staying = items.iter().enumerate().filter_map(stays).collect();
        Self { has_foreign, kept, staying, drop, add }
    }

    fn ours(&self) -> BTreeSet<String> {
        self.kept.iter().chain(&self.add).cloned().collect()
    }

    fn result(&self) -> Vec<String> {
        self.staying.iter().chain(&self.add).cloned().collect()
    }

    fn edit(self) -> Edit {
        if self.drop.is_empty() && self.add.is_empty() {
            Edit::Nothing
        } else {
            Edit::Change { drop: self.drop, add: self.add }
        }
    }
}

/// Where our elements stand. Of two equal ones the first counts as ours, the other as theirs.
fn positions<'a>(items: &'a [String], owned: Option<&ArrayOwned>) -> BTreeMap<&'a str, usize> {
    let mut positions = BTreeMap::new();
    let is_owned = |item: &str| owned.is_some_and(|owned| owned.elements.contains(item));
    for (at, item) in items.iter().enumerate().filter(|(_, item)| is_owned(item)) {
        positions.entry(item.as_str()).or_insert(at);
    }
    positions
}

#[cfg(test)]
mod tests;
