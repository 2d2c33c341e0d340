//! Go's `filepath.Match` for one path component, which is what containerd expands its imports with.
//! Pure.

/// Whether `name` matches: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before a character that means
/// itself. A leading dot is nothing special. A broken pattern matches nothing.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut pattern = pattern.chars();
    let Some(first) = pattern.next() else { return name.is_empty() };
    let mut rest = name.chars();
    match first {
        '*' => (0..=name.len())
            .filter_map(|at| name.get(at..))
            .any(|tail| matches(pattern.as_str(), tail)),
        '?' => rest.next().is_some() && matches(pattern.as_str(), rest.as_str()),
        '[' => match (class(pattern.as_str()), rest.next()) {
            (Some((class, pattern)), Some(c)) => class.holds(c) && matches(pattern, rest.as_str()),
            _ => false,
        },
        first => {
            let literal = if first == '\\' { pattern.next() } else { Some(first) };
            literal.is_some() && rest.next() == literal && matches(pattern.as_str(), rest.as_str())
        }
    }
}

struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    fn holds(&self, c: char) -> bool {
        self.negated != self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
    }
}

/// Parses what follows `[`, and says what follows `]`.
fn class(pattern: &str) -> Option<(Class, &str)> {
    let mut chars = pattern.chars();
    let negated = pattern.starts_with('^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        let low = match chars.next()? {
            ']' if !ranges.is_empty() => return Some((Class { negated, ranges }, chars.as_str())),
            ']' | '-' => return None,
            '\\' => chars.next()?,
            low => low,
        };
        let high = match chars.as_str().strip_prefix('-') {
            Some(_) => chars.nth(1).filter(|high| !matches!(high, ']' | '-'))?,
            None => low,
        };
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_they_do_in_go() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml.bak", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("?.toml", "ä.toml", true),
            ("?.toml", ".toml", false),
            ("[0-9]*.toml", "10-x.toml", true),
            ("[0-9]*.toml", "x.toml", false),
            ("[^a]*", "b", true),
            ("[^a]*", "a", false),
            ("[abc]", "c", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("[", "[", false),
            ("[]a]", "]", false),
            ("[a-", "a", false),
            (r"a\", "a", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
