//! Foreign text, made fit to stand in one line of a message.

/// Returns `text` with nothing in it that could move a cursor, colour a terminal, reorder a line
/// or forge a second line of a log; cut after about `most` characters.
///
/// Letters of any script stay, because a name that was refused for its umlaut must be recognised.
pub(crate) fn printable(text: &str, most: usize) -> String {
    let mut line = String::new();
    for (count, character) in text.chars().enumerate() {
        if count >= most {
            line.push('…');
            break;
        }
        if character == ' ' || character.is_ascii_graphic() || is_foreign_letter(character) {
            line.push(character);
        } else {
            line.extend(character.escape_default());
        }
    }
    line
}

fn is_foreign_letter(character: char) -> bool {
    !character.is_ascii() && character.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        assert_eq!(printable("a\u{1b}[31mb\r\nc\0", 80), "a\\u{1b}[31mb\\r\\nc\\u{0}");
        assert_eq!(printable("\u{202e}corp\u{feff}", 80), "\\u{202e}corp\\u{feff}");
        assert_eq!(printable("bücher.corp", 80), "bücher.corp");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
    }
}
