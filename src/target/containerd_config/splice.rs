//! Where `config_path` goes into the text of a config.toml, and how it is taken out again.
//!
//! The text is cut and joined here, and not printed by the TOML library, which would turn `\r\n`
//! into `\n` and so rewrite every line of a file that is not ours.

use std::ops::Range;

use toml_edit::{Document, InlineTable, Item, Table, TomlError, Value};

/// What to put in, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Splice {
    fn insert(at: usize, text: String) -> Self {
        Self { range: at..at, text }
    }

    /// `None`: the range lies outside the text.
    pub(super) fn apply(&self, text: &str) -> Option<String> {
        let before = text.get(..self.range.start)?;
        let after = text.get(self.range.end..)?;
        Some([before, &self.text, after].concat())
    }
}

/// A string as TOML writes it.
pub(super) fn literal(text: &str) -> String {
    Value::from(text).to_string()
}

/// The value at `path`, with its quotes.
pub(super) fn value_span(text: &str, path: &[&str]) -> Option<Range<usize>> {
    let document = Document::parse(text).ok()?;
    let (name, tables) = path.split_first()?;
    tables.iter().try_fold(document.get(name)?, |item, name| item.get(name))?.span()
}

pub(super) fn line_ending(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text.get(..at).is_some_and(|line| line.ends_with('\r')) => "\r\n",
        _ => "\n",
    }
}

/// The table that new keys can be written under, as far as the way to `path` leads.
struct Section<'a> {
    /// `None`: the start of the file.
    header: Option<Range<usize>>,
    table: &'a Table,
    /// How many names of the path its header says.
    depth: usize,
}

/// Finds where the key at `path` can be added. `None`: something on the way is no table.
///
/// TOML lets a table be opened by one header only, and a table that was made by dotted keys by
/// none, and an inline table be added to by nobody; so each needs its own way in.
pub(super) fn insertion(
    text: &str,
    path: &[&str],
    value: &str,
) -> Result<Option<Splice>, TomlError> {
    let document = Document::parse(text)?;
    let Some((key, tables)) = path.split_last() else { return Ok(None) };
    let mut section = Section { header: None, table: document.as_table(), depth: 0 };
    let mut here = document.as_table();
    for (depth, name) in (1..).zip(tables) {
        match here.get(name) {
            None => break,
            Some(Item::Table(table)) => {
                here = table;
                if !table.is_dotted() && !table.is_implicit() {
                    section = Section { header: table.span(), table, depth };
                }
            }
            Some(Item::Value(Value::InlineTable(table))) => {
                let rest = path.get(depth..).unwrap_or_default();
                return Ok(into_inline(table, rest, value));
            }
            Some(_) => return Ok(None),
        }
    }
    let rest = path.get(section.depth..).unwrap_or_default();
    Ok(Some(if here.is_dotted() || rest == [*key] {
        under_header(text, &section, rest, value)
    } else {
        at_the_end(text, tables, key, value)
    }))
}

/// `names` leads on from `table`, through inline tables as far as they are there.
fn into_inline(table: &InlineTable, names: &[&str], value: &str) -> Option<Splice> {
    let (name, inner) = names.split_first()?;
    match table.get(name) {
        Some(Value::InlineTable(next)) if next.is_dotted() => return None,
        Some(Value::InlineTable(next)) => return into_inline(next, inner, value),
        Some(_) => return None,
        None => {}
    }
    let (key, tables) = names.split_last()?;
    let innermost = format!("{} = {value}", bare_or_quoted(key));
    let member = tables
        .iter()
        .rev()
        .fold(innermost, |member, name| format!("{} = {{ {member} }}", bare_or_quoted(name)));
    let end = if table.is_empty() { " " } else { "," };
    Some(Splice::insert(table.span()?.start + 1, format!(" {member}{end}")))
}

fn under_header(text: &str, section: &Section<'_>, names: &[&str], value: &str) -> Splice {
    let eol = line_ending(text);
    let assignment = format!("{} = {value}", dotted(names));
    let Some(header) = &section.header else {
        let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        return Splice::insert(start, format!("{assignment}{eol}"));
    };
    let indent = indent_of_keys(text, section, header.start);
    let rest = text.get(header.end..).unwrap_or_default();
    match rest.find('\n') {
        Some(newline) => {
            Splice::insert(header.end + newline + 1, format!("{indent}{assignment}{eol}"))
        }
        None => Splice::insert(text.len(), format!("{eol}{indent}{assignment}")),
    }
}

fn at_the_end(text: &str, tables: &[&str], key: &str, value: &str) -> Splice {
    let eol = line_ending(text);
    let unfinished = if text.is_empty() || text.ends_with('\n') { "" } else { eol };
    let separation = if text.is_empty() { "" } else { eol };
    let header = dotted(tables);
    let section = format!("[{header}]{eol}{} = {value}{eol}", bare_or_quoted(key));
    Splice::insert(text.len(), format!("{unfinished}{separation}{section}"))
}

/// Dumps indent each level, so the neighbours say how deep the new line stands.
fn indent_of_keys(text: &str, section: &Section<'_>, header: usize) -> String {
    let first = section.table.iter().find(|(_, item)| item.is_value()).map(|(name, _)| name);
    let key = first.and_then(|name| section.table.key(name)).and_then(toml_edit::Key::span);
    match key.and_then(|key| white_space_before(text, key.start)) {
        Some(indent) => indent.to_owned(),
        None => match white_space_before(text, header) {
            None | Some("") => String::new(),
            Some(indent) => format!("{indent}  "),
        },
    }
}

/// `None`: something else stands before `at` on its line.
fn white_space_before(text: &str, at: usize) -> Option<&str> {
    let line = text.get(line_start(text, at)..at)?;
    line.bytes().all(|byte| byte == b' ' || byte == b'\t').then_some(line)
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// The whole lines that `range` touches.
pub(super) fn lines(text: &str, range: &Range<usize>) -> Range<usize> {
    let rest = text.get(range.end..).unwrap_or_default();
    let end = rest.find('\n').map_or(text.len(), |newline| range.end + newline + 1);
    line_start(text, range.start)..end
}

fn dotted(names: &[&str]) -> String {
    names.iter().map(|name| bare_or_quoted(name)).collect::<Vec<_>>().join(".")
}

fn bare_or_quoted(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { literal(name) }
}
