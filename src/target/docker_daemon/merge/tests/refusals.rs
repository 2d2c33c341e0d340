use super::*;

fn refusal(current: &str) -> MergeError {
    merge(Some(current), &DaemonOwned::default(), &insecure(&["a"])).unwrap_err()
}

#[test]
fn a_file_that_dockerd_would_refuse_is_left_alone() {
    let key = Key::InsecureRegistries;
    for (current, error) in [
        ("[]", MergeError::NotAnObject),
        ("null", MergeError::NotAnObject),
        ("{\"x\": 1, \"x\": 2}", MergeError::DuplicateKey { key: "x".into() }),
        (
            "{\"Insecure-Registries\": []}",
            MergeError::WrongCase { found: "Insecure-Registries".into(), key },
        ),
        ("{\"insecure-registries\": \"a\"}", MergeError::WrongType { key }),
        ("{\"insecure-registries\": [\"a\", 1]}", MergeError::WrongType { key }),
        ("{\"insecure-registries\": {}}", MergeError::WrongType { key }),
        (
            "{\"registry-mirrors\": \"https://m\"}",
            MergeError::WrongType { key: Key::RegistryMirrors },
        ),
    ] {
        assert_eq!(refusal(current), error, "{current}");
    }
}

#[test]
fn invalid_json_is_named_with_its_place() {
    for (current, message) in [
        ("{", "daemon.json is not valid JSON: EOF while parsing an object at line 1, column 1"),
        ("{\n  \"a\": 1,\n}", "daemon.json is not valid JSON: trailing comma at line 3, column 1"),
        (
            "{\n  // why\n}",
            "daemon.json is not valid JSON: key must be a string at line 2, column 3",
        ),
        ("{}\n}", "daemon.json goes on after its closing brace, at line 2, column 1"),
    ] {
        assert_eq!(refusal(current).to_string(), message);
    }
}

#[test]
fn a_bottomless_file_overflows_no_stack() {
    let deep = format!("{{\"x\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(refusal(&deep), MergeError::Syntax { .. }));
}

#[test]
fn every_refusal_has_a_cure() {
    let key = Key::InsecureRegistries;
    let errors = [
        MergeError::Syntax { reason: String::new(), line: 1, column: 1 },
        MergeError::TrailingText { line: 1, column: 1 },
        MergeError::NotAnObject,
        MergeError::DuplicateKey { key: String::new() },
        MergeError::WrongCase { found: String::new(), key },
        MergeError::WrongType { key },
        MergeError::Unsound { key },
    ];
    assert!(errors.iter().all(|error| !error.cure().is_empty()));
}

/// The last line of defence: an edit that changed something else would never be written.
#[test]
fn an_edit_that_changes_anything_else_is_never_written() {
    let before = "{\"debug\": true, \"insecure-registries\": [\"x\"]}";
    let document = Document::parse(before).unwrap();
    let meant = List::Items(vec!["x".into(), "a".into()]);
    let key = Key::InsecureRegistries;
    let good = "{\"debug\": true, \"insecure-registries\": [\"x\", \"a\"]}";
    assert_eq!(verify(&document, good, key, &meant), Ok(()));
    for bad in [
        "{\"debug\": false, \"insecure-registries\": [\"x\", \"a\"]}",
        "{\"insecure-registries\": [\"x\", \"a\"]}",
        "{\"debug\": true, \"insecure-registries\": [\"a\"]}",
        "{\"debug\": true, \"insecure-registries\": [\"x\", \"a\"], \"y\": 1}",
        "{\"debug\": true, \"insecure-registries\": [\"x\", \"a\"",
    ] {
        assert_eq!(verify(&document, bad, key, &meant), Err(MergeError::Unsound { key }), "{bad}");
    }
}
