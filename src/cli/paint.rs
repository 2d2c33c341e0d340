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

impl Paint {
    pub(super) fn colour(self, colour: Colour, text: impl fmt::Display) -> String {
        let code = match colour {
            Colour::Bold => "1",
            Colour::Green => "32",
            Colour::Red => "31",
            Colour::Yellow => "33",
            Colour::Cyan => "36",
        };
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_string() }
    }
}
