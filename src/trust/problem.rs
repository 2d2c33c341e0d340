//! What is wrong with an input, where, and what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::host::RegistryHost;

/// A place in a file that a person wrote. Lines and columns count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    pub file: String,
    pub line: Option<usize>,
    pub column: Option<usize>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = self.column {
            write!(f, ":{column}")?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The thing it is about is not applied.
    Error,
    /// It is applied; somebody should look.
    Warning,
}

/// One finding about an input. Never contains key material.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    pub severity: Severity,
    pub location: Location,
    /// The registry it is about, where that much could be understood.
    pub host: Option<RegistryHost>,
    /// The key as the user knows it, such as `ca_file` or `mirror.url`.
    pub field: Option<String>,
    /// What is wrong, with the offending value where it is no secret.
    pub message: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// Problems that say the same of several places, each once with every place, in the order of the
/// first. Ten thousand entries that share a CA have one sentence about it.
pub fn grouped<'a>(
    problems: impl Iterator<Item = &'a Problem>,
) -> Vec<(&'a Problem, BTreeSet<&'a Location>)> {
    let mut groups: Vec<(&Problem, BTreeSet<&Location>)> = Vec::new();
    let mut known = BTreeMap::new();
    for problem in problems {
        let Problem { severity, field, message, cure, .. } = problem;
        let at = *known.entry((severity, field, message, cure)).or_insert_with(|| {
            groups.push((problem, BTreeSet::new()));
            groups.len() - 1
        });
        if let Some((_, places)) = groups.get_mut(at) {
            places.insert(&problem.location);
        }
    }
    groups
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location)?;
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(cure) = &self.cure {
            write!(f, " ({cure})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(file: &str, line: usize, message: &str) -> Problem {
        Problem {
            severity: Severity::Warning,
            location: Location { file: file.to_owned(), line: Some(line), column: None },
            host: None,
            field: None,
            message: message.to_owned(),
            cure: None,
        }
    }

    #[test]
    fn what_is_said_of_many_places_is_said_once() {
        let problems = [
            problem("/b", 3, "expires soon"),
            problem("/a", 1, "is unknown"),
            problem("/a", 7, "expires soon"),
            problem("/b", 3, "expires soon"),
            Problem { severity: Severity::Error, ..problem("/a", 9, "expires soon") },
        ];
        let said: Vec<String> = grouped(problems.iter())
            .into_iter()
            .map(|(problem, places)| {
                let places: Vec<_> = places.iter().map(ToString::to_string).collect();
                format!("{problem} @ {}", places.join(" "))
            })
            .collect();
        let expected = [
            "/b:3: expires soon @ /a:7 /b:3",
            "/a:1: is unknown @ /a:1",
            "/a:9: expires soon @ /a:9",
        ];
        assert_eq!(said, expected);
    }
}
