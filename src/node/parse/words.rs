//! Splitting a line into words by systemd's rules, which are not a shell's: quotes are alike inside,
//! and C's escapes count in both and outside. Pure.

use std::iter::Peekable;
use std::str::Chars;

/// What a backslash does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// `\n`, `\x41`, `\s` as in unit files. An unknown one stays as it is.
    C,
    /// The next character is itself, as in the value of a variable that is split.
    Plain,
}

/// The words of a line. `None`: a quote is not closed, and systemd ignores the line.
pub fn split(line: &str, escapes: Escapes) -> Option<Vec<String>> {
    let mut rest = line.chars().peekable();
    let mut words = Vec::new();
    loop {
        while rest.next_if(char::is_ascii_whitespace).is_some() {}
        if rest.peek().is_none() {
            return Some(words);
        }
        words.push(word(&mut rest, escapes)?);
    }
}

fn word(rest: &mut Peekable<Chars<'_>>, escapes: Escapes) -> Option<String> {
    let mut word = String::new();
    let mut quote = None;
    while let Some(c) = rest.next_if(|c| quote.is_some() || !c.is_ascii_whitespace()) {
        match c {
            c if quote == Some(c) => quote = None,
            '\'' | '"' if quote.is_none() => quote = Some(c),
            '\\' if escapes == Escapes::C => escaped(rest, &mut word),
            '\\' => word.extend(rest.next()),
            c => word.push(c),
        }
    }
    quote.is_none().then_some(word)
}

fn escaped(rest: &mut Peekable<Chars<'_>>, word: &mut String) {
    let Some(c) = rest.next() else {
        word.push('\\');
        return;
    };
    match c {
        'a' => word.push('\x07'),
        'b' => word.push('\x08'),
        'f' => word.push('\x0c'),
        'n' => word.push('\n'),
        'r' => word.push('\r'),
        't' => word.push('\t'),
        'v' => word.push('\x0b'),
        's' => word.push(' '),
        '\\' | '"' | '\'' => word.push(c),
        'x' => numbered(rest, word, 'x', 2, 16),
        'u' => numbered(rest, word, 'u', 4, 16),
        'U' => numbered(rest, word, 'U', 8, 16),
        '0'..='7' => {
            let mut digits = c.to_string();
            while let Some(digit) = rest.next_if(|d| digits.len() < 3 && d.is_digit(8)) {
                digits.push(digit);
            }
            push_or_keep(word, "", &digits, (digits.len() == 3).then_some(8));
        }
        c => word.extend(['\\', c]),
    }
}

fn numbered(
    rest: &mut Peekable<Chars<'_>>,
    word: &mut String,
    kind: char,
    length: usize,
    radix: u32,
) {
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(|d| digits.len() < length && d.is_digit(radix)) {
        digits.push(digit);
    }
    push_or_keep(word, &kind.to_string(), &digits, (digits.len() == length).then_some(radix));
}

/// The character with that number, or else the escape as it was written.
fn push_or_keep(word: &mut String, kind: &str, digits: &str, radix: Option<u32>) {
    let number = radix.and_then(|radix| u32::from_str_radix(digits, radix).ok());
    match number.filter(|&number| number != 0).and_then(char::from_u32) {
        Some(c) => word.push(c),
        None => word.extend(["\\", kind, digits]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_systemd_splits_them() {
        for (line, words) in [
            (r"/usr/bin/dockerd -H fd://", Some(vec!["/usr/bin/dockerd", "-H", "fd://"])),
            (r#"a "b c" 'd e' f"g h"i"#, Some(vec!["a", "b c", "d e", "fg hi"])),
            (r#""it's" 'say "x"'"#, Some(vec!["it's", r#"say "x""#])),
            (r"a\sb \x41\101 c\\d \q", Some(vec!["a b", "AA", r"c\d", r"\q"])),
            (r"'\x41' \u00e4 \U0001F600", Some(vec!["A", "ä", "😀"])),
            (r"\x4 \x00 \9 \12", Some(vec![r"\x4", r"\x00", r"\9", r"\12"])),
            (r#""" a"#, Some(vec!["", "a"])),
            ("  \t ", Some(vec![])),
            (r#"a "b"#, None),
            (r"a'b", None),
        ] {
            let words = words.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(split(line, Escapes::C), words, "{line}");
        }
        assert_eq!(split(r"a\nb\ c", Escapes::Plain).unwrap(), ["anb c"]);
    }
}
