//! A JSON object edited as text: every byte that is not the edit's survives.
//!
//! `serde_json` decides whether the text is valid and what it means; `jsonc-parser` only says where
//! things stand. No edit trusts the spans alone: `merge` parses the result again and compares.
//!
//! Edits undo each other exactly. What is inserted goes directly behind the member or element
//! before it, comma first, so that taking out everything from the end of that neighbour to the end
//! of ours restores the bytes, however they were laid out.

use std::collections::BTreeSet;

use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, ast, parse_to_ast};
use serde::Deserialize as _;
use serde_json::{Deserializer, Map, Value};

use super::Key;
use super::merge_error::MergeError;

/// What stands under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum List {
    Absent,
    /// Docker treats it as `[]`: it clears the list.
    Null,
    Items(Vec<String>),
}

impl List {
    pub(super) fn items(&self) -> &[String] {
        match self {
            Self::Items(items) => items,
            Self::Absent | Self::Null => &[],
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Span,
    pub(super) value: Span,
    /// Of an array; empty for everything else.
    pub(super) items: Vec<Span>,
}

#[derive(Debug)]
pub(super) struct Document<'t> {
    pub(super) text: &'t str,
    top: Map<String, Value>,
    /// In the order of `top`.
    pub(super) members: Vec<Member>,
    pub(super) object: Span,
}

impl<'t> Document<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, MergeError> {
        let Value::Object(top) = read(text)? else { return Err(MergeError::NotAnObject) };
        // `serde_json` has accepted it, so this cannot fail; and if it does, nothing is edited.
        let tree = parse_to_ast(text, &CollectOptions::default(), &strict()).ok();
        let Some(ast::Value::Object(object)) = tree.and_then(|tree| tree.value) else {
            return Err(MergeError::NotAnObject);
        };
        check_keys(&object)?;
        let members = object.properties.iter().map(member).collect();
        Ok(Self { text, top, members, object: span(&object) })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn list(&self, key: Key) -> Result<List, MergeError> {
        let wrong = || MergeError::WrongType { key };
        match self.top.get(key.name()) {
            None => Ok(List::Absent),
            Some(Value::Null) => Ok(List::Null),
            Some(Value::Array(items)) => {
                let text = |item: &Value| item.as_str().map(str::to_owned).ok_or_else(wrong);
                items.iter().map(text).collect::<Result<_, _>>().map(List::Items)
            }
            Some(_) => Err(wrong()),
        }
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.top.get(name)
    }

    /// Everything but one key, in order.
    pub(super) fn beside(&self, one: &'static str) -> impl Iterator<Item = (&String, &Value)> {
        self.top.iter().filter(move |(name, _)| *name != one)
    }

    /// Adds a list at the end.
    pub(super) fn insert(&self, key: Key, items: &[String]) -> String {
        self.insert_member(key.name(), |lead| self.render(items, lead))
    }

    /// Adds a member at the end. Its value is told the white space before its key.
    pub(super) fn insert_member(&self, name: &str, value: impl Fn(&str) -> String) -> String {
        let lead = self.new_lead();
        let (at, comma) = match self.members.last() {
            Some(last) => (last.value.end, ","),
            None => (self.object.start + 1, ""),
        };
        let close = if self.inside_is_nothing() { self.newline() } else { "" };
        let value = value(&lead);
        let name = Value::from(name);
        self.splice(
            Span { start: at, end: at },
            &format!("{comma}{lead}{name}{}{value}{close}", self.colon()),
        )
    }

    /// `{}`: the one empty object for which [`Document::insert_member`] writes a line break behind the
    /// member, which [`Document::remove_member`] must be told of.
    pub(super) fn inside_is_nothing(&self) -> bool {
        self.cut(self.object.start + 1, self.object.end - 1).is_empty()
    }

