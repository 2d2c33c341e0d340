use super::*;

#[test]
fn what_is_there_and_not_ours_is_not_taken_and_stays() {
    for theirs in ["a", "http://a", "HTTPS://a"] {
        let before = format!("{{\"insecure-registries\": [\"{theirs}\"]}}");
        let merged = first(Some(&before), &insecure(&["a"]));
        assert_eq!(merged, Merged { text: Some(before), owned: DaemonOwned::default() });
    }
    let before = "{\"registry-mirrors\": [\"HTTPS://M.corp/\"]}";
    assert_eq!(text(&first(Some(before), &mirrors(&["https://m.corp"]))), before);
}

/// Docker compares the host of a reference letter by letter.
#[test]
fn another_case_is_another_registry() {
    let merged = first(Some("{\"insecure-registries\": [\"A.corp\"]}"), &insecure(&["a.corp"]));
    assert_eq!(text(&merged), "{\"insecure-registries\": [\"A.corp\", \"a.corp\"]}");
}

#[test]
fn exactly_ours_go_when_others_came_meanwhile() {
    let ours = first(Some("{\"insecure-registries\": [\"x\"]}"), &insecure(&["a", "b"]));
    for (now, after) in [
        (
            "{\"insecure-registries\": [\"w\", \"x\", \"a\", \"v\", \"b\", \"u\"], \"k\": 1}",
            "{\"insecure-registries\": [\"w\", \"x\", \"v\", \"u\"], \"k\": 1}",
        ),
        ("{\"insecure-registries\": [\"a\", \"b\", \"x\"]}", "{\"insecure-registries\": [\"x\"]}"),
        ("{\"insecure-registries\": [ \"b\",\"a\" ]}", "{\"insecure-registries\": [ ]}"),
        ("{\"insecure-registries\": [\"a\",\"a\"]}", "{\"insecure-registries\": [\"a\"]}"),
        (
            "{\"insecure-registries\": [\"a\",\"x\",\"a\"]}",
            "{\"insecure-registries\": [\"x\",\"a\"]}",
        ),
        ("{\"insecure-registries\": null}", "{\"insecure-registries\": null}"),
    ] {
        let taken = again(&edited(&ours, now), &nothing(Ending::KeepEmpty));
        assert_eq!(taken, Merged { text: Some(after.to_owned()), owned: DaemonOwned::default() });
    }
}

#[test]
fn a_list_of_ours_that_others_joined_is_theirs_when_ours_go() {
    let ours = first(None, &insecure(&["a"]));
    let now = edited(&ours, "{\"insecure-registries\": [\"a\", \"x\"]}");
    for ending in [Ending::KeepEmpty, Ending::Restore] {
        let taken = again(&now, &nothing(ending));
        assert_eq!(text(&taken), "{\"insecure-registries\": [\"x\"]}");
        assert_eq!(taken.owned, DaemonOwned::default());
    }
}

#[test]
fn a_file_of_ours_that_others_joined_stays_without_ours() {
    let ours = first(None, &insecure(&["a"]));
    for (now, after) in [
        (
            "{\n  \"insecure-registries\": [\n    \"a\"\n  ],\n  \"debug\": true\n}\n",
            "{\n  \"debug\": true\n}\n",
        ),
        (
            "{\n  \"debug\": true,\n  \"insecure-registries\": [\n    \"a\"\n  ]\n}\n",
            "{\n  \"debug\": true\n}\n",
        ),
        (
            "{\n  \"x\": 1,\n  \"insecure-registries\": [\"a\"],\n  \"debug\": true\n}\n",
            "{\n  \"x\": 1,\n  \"debug\": true\n}\n",
        ),
    ] {
        let taken = again(&edited(&ours, now), &nothing(Ending::Restore));
        assert_eq!(taken, Merged { text: Some(after.to_owned()), owned: DaemonOwned::default() });
    }
}

/// dockerd still has our element then, because a missing key is no change to it.
#[test]
fn a_list_that_somebody_deleted_is_written_empty_before_we_let_go() {
    let key_alone = "{\n  \"insecure-registries\": []\n}\n";
    let ours = first(Some("{\"insecure-registries\": [\"x\"]}"), &insecure(&["a"]));
    for (now, empty) in [(Some("{}\n"), key_alone), (None, key_alone)] {
        let now = Merged { text: now.map(str::to_owned), owned: ours.owned.clone() };
        let emptied = again(&now, &nothing(Ending::KeepEmpty));
        assert_eq!(text(&emptied), empty);
        assert_eq!(again(&emptied, &nothing(Ending::KeepEmpty)), emptied);
        assert_eq!(again(&emptied, &nothing(Ending::Restore)).text, now.text);
        assert_eq!(again(&now, &nothing(Ending::Restore)).text, now.text);
    }
}

#[test]
fn what_somebody_took_out_of_ours_is_put_back() {
    let ours = first(Some("{\"insecure-registries\": [\"x\"]}"), &insecure(&["a", "b"]));
    let now = edited(&ours, "{\"insecure-registries\": [\"x\", \"b\"]}");
    let repaired = again(&now, &insecure(&["a", "b"]));
    assert_eq!(text(&repaired), "{\"insecure-registries\": [\"x\", \"b\", \"a\"]}");
    assert_eq!(repaired.owned, ours.owned);
}

#[test]
fn ours_stays_ours_when_somebody_adds_the_same() {
    let ours = first(Some("{\"insecure-registries\": [\"x\"]}"), &insecure(&["a"]));
    let now = edited(&ours, "{\"insecure-registries\": [\"x\", \"a\", \"http://a\"]}");
    assert_eq!(again(&now, &insecure(&["a"])), now);
    let taken = again(&now, &nothing(Ending::KeepEmpty));
    assert_eq!(text(&taken), "{\"insecure-registries\": [\"x\", \"http://a\"]}");
}

#[test]
fn mirrors_keep_the_order_they_are_tried_in() {
    let before = "{\"registry-mirrors\": [\"https://x\"]}";
    let written = first(Some(before), &mirrors(&["https://b", "https://a"]));
    let list = "{\"registry-mirrors\": [\"https://x\", \"https://b\", \"https://a\"]}";
    assert_eq!(text(&written), list);
    let turned = again(&written, &mirrors(&["https://a", "https://b"]));
    let list = "{\"registry-mirrors\": [\"https://x\", \"https://a\", \"https://b\"]}";
    assert_eq!(text(&turned), list);
    let turned = again(&turned, &mirrors(&["https://a", "https://c", "https://b"]));
    assert_eq!(
        text(&turned),
        "{\"registry-mirrors\": [\"https://x\", \"https://a\", \"https://c\", \"https://b\"]}"
    );
    assert_eq!(text(&again(&turned, &nothing(Ending::KeepEmpty))), before);
}

#[test]
fn one_list_can_wait_for_dockerd_while_the_other_is_restored() {
    let both = Goals { mirrors: goal(&["https://m"], Ending::KeepEmpty), ..insecure(&["a"]) };
    let written = first(Some("{\"x\": 1}"), &both);
    let goals = Goals { mirrors: goal(&[], Ending::KeepEmpty), ..nothing(Ending::Restore) };
    assert_eq!(text(&again(&written, &goals)), "{\"x\": 1, \"registry-mirrors\": []}");
}

#[test]
fn a_file_in_which_nothing_is_ours_is_not_even_read() {
    for current in [None, Some("{ not json"), Some("")] {
        let merged = first(current, &nothing(Ending::Restore));
        assert_eq!(merged.text.as_deref(), current);
    }
}
