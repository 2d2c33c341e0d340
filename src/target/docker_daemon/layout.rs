//! How the file is laid out, so that what is added looks like what is there.

use serde_json::Value;

use super::json_edit::{Document, Span};

/// For a file that shows no indentation of its own.
const INDENT: &str = "  ";

impl Document<'_> {
    pub(super) fn cut(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }

    pub(super) fn splice(&self, span: Span, with: &str) -> String {
        let before = self.cut(0, span.start);
        let after = self.cut(span.end, self.text.len());
        [before, with, after].concat()
    }

    pub(super) fn newline(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// What stands between the last member's key and value.
    pub(super) fn colon(&self) -> &str {
        let last = self.members.last().map(|last| self.cut(last.key.end, last.value.start));
        last.filter(|colon| [":", " :", ": ", " : "].contains(colon)).unwrap_or(": ")
    }

    /// One space, but none in a file that has none behind its colons either.
    fn space(&self) -> &'static str {
        if self.colon().ends_with(' ') { " " } else { "" }
    }

    /// The white space before a member's key.
    pub(super) fn lead(&self, at: usize) -> &str {
        let from = match at.checked_sub(1).and_then(|before| self.members.get(before)) {
            Some(before) => before.value.end,
            None => self.object.start + 1,
        };
        let to = self.members.get(at).map_or(from, |member| member.key.start);
        after_comma(self.cut(from, to))
    }

    /// The white space to put before a new last member.
    pub(super) fn new_lead(&self) -> String {
        let inside = self.cut(self.object.start + 1, self.object.end - 1);
        match self.members.len() {
            0 if inside.is_empty() || inside.contains('\n') => {
                format!("{}{INDENT}", self.newline())
            }
            0 => inside.to_owned(),
            1 if self.lead(0).is_empty() => self.space().to_owned(),
            members => self.lead(members - 1).to_owned(),
        }
    }

    /// A list of ours under a member with this lead: one element per line where the object has one
    /// member per line.
    pub(super) fn render(&self, items: &[String], lead: &str) -> String {
        let items: Vec<_> =
            items.iter().map(|item| Value::from(item.as_str()).to_string()).collect();
        if items.is_empty() || !lead.contains('\n') {
            return format!("[{}]", items.join(&format!(",{}", self.space())));
        }
        let line = format!("{}{}", self.newline(), deeper(lead));
        let close = format!("{}{}", self.newline(), indentation(lead));
        format!("[{line}{}{close}]", items.join(&format!(",{line}")))
    }

    /// The white space before each element.
    pub(super) fn item_leads(&self, open: usize, items: &[Span]) -> Vec<&str> {
        let ends = std::iter::once(open).chain(items.iter().map(|item| item.end));
        ends.zip(items).map(|(from, item)| self.cut(from, item.start)).collect()
    }

    /// The white space before a first element, in a list that held nothing but `tail`, or whose
    /// elements all go.
    pub(super) fn first_item_lead(&self, leads: &[&str], tail: &str, member_lead: &str) -> String {
        match leads.first() {
            Some(lead) => (*lead).to_owned(),
            None if tail.contains('\n') => format!("{}{}", self.newline(), deeper(member_lead)),
            None => tail.strip_suffix(']').unwrap_or(tail).to_owned(),
        }
    }

    /// The white space before an element that follows another.
    pub(super) fn next_item_lead(&self, leads: &[&str], first: &str) -> String {
        match leads {
            [_, .., last] => after_comma(last).to_owned(),
            _ if first.is_empty() => self.space().to_owned(),
            _ => first.to_owned(),
        }
    }
}

/// The white space of `, ` and the like.
pub(super) fn after_comma(lead: &str) -> &str {
    lead.split_once(',').map_or(lead, |(_, white)| white)
}

fn indentation(lead: &str) -> &str {
    lead.rsplit_once('\n').map_or("", |(_, indentation)| indentation)
}

/// One level deeper than a member of the top object, whose indentation is the unit.
fn deeper(lead: &str) -> String {
    let unit = indentation(lead);
    if unit.is_empty() { INDENT.to_owned() } else { unit.repeat(2) }
}
