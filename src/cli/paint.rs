//! Colour, where it is wanted.

use std::fmt;

#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) on: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Colour {
    Bold,
    Green,
    Red,
    Yellow,
    Cyan,
}

/// Everything that [`Paint::colour`] puts around a text.
const CODES: [&str; 7] =
    ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[36m"];

impl Paint {
    pub(super) fn colour(self, colour: Colour, text: impl fmt::Display) -> String {
        let code = match colour {
            Colour::Bold => "1",
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
        };
        let text = text.to_string();
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text }
    }

    /// The next of our own codes in a text, with what stands before and after it.
    pub(super) fn next_code(self, text: &str) -> Option<(&str, &str, &str)> {
        if !self.on {
            return None;
        }
        let (at, code) = CODES.iter().filter_map(|code| Some((text.find(code)?, *code))).min()?;
        let (before, rest) = text.split_at_checked(at)?;
        Some((before, code, rest.strip_prefix(code)?))
    }
}
