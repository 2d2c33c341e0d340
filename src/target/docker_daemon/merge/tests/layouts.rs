use super::*;

/// Before, with `a` in it, with `a` and `b` in it. Taking them out again gives the first.
const LAYOUTS: &[(&str, &str, &str)] = &[
    (
        "{}",
        "{\n  \"insecure-registries\": [\n    \"a\"\n  ]\n}",
        "{\n  \"insecure-registries\": [\n    \"a\",\n    \"b\"\n  ]\n}",
    ),
    (
        "{\n}\n",
        "{\n  \"insecure-registries\": [\n    \"a\"\n  ]\n}\n",
        "{\n  \"insecure-registries\": [\n    \"a\",\n    \"b\"\n  ]\n}\n",
    ),
    (
        "{ }\n",
        "{ \"insecure-registries\": [\"a\"] }\n",
        "{ \"insecure-registries\": [\"a\", \"b\"] }\n",
    ),
    (
        "{\"debug\":true}",
        "{\"debug\":true,\"insecure-registries\":[\"a\"]}",
        "{\"debug\":true,\"insecure-registries\":[\"a\",\"b\"]}",
    ),
    (
        "{\"debug\": true}\n",
        "{\"debug\": true, \"insecure-registries\": [\"a\"]}\n",
        "{\"debug\": true, \"insecure-registries\": [\"a\", \"b\"]}\n",
    ),
    (
        "{\n    \"debug\" : true,\n    \"x\" : {\n        \"y\" : 1\n    }\n}",
        "{\n    \"debug\" : true,\n    \"x\" : {\n        \"y\" : 1\n    },\n    \
         \"insecure-registries\" : [\n        \"a\"\n    ]\n}",
        "{\n    \"debug\" : true,\n    \"x\" : {\n        \"y\" : 1\n    },\n    \
         \"insecure-registries\" : [\n        \"a\",\n        \"b\"\n    ]\n}",
    ),
    (
        "{\n\t\"debug\": true\n}\n",
        "{\n\t\"debug\": true,\n\t\"insecure-registries\": [\n\t\t\"a\"\n\t]\n}\n",
        "{\n\t\"debug\": true,\n\t\"insecure-registries\": [\n\t\t\"a\",\n\t\t\"b\"\n\t]\n}\n",
    ),
    (
        "{\r\n  \"debug\": true\r\n}\r\n",
        "{\r\n  \"debug\": true,\r\n  \"insecure-registries\": [\r\n    \"a\"\r\n  ]\r\n}\r\n",
        "{\r\n  \"debug\": true,\r\n  \"insecure-registries\": [\r\n    \"a\",\r\n    \"b\"\r\n  ]\
         \r\n}\r\n",
    ),
    (
        "\u{feff}{\"ü\": \"\\ud83d\\ude00 ☃\"}\n",
        "\u{feff}{\"ü\": \"\\ud83d\\ude00 ☃\", \"insecure-registries\": [\"a\"]}\n",
        "\u{feff}{\"ü\": \"\\ud83d\\ude00 ☃\", \"insecure-registries\": [\"a\", \"b\"]}\n",
    ),
    (
        "{\"insecure-registries\": []}",
        "{\"insecure-registries\": [\"a\"]}",
        "{\"insecure-registries\": [\"a\", \"b\"]}",
    ),
    (
        "{\"insecure-registries\": [ ]}",
        "{\"insecure-registries\": [ \"a\" ]}",
        "{\"insecure-registries\": [ \"a\", \"b\" ]}",
    ),
    (
        "{\n  \"insecure-registries\": [\n  ]\n}",
        "{\n  \"insecure-registries\": [\n    \"a\"\n  ]\n}",
        "{\n  \"insecure-registries\": [\n    \"a\",\n    \"b\"\n  ]\n}",
    ),
    (
        "{\n  \"insecure-registries\": null\n}",
        "{\n  \"insecure-registries\": [\n    \"a\"\n  ]\n}",
        "{\n  \"insecure-registries\": [\n    \"a\",\n    \"b\"\n  ]\n}",
    ),
    (
        "{\"insecure-registries\": [\"x\"], \"debug\": true}",
        "{\"insecure-registries\": [\"x\", \"a\"], \"debug\": true}",
        "{\"insecure-registries\": [\"x\", \"a\", \"b\"], \"debug\": true}",
    ),
    (
        "{\"insecure-registries\":[\"x\",\"y\"]}",
        "{\"insecure-registries\":[\"x\",\"y\",\"a\"]}",
        "{\"insecure-registries\":[\"x\",\"y\",\"a\",\"b\"]}",
    ),
    (
        "{\n\t\"insecure-registries\": [\n\t\t\"x\" ,\n\t\t\"y\"\n\n\t]\n}",
        "{\n\t\"insecure-registries\": [\n\t\t\"x\" ,\n\t\t\"y\",\n\t\t\"a\"\n\n\t]\n}",
        "{\n\t\"insecure-registries\": [\n\t\t\"x\" ,\n\t\t\"y\",\n\t\t\"a\",\n\t\t\"b\"\n\n\t]\n}",
    ),
    (
        "{\n  \"insecure\\u002dregistries\": [\n    \"x\"\n  ]\n}",
        "{\n  \"insecure\\u002dregistries\": [\n    \"x\",\n    \"a\"\n  ]\n}",
        "{\n  \"insecure\\u002dregistries\": [\n    \"x\",\n    \"a\",\n    \"b\"\n  ]\n}",
    ),
];

