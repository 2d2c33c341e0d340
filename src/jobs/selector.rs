//! Label selectors in the words of Kubernetes, because everybody who labels jobs knows those.

use std::collections::{BTreeMap, BTreeSet};

pub type Labels = BTreeMap<String, String>;

/// `key`, `!key`, `key=value`, `key!=value`, `key in (a, b)` or `key notin (a, b)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    In(BTreeSet<String>),
    /// Also what has no such label, as in Kubernetes.
    NotIn(BTreeSet<String>),
}

impl Selector {
    /// # Errors
    /// With what it should have been.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let whole = text.trim();
        let one = |value: &str| BTreeSet::from([value.trim().to_owned()]);
        let (key, wanted) = if let Some(key) = whole.strip_prefix('!') {
            (key, Test::Absent)
        } else if let Some((key, list)) = list(whole, " notin ")? {
            (key, Test::NotIn(list))
        } else if let Some((key, list)) = list(whole, " in ")? {
            (key, Test::In(list))
        } else if let Some((key, value)) = whole.split_once("!=") {
            (key, Test::NotIn(one(value)))
        } else if let Some((key, value)) = whole.split_once('=') {
            (key, Test::In(one(value.strip_prefix('=').unwrap_or(value))))
        } else {
            (whole, Test::Exists)
        };
        let key = key.trim();
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || "!=(),".contains(c)) {
            return Err("write `key`, `!key`, `key=value`, `key!=value` or `key in (a, b)`");
        }
        Ok(Self { key: key.to_owned(), test: wanted })
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match &self.test {
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
            Test::In(values) => value.is_some_and(|value| values.contains(value)),
            Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
        }
    }

    /// Whether it is met by nearly everything that was never labelled.
    pub fn is_negative(&self) -> bool {
        matches!(self.test, Test::Absent | Test::NotIn(_))
    }
}

type List<'t> = Option<(&'t str, BTreeSet<String>)>;

fn list<'t>(text: &'t str, word: &str) -> Result<List<'t>, &'static str> {
    let Some((key, list)) = text.split_once(word) else { return Ok(None) };
    let inner = list.trim().strip_prefix('(').and_then(|list| list.strip_suffix(')'));
    let inner = inner.ok_or("the values of `in` and `notin` stand in brackets: `key in (a, b)`")?;
    let values: BTreeSet<String> = inner.split(',').map(|value| value.trim().to_owned()).collect();
    Ok(Some((key, values)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_mean_what_they_mean_in_kubernetes() {
        let labels: Labels = [("app", "dind"), ("empty", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        for (text, matches) in [
            ("app", true),
            ("empty", true),
            ("other", false),
            ("!app", false),
            ("!other", true),
            ("app=dind", true),
            ("app == dind", true),
            ("app=DIND", false),
            ("app!=dind", false),
            ("other!=dind", true),
            ("app in (web, dind)", true),
            ("app in (web)", false),
            ("other in (web)", false),
            ("app notin (web, dind)", false),
            ("app notin (web)", true),
            ("other notin (web)", true),
            ("empty=", true),
            ("app=", false),
        ] {
            assert_eq!(Selector::parse(text).unwrap().matches(&labels), matches, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["", "!", "=x", "a b", "app in web", "app in (web", "(a)", "a,b", "!!a"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}
