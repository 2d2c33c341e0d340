//! Hunks as `diff -u` and `patch` write and read them.

use std::fmt;

use imara_diff::{Interner, Token, UnifiedDiffPrinter};

pub(super) struct Hunks<'a>(pub(super) &'a Interner<&'a str>);

impl Hunks<'_> {
    fn line(&self, f: &mut impl fmt::Write, sign: char, token: Token) -> fmt::Result {
        let line = self.0[token];
        write!(f, "{sign}{line}")?;
        if line.ends_with('\n') { Ok(()) } else { writeln!(f, "\n\\ No newline at end of file") }
    }
}

impl UnifiedDiffPrinter for Hunks<'_> {
    fn display_header(
        &self,
        mut f: impl fmt::Write,
        start_before: u32,
        start_after: u32,
        len_before: u32,
        len_after: u32,
    ) -> fmt::Result {
        let (before, after) = (Range(start_before, len_before), Range(start_after, len_after));
        writeln!(f, "@@ -{before} +{after} @@")
    }

    fn display_context_token(&self, mut f: impl fmt::Write, token: Token) -> fmt::Result {
        self.line(&mut f, ' ', token)
    }

    fn display_hunk(
        &self,
        mut f: impl fmt::Write,
        before: &[Token],
        after: &[Token],
    ) -> fmt::Result {
        before.iter().try_for_each(|token| self.line(&mut f, '-', *token))?;
        after.iter().try_for_each(|token| self.line(&mut f, '+', *token))
    }
}

/// Where lines begin, counted from 0, and how many they are.
struct Range(u32, u32);

impl fmt::Display for Range {
    /// Of no lines, the one before them is named; of one line, not how many they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(start, 0) => write!(f, "{start},0"),
            Self(start, 1) => write!(f, "{}", start.saturating_add(1)),
            Self(start, count) => write!(f, "{},{count}", start.saturating_add(1)),
        }
    }
}
