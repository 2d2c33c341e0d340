//! Collects everything that is wrong with one file, so that nobody mends it one message at a time.

use std::fmt;
use std::sync::Arc;

use super::host::RegistryHost;
use super::printable::printable;
use super::problem::{Location, Problem, Severity};

/// Where something stands in a text. Lines and columns count characters from 1; 0 is "nowhere".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub fn within(self, file: &str) -> Location {
        let known = |number: usize| (number > 0).then_some(number);
        Location { file: file.to_owned(), line: known(self.line), column: known(self.column) }
    }
}

/// A value and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub place: Place,
}

impl<T> At<T> {
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> At<U> {
        At { value: convert(self.value), place: self.place }
    }
}

#[derive(Clone, Debug)]
pub struct Findings {
    file: Arc<str>,
    problems: Vec<Problem>,
}

impl Findings {
    pub fn new(file: impl Into<Arc<str>>) -> Self {
        Self { file: file.into(), problems: Vec::new() }
    }

    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// Adds an error, and returns it so that a cure can be given.
    pub fn error(
        &mut self,
        place: Place,
        field: &str,
        message: impl Into<String>,
    ) -> &mut Option<String> {
        self.add(Severity::Error, place, field, message.into())
    }

    /// Adds a warning, and returns it so that a cure can be given.
    pub fn warning(
        &mut self,
        place: Place,
        field: &str,
        message: impl Into<String>,
    ) -> &mut Option<String> {
        self.add(Severity::Warning, place, field, message.into())
    }

    fn add(
        &mut self,
        severity: Severity,
        place: Place,
        field: &str,
        message: String,
    ) -> &mut Option<String> {
        let problem = self.problems.push_mut(Problem {
            severity,
            location: place.within(&self.file),
            host: None,
            field: (!field.is_empty()).then(|| field.to_owned()),
            message,
            cure: None,
        });
        &mut problem.cure
    }

    pub fn first_error(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.severity == Severity::Error)
    }

    /// Everything found, in the order of the text.
    pub fn into_problems(mut self, host: Option<&RegistryHost>) -> Vec<Problem> {
        for problem in &mut self.problems {
            problem.host = host.cloned();
        }
        self.problems.sort_by_key(|problem| (problem.location.line, problem.location.column));
        self.problems
    }
}

/// Shows a value in a message: on one line, not too long, and never a private key that somebody
/// pasted into the wrong field.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

const LONGEST_QUOTE: usize = 80;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if holds_pem(self.0) {
            return f.write_str("<PEM text>");
        }
        write!(f, "`{}`", printable(self.0, LONGEST_QUOTE))
    }
}

/// Whether a value is, or could be a piece of, a certificate or a key.
pub fn holds_pem(value: &str) -> bool {
    // Both have this letter, which hardly any value has.
    value.contains('E') && (value.contains("-----BEGIN") || value.contains("PRIVATE KEY"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_shows_no_key_and_no_control_character() {
        let key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----";
        assert_eq!(Quoted(key).to_string(), "<PEM text>");
        assert_eq!(Quoted("a\u{1b}[2Jb\u{202e}").to_string(), "`a\\u{1b}[2Jb\\u{202e}`");
        assert_eq!(Quoted(&"x".repeat(81)).to_string(), format!("`{}…`", "x".repeat(80)));
    }
}
