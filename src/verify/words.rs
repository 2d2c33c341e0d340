//! A runtime's own words, made fit to be shown. Pure.

use crate::trust::printable::printable;

/// Enough for the longest chain of causes that a runtime was seen to give.
const LONGEST: usize = 500;

/// One line, shortened, with nothing in it that a terminal obeys and no credential.
///
/// Runtimes put whole addresses into their errors, and an address may carry a user with a password
/// (of a proxy, of a mirror) before its host, or a token after its `?`.
pub(super) fn presentable(words: &str) -> String {
    let mut line = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        line.push_str(before);
        let end = address.find(is_after_address).unwrap_or(address.len());
        let (address, after) = address.split_at(end);
        let authority_ends = address.find(['/', '?', '#']).unwrap_or(address.len());
        let from = address[..authority_ends].rfind('@').map_or(0, |at| at + 1);
        let to = address.find('?').unwrap_or(address.len()).max(from);
        line.push_str(&address[from..to]);
        rest = after;
    }
    line.push_str(rest);
    printable(line.trim(), LONGEST)
}

fn is_after_address(character: char) -> bool {
    character.is_whitespace() || matches!(character, '"' | '\'' | '<' | '>' | '`' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_comes_through() {
        for (words, shown) in [
            ("Get \"https://a.corp/v2/\": EOF", "Get \"https://a.corp/v2/\": EOF"),
            ("Get \"https://ann:s3cret@a.corp/v2/\": EOF", "Get \"https://a.corp/v2/\": EOF"),
            ("http://ann:p@ss@proxy:3128: no", "http://proxy:3128: no"),
            (
                "Get \"https://a.corp/token?account=ann&password=x\": http://b:c@d/e?f g",
                "Get \"https://a.corp/token\": http://d/e g",
            ),
            ("https://a.corp?x@y", "https://a.corp"),
            ("a@b ://", "a@b ://"),
            ("two\nlines\u{1b}[31m", "two\\nlines\\u{1b}[31m"),
        ] {
            assert_eq!(presentable(words), shown);
        }
        assert_eq!(presentable(&"x".repeat(2000)).chars().count(), LONGEST + 1);
    }
}
