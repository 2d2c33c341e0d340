//! Reads TOML that people write: every error has its line and column, a misspelt key is an error
//! with a suggestion, and one mistake does not hide the next.
//!
//! serde would stop at the first error and could not say where a *missing* key belongs.

use std::borrow::Cow;
use std::fmt::Write as _;

use jiff::Timestamp;
use toml_edit::{Document, Item, Key, TableLike, Value};

use super::findings::{At, Findings, Place, Quoted};

mod lines;
mod suggest;

pub use lines::Lines;
pub use suggest::closest;

/// What a key holds. `Bad` is apart from `Absent`, or a mistyped value would be reported a second
/// time as a missing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field<T> {
    Absent,
    /// It is there, and its error has been reported.
    Bad,
    Given(At<T>),
}

impl<T> Field<T> {
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub fn given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Bad => None,
        }
    }

    pub fn value(&self) -> Option<&T> {
        self.given().map(|at| &at.value)
    }

    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Field<U> {
        self.and_then(|at| Some(at.map(convert)))
    }

    /// `None` from `convert`, which has then reported why, makes the field bad.
    pub fn and_then<U>(self, convert: impl FnOnce(At<T>) -> Option<At<U>>) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Bad => Field::Bad,
            Self::Given(at) => convert(at).map_or(Field::Bad, Field::Given),
        }
    }
}

/// A text that is TOML.
#[derive(Debug)]
pub struct Source<'t> {
    document: Document<&'t str>,
    lines: Lines<'t>,
}

impl<'t> Source<'t> {
    /// `None`, with the error in `findings`, if it is not TOML.
    pub fn parse(text: &'t str, findings: &mut Findings) -> Option<Self> {
        let lines = Lines::new(text);
        match Document::parse(text) {
            Ok(document) => Some(Self { document, lines }),
            Err(error) => {
                // The error's `Display` would quote the line, which may hold a key.
                let place = lines.place(error.span().map_or(0, |span| span.start));
                findings.error(place, "", format!("not TOML: {}", one_line(error.message())));
                None
            }
        }
    }

    pub fn fields(&self) -> Fields<'_> {
        let place = Place { line: 1, column: 1 };
        Fields { table: self.document.as_table(), place, prefix: "", lines: &self.lines }
    }
}

fn one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
}

/// One table.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    table: &'a dyn TableLike,
    place: Place,
    prefix: &'static str,
    lines: &'a Lines<'a>,
}

impl<'a> Fields<'a> {
    /// Where the table begins, which is where a missing key is missed.
    pub fn place(&self) -> Place {
        self.place
    }

    /// A key as a message names it: `mirror.url`.
    pub fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The same, without a copy where the key is named as it is.
    pub fn named(&self, key: &'static str) -> Cow<'static, str> {
        if self.prefix.is_empty() { key.into() } else { self.name(key).into() }
    }

    /// Reports every key that is not known here.
    pub fn refuse_unknown(&self, known: &[&str], findings: &mut Findings) {
        self.refuse_unknown_but(known, |_| None, findings);
    }

    /// The same, where `explain` knows more of some unknown keys: a message and a cure.
    pub fn refuse_unknown_but(
        &self,
        known: &[&str],
        explain: impl Fn(&str) -> Option<(String, String)>,
        findings: &mut Findings,
    ) {
        for (name, _) in self.table.iter().filter(|(name, _)| !known.contains(name)) {
            let place = self.key(name).unwrap_or(self.place);
            let (message, cure) = explain(name).unwrap_or_else(|| {
                let cure = did_you_mean(name, known);
                let cure = cure.unwrap_or_else(|| one_of("known keys", known));
                (format!("unknown key {}", Quoted(name)), cure)
            });
            let table = self.prefix.trim_end_matches('.');
            *findings.error(place, table, message) = Some(cure);
        }
    }

    /// What a key holds, in TOML's words, where more than one type is understood.
    pub fn type_name(&self, key: &str) -> Option<&'static str> {
        self.table.get(key).map(Item::type_name)
    }

    pub fn key(&self, key: &str) -> Option<Place> {
        self.table.key(key).map(|key| self.key_place(key))
    }

