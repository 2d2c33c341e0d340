//! Foreign text on a terminal: file names, link targets and messages of parsers are whatever
//! somebody chose to call them, and a terminal obeys what it is sent.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character would act on a terminal, hide, or reorder what stands around it. A tab only
/// moves on.
fn is_hidden(character: char) -> bool {
    let reorders = matches!(
        character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    );
    (character.is_control() && character != '\t') || reorders
}

/// One line that shows all of `text`.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// A JSON document that says the same, and holds no such character but its own line breaks. They can
/// only stand within strings, where JSON has another spelling for them.
pub(super) fn visible_json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for character in document.chars() {
        if is_hidden(character) && character != '\n' {
            // All of them are below U+10000, and writing to a String cannot fail.
            _ = write!(shown, "\\u{:04x}", u32::from(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(visible("a\u{1b}[2Jb\nc\u{9b}d\u{202e}"), "a\\u{1b}[2Jb\\nc\\u{9b}d\\u{202e}");
        assert_eq!(visible("bücher\tcorp"), "bücher\tcorp");
    }

    #[test]
    fn json_says_the_same_after_it() {
        let text = "a\u{9b}31m\u{7f}\u{202e}ü";
        let document = serde_json::to_string_pretty(&[text]).unwrap();
        let shown = visible_json(&document);
        assert!(!shown.contains(['\u{9b}', '\u{7f}', '\u{202e}']), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
    }
}