    /// Takes a member out. `opened`: the object was `{}` before us.
    pub(super) fn remove_member(&self, name: &str, opened: bool) -> String {
        let Some((at, member)) = self.member(name) else { return self.text.to_owned() };
        let before = at.checked_sub(1).and_then(|at| self.members.get(at));
        let span = match (before, self.members.get(at + 1)) {
            (Some(before), _) => Span { start: before.value.end, end: member.value.end },
            (None, Some(after)) => Span { start: member.key.start, end: after.key.start },
            (None, None) if opened => {
                Span { start: self.object.start + 1, end: self.object.end - 1 }
            }
            (None, None) => Span { start: self.object.start + 1, end: member.value.end },
        };
        self.splice(span, "")
    }

    /// Writes another value, as text.
    pub(super) fn set_value(&self, name: &str, value: &str) -> String {
        match self.member(name) {
            Some((_, member)) => self.splice(member.value, value),
            None => self.text.to_owned(),
        }
    }

    /// Writes the whole list anew, in the layout of a list of ours.
    pub(super) fn set(&self, key: Key, items: &[String]) -> String {
        match self.member(key.name()) {
            Some((at, member)) => self.splice(member.value, &self.render(items, self.lead(at))),
            None => self.text.to_owned(),
        }
    }

    /// Drops elements by position and adds others at the end, in the layout of the list.
    pub(super) fn change(&self, key: Key, drop: &BTreeSet<usize>, add: &[String]) -> String {
        let Some((at, member)) = self.member(key.name()) else { return self.text.to_owned() };
        let open = member.value.start + 1;
        let leads = self.item_leads(open, &member.items);
        let mut list = String::from("[");
        let mut kept = 0;
        for (index, (item, lead)) in member.items.iter().zip(&leads).enumerate() {
            if drop.contains(&index) {
                continue;
            }
            let first = leads.first().copied().unwrap_or_default();
            list.push_str(if kept == 0 { first } else { lead });
            list.push_str(self.cut(item.start, item.end));
            kept += 1;
        }
        let tail = self.cut(member.items.last().map_or(open, |last| last.end), member.value.end);
        let first = self.first_item_lead(&leads, tail, self.lead(at));
        let next = format!(",{}", self.next_item_lead(&leads, &first));
        for item in add {
            list.push_str(if kept == 0 { &first } else { &next });
            list.push_str(&Value::from(item.as_str()).to_string());
            kept += 1;
        }
        list.push_str(tail);
        self.splice(member.value, &list)
    }

    fn member(&self, name: &str) -> Option<(usize, &Member)> {
        let at = self.top.keys().position(|one| one == name)?;
        Some((at, self.members.get(at)?))
    }
}

/// Strict: what Go's decoder takes, so no comments and no trailing commas.
fn strict() -> ParseOptions {
    ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

fn read(text: &str) -> Result<Value, MergeError> {
    let mut input = Deserializer::from_str(text);
    let value = Value::deserialize(&mut input).map_err(|error| {
        let said = error.to_string();
        let reason = said.split(" at line ").next().unwrap_or_default().to_owned();
        MergeError::Syntax { reason, line: error.line(), column: error.column() }
    })?;
    input
        .end()
        .map_err(|error| MergeError::TrailingText { line: error.line(), column: error.column() })?;
    Ok(value)
}

fn check_keys(object: &ast::Object) -> Result<(), MergeError> {
    let mut seen = BTreeSet::new();
    for property in &object.properties {
        let found = property.name.as_str();
        if !seen.insert(found) {
            return Err(MergeError::DuplicateKey { key: found.to_owned() });
        }
        for key in Key::ALL {
            if found != key.name() && found.eq_ignore_ascii_case(key.name()) {
                return Err(MergeError::WrongCase { found: found.to_owned(), key });
            }
        }
    }
    Ok(())
}

fn member(property: &ast::ObjectProp) -> Member {
    let items = match &property.value {
        ast::Value::Array(array) => array.elements.iter().map(span).collect(),
        _ => Vec::new(),
    };
    Member { key: span(&property.name), value: span(&property.value), items }
}

fn span(node: &impl Ranged) -> Span {
    Span { start: node.start(), end: node.end() }
}
