//! TOML as plain values: what a file says, without how it says it.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, Item, TableLike, TomlError, Value};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Table(BTreeMap<String, Tree>),
    Array(Vec<Tree>),
    Text(String),
    Integer(i64),
    Bool(bool),
    /// A float or a date, as written.
    Other(String),
}

impl Tree {
    pub(super) fn parse(text: &str) -> Result<Self, TomlError> {
        let document: DocumentMut = text.parse()?;
        Ok(table(document.as_table()))
    }

    pub(super) fn get(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |here, name| match here {
            Self::Table(members) => members.get(*name),
            _ => None,
        })
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let elements: &[Self] = match self {
            Self::Array(elements) => elements,
            _ => &[],
        };
        elements.iter().filter_map(Self::text)
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self, Self::Table(_))
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &Self)> {
        let members = match self {
            Self::Table(members) => Some(members),
            _ => None,
        };
        members.into_iter().flatten().map(|(name, member)| (name.as_str(), member))
    }

    /// Nothing, or a table without members: `[plugins."x".registry.mirrors]` in a default dump.
    pub(super) fn is_empty(&self) -> bool {
        self.is_table() && self.members().next().is_none()
    }

    /// Sets `path`, making the tables on the way; whatever is no table is replaced.
    pub(super) fn set(&mut self, path: &[&str], value: Self) {
        let Some((name, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !self.is_table() {
            *self = Self::Table(BTreeMap::new());
        }
        if let Self::Table(members) = self {
            let empty = || Self::Table(BTreeMap::new());
            members.entry((*name).to_owned()).or_insert_with(empty).set(rest, value);
        }
    }

    /// Removes `path`, and each table on the way that is then, or was already, empty.
    pub(super) fn prune(&mut self, path: &[&str]) {
        let (Self::Table(members), Some((name, rest))) = (self, path.split_first()) else {
            return;
        };
        if rest.is_empty() {
            members.remove(*name);
        } else if let Some(inner) = members.get_mut(*name) {
            inner.prune(rest);
            if inner.is_empty() {
                members.remove(*name);
            }
        }
    }
}

fn table(table: &dyn TableLike) -> Tree {
    Tree::Table(table.iter().map(|(name, item)| (name.to_owned(), from_item(item))).collect())
}

fn from_item(item: &Item) -> Tree {
    match item {
        Item::None => Tree::Table(BTreeMap::new()),
        Item::Value(value) => from_value(value),
        Item::Table(inner) => table(inner),
        Item::ArrayOfTables(tables) => Tree::Array(tables.iter().map(|t| table(t)).collect()),
    }
}

fn from_value(value: &Value) -> Tree {
    match value {
        Value::String(text) => Tree::Text(text.value().clone()),
        Value::Integer(number) => Tree::Integer(*number.value()),
        Value::Boolean(truth) => Tree::Bool(*truth.value()),
        Value::Float(number) => Tree::Other(number.value().to_string()),
        Value::Datetime(date) => Tree::Other(date.value().to_string()),
        Value::Array(elements) => Tree::Array(elements.iter().map(from_value).collect()),
        Value::InlineTable(inner) => table(inner),
    }
}