#[test]
fn elements_follow_the_layout_and_leave_it_as_it_was() {
    for (before, with_a, with_both) in LAYOUTS {
        let one = first(Some(before), &insecure(&["a"]));
        assert_eq!(text(&one), *with_a, "{before}");
        let both = again(&one, &insecure(&["a", "b"]));
        assert_eq!(text(&both), *with_both, "{before}");
        assert_eq!(first(Some(before), &insecure(&["b", "a"])), both, "{before}");
        assert_eq!(again(&both, &insecure(&["b", "a"])), both, "nothing more to do: {before}");
        assert_eq!(text(&again(&both, &insecure(&["a"]))), *with_a, "{before}");
        let restored = Merged { text: Some((*before).to_owned()), owned: DaemonOwned::default() };
        assert_eq!(again(&both, &nothing(Ending::Restore)), restored, "{before}");
    }
}

/// A missing key is no change to dockerd: only `[]` makes it forget.
#[test]
fn the_last_element_of_a_list_of_ours_leaves_an_empty_list_first() {
    for (before, with_a, _) in LAYOUTS {
        let one = first(Some(before), &insecure(&["a"]));
        let empty = again(&one, &nothing(Ending::KeepEmpty));
        assert_eq!(again(&empty, &nothing(Ending::KeepEmpty)), empty, "{before}");
        if before.contains("insecure") {
            assert_eq!(text(&empty), *before, "theirs clears dockerd's list as it is");
        } else {
            assert_eq!(with_a.find('['), text(&empty).find("[]"), "{before}");
            assert_eq!(again(&empty, &insecure(&["a"])), one, "{before}");
        }
        assert_eq!(text(&again(&empty, &nothing(Ending::Restore))), *before);
    }
}

#[test]
fn a_file_of_ours_comes_and_goes() {
    let made = first(None, &insecure(&["b", "a"]));
    assert_eq!(text(&made), "{\n  \"insecure-registries\": [\n    \"a\",\n    \"b\"\n  ]\n}\n");
    assert!(made.owned.created_file);
    let empty = again(&made, &nothing(Ending::KeepEmpty));
    assert_eq!(text(&empty), "{\n  \"insecure-registries\": []\n}\n");
    let gone = Merged { text: None, owned: DaemonOwned::default() };
    assert_eq!(again(&empty, &nothing(Ending::Restore)), gone);
    assert_eq!(again(&made, &nothing(Ending::Restore)), gone);
}

/// Docker 23 and later take an empty file for `{}`; 20.10 does not start with it.
#[test]
fn an_empty_file_becomes_an_object_and_empty_again() {
    for blank in ["", "\n", "  \r\n\t", "\u{feff}", "\u{feff}\n"] {
        let made = first(Some(blank), &mirrors(&["https://m"]));
        let list = "{\n  \"registry-mirrors\": [\n    \"https://m\"\n  ]\n}\n";
        assert_eq!(text(&made).trim_start_matches('\u{feff}'), list);
        assert_eq!(text(&made).starts_with('\u{feff}'), blank.starts_with('\u{feff}'));
        let restored = Merged { text: Some(blank.to_owned()), owned: DaemonOwned::default() };
        assert_eq!(again(&made, &nothing(Ending::Restore)), restored);
    }
}

#[test]
fn both_lists_come_and_go_in_any_order() {
    let both = Goals { mirrors: goal(&["https://m"], Ending::Restore), ..insecure(&["a"]) };
    let only = |goals: Goals| Goals {
        insecure: Goal { ending: Ending::Restore, ..goals.insecure },
        mirrors: Goal { ending: Ending::Restore, ..goals.mirrors },
        ..goals
    };
    for before in ["{}", "{\n}", "{ }", "{\"x\":1}", "{\n\t\"x\": 1\n}\n"] {
        let written = first(Some(before), &both);
        for half in [only(insecure(&["a"])), only(mirrors(&["https://m"]))] {
            let rest = again(&written, &half);
            assert_eq!(rest, first(Some(before), &half), "{before}");
            assert_eq!(text(&again(&rest, &nothing(Ending::Restore))), before);
        }
        assert_eq!(text(&again(&written, &nothing(Ending::Restore))), before);
    }
}
