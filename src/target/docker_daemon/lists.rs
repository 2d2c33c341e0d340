//! What dockerd would load from a daemon.json.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Key;

/// The elements under each key that is there; dockerd takes `null` for an empty list.
///
/// A key that is missing from the result is one that dockerd passes over: it keeps what it has. What
/// is no list of strings says nothing here, because `merge` refuses such a file.
pub fn lists(text: Option<&str>) -> BTreeMap<Key, Vec<String>> {
    let text = text.unwrap_or_default().trim_start_matches('\u{feff}');
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return BTreeMap::new() };
    let list = |key: Key| match object.get(key.name())? {
        Value::Null => Some((key, Vec::new())),
        Value::Array(items) => {
            let texts = items.iter().filter_map(Value::as_str);
            Some((key, texts.map(str::to_owned).collect()))
        }
        _ => None,
    };
    Key::ALL.into_iter().filter_map(list).collect()
}

/// The authorization plugins that a daemon.json names.
pub fn authorization_plugins(file: &[u8]) -> Vec<String> {
    let text = str::from_utf8(file).unwrap_or_default().trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let plugins = value.get("authorization-plugins").and_then(Value::as_array);
    plugins.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_not_an_empty_list() {
        use Key::{InsecureRegistries as Insecure, RegistryMirrors as Mirrors};
        for (text, expected) in [
            (None, vec![]),
            (Some(""), vec![]),
            (Some("{"), vec![]),
            (Some("{\"insecure-registries\": \"a\"}"), vec![]),
            (Some("{\"insecure-registries\": []}"), vec![(Insecure, vec![])]),
            (Some("{\"registry-mirrors\": null}"), vec![(Mirrors, vec![])]),
            (
                Some("\u{feff}{\"insecure-registries\": [\"b\", \"a\"]}"),
                vec![(Insecure, vec!["b".to_owned(), "a".to_owned()])],
            ),
        ] {
            assert_eq!(lists(text), expected.into_iter().collect(), "{text:?}");
        }
    }
}