    pub fn string(&self, key: &str, findings: &mut Findings) -> Field<&'a str> {
        self.read(key, "a string", findings, |value| value.as_str())
    }

    /// Whether a key holds this word, where others have another meaning altogether.
    pub fn word_is(&self, key: &str, word: &str) -> bool {
        self.table.get(key).and_then(Item::as_str) == Some(word)
    }

    pub fn boolean(&self, key: &str, findings: &mut Findings) -> Field<bool> {
        self.read(key, "`true` or `false`", findings, Value::as_bool)
    }

    pub fn integer(&self, key: &str, findings: &mut Findings) -> Field<i64> {
        self.read(key, "a whole number", findings, Value::as_integer)
    }

    /// A list of strings. Each has its own place; an element of another type makes the whole bad.
    pub fn strings(&self, key: &str, findings: &mut Findings) -> Field<Vec<At<&'a str>>> {
        let array = self.read(key, "a list of strings", findings, Value::as_array);
        array.and_then(|At { value: array, place }| {
            let mut strings = Vec::with_capacity(array.len());
            for element in array {
                let place = self.value_place(element);
                match element.as_str() {
                    Some(value) => strings.push(At { value, place }),
                    None => {
                        self.wrong_type(At { value: element, place }, key, "a string", findings);
                    }
                }
            }
            (strings.len() == array.len()).then_some(At { value: strings, place })
        })
    }

    /// An instant. TOML's dates without a zone are refused: the same file means another instant on
    /// the next node.
    pub fn timestamp(&self, key: &str, findings: &mut Findings) -> Field<Timestamp> {
        let date = self.read(key, "a date with a time zone", findings, Value::as_datetime);
        date.and_then(|At { value, place }| {
            if value.offset.is_none() {
                *findings.error(place, &self.name(key), format!("`{value}` needs a time zone")) =
                    Some("such as 2027-01-31T00:00:00Z".to_owned());
                return None;
            }
            let parsed = value.to_string().parse();
            parsed
                .map(|value| At { value, place })
                .map_err(|_| {
                    findings.error(
                        place,
                        &self.name(key),
                        format!("`{value}` is no possible date"),
                    );
                })
                .ok()
        })
    }

    /// An array of tables, written either way: `[[header]]` or `key = [{ … }]`.
    pub fn tables(
        &self,
        key: &str,
        header: &str,
        prefix: &'static str,
        findings: &mut Findings,
    ) -> Field<Vec<Fields<'a>>> {
        let Some((name, item)) = self.table.get_key_value(key) else { return Field::Absent };
        let tables: Option<Vec<&'a dyn TableLike>> = match item {
            Item::ArrayOfTables(tables) => {
                Some(tables.iter().map(|table| table as &dyn TableLike).collect())
            }
            Item::Value(Value::Array(array)) => array
                .iter()
                .map(|value| value.as_inline_table().map(|table| table as &dyn TableLike))
                .collect(),
            _ => None,
        };
        let place = self.item_place(item).unwrap_or_else(|| self.key_place(name));
        let Some(tables) = tables else {
            *findings.error(
                place,
                &self.name(key),
                format!("expected tables, found {}", article(item.type_name())),
            ) = Some(format!("begin each with `[[{header}]]`"));
            return Field::Bad;
        };
        let fields = |(table, place)| Fields { table, place, prefix, lines: self.lines };
        let places = self.table_places(item, place);
        Field::Given(At { value: tables.into_iter().zip(places).map(fields).collect(), place })
    }

    /// One table, written either way: `[header]` or `key = { … }`.
    pub fn table(
        &self,
        key: &str,
        prefix: &'static str,
        findings: &mut Findings,
    ) -> Field<Fields<'a>> {
        let Some((name, item)) = self.table.get_key_value(key) else { return Field::Absent };
        let place = self.item_place(item).unwrap_or_else(|| self.key_place(name));
        let Some(table) = item.as_table_like() else {
            let found = article(item.type_name());
            findings.error(place, &self.name(key), format!("expected a table, found {found}"));
            return Field::Bad;
        };
        Field::Given(At { value: Fields { table, place, prefix, lines: self.lines }, place })
    }

    fn table_places(&self, item: &'a Item, otherwise: Place) -> Vec<Place> {
        let place = |span: Option<std::ops::Range<usize>>| {
            span.map_or(otherwise, |span| self.lines.place(span.start))
        };
        match item {
            Item::ArrayOfTables(tables) => tables.iter().map(|table| place(table.span())).collect(),
            Item::Value(Value::Array(array)) => array.iter().map(|one| place(one.span())).collect(),
            _ => Vec::new(),
        }
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        findings: &mut Findings,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Field<T> {
        let Some((name, item)) = self.table.get_key_value(key) else { return Field::Absent };
        let place = self.item_place(item).unwrap_or_else(|| self.key_place(name));
        if let Some(value) = item.as_value().and_then(convert) {
            return Field::Given(At { value, place });
        }
        let found = article(item.type_name());
        findings.error(place, &self.name(key), format!("expected {expected}, found {found}"));
        Field::Bad
    }

    fn wrong_type(&self, at: At<&Value>, key: &str, expected: &str, findings: &mut Findings) {
        let found = article(at.value.type_name());
        findings.error(at.place, &self.name(key), format!("expected {expected}, found {found}"));
    }

    fn key_place(&self, key: &Key) -> Place {
        key.span().map_or(self.place, |span| self.lines.place(span.start))
    }

    fn item_place(&self, item: &Item) -> Option<Place> {
        item.span().map(|span| self.lines.place(span.start))
    }

    fn value_place(&self, value: &Value) -> Place {
        value.span().map_or(self.place, |span| self.lines.place(span.start))
    }
}

impl std::fmt::Debug for Fields<'_> {
    /// Without the values, which may be keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fields").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Looks a word up in a closed list.
pub fn word<T: Copy>(
    at: At<&str>,
    field: &str,
    words: &[(&str, T)],
    findings: &mut Findings,
) -> Option<At<T>> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == at.value) {
        return Some(At { value: *value, place: at.place });
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let cure = did_you_mean(at.value, &known).unwrap_or_else(|| one_of("one of", &known));
    *findings.error(at.place, field, format!("{} means nothing here", Quoted(at.value))) =
        Some(cure);
    None
}

fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    closest(word, known).map(|meant| format!("did you mean `{meant}`?"))
}

fn one_of(intro: &str, words: &[&str]) -> String {
    let mut text = format!("{intro}:");
    for (at, word) in words.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma} `{word}`");
    }
    text
}

fn article(type_name: &str) -> String {
    let vowel = type_name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {type_name}", if vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests;
