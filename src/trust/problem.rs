//! What is wrong with an input, where, and what to do about it.

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
