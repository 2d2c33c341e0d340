use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// White space as editors, tools and people leave it.
fn white() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just(String::new()),
        3 => Just(" ".to_owned()),
        3 => Just("\n  ".to_owned()),
        1 => Just("\r\n\t".to_owned()),
        1 => "[ \t\r\n]{0,4}",
    ]
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof!["[a-f]", "[a-f]\\.corp:[1-9]", Just("http://a".to_owned()), Just("ü☃".to_owned())]
}

fn spaced(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (white(), inner, white()).prop_map(|(before, inner, after)| format!("{before}{inner}{after}"))
}

fn list() -> impl Strategy<Value = String> {
    let quoted = host().prop_map(|host| format!("\"{host}\""));
    let filled = vec(spaced(quoted), 0..4).prop_map(|items| items.join(","));
    prop_oneof![
        5 => (white(), filled).prop_map(|(white, items)| {
            if items.is_empty() { format!("[{white}]") } else { format!("[{items}]") }
        }),
        1 => Just("null".to_owned()),
    ]
}

fn other() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("true".to_owned()),
        Just("-1.5e3".to_owned()),
        Just("\"a\\n\\\"{[,\\ud83d\\ude00\"".to_owned()),
        Just("{\"insecure-registries\" : [ \"x\" ] }".to_owned()),
        Just("[[], {}, [1 ,2]]".to_owned()),
    ];
    (0..9, white(), spaced(value)).prop_map(|(n, colon, value)| format!("\"k{n}\"{colon}:{value}"))
}

/// A daemon.json in any layout, with either of our keys in it or not.
fn file() -> impl Strategy<Value = String> {
    let ours = |name: &'static str| {
        proptest::option::of((white(), spaced(list())))
            .prop_map(move |list| list.map(|(colon, list)| format!("\"{name}\"{colon}:{list}")))
    };
    let members =
        (vec(other(), 0..3), ours("insecure-registries"), ours("registry-mirrors"), any::<bool>());
    let object =
        (members, white(), white()).prop_map(|((mut members, one, two, front), lead, tail)| {
            members.sort();
            members.dedup_by(|a, b| a.get(..4) == b.get(..4));
            for extra in [one, two].into_iter().flatten() {
                members.insert(if front { 0 } else { members.len() }, extra);
            }
            let members: Vec<_> =
                members.into_iter().map(|member| format!("{lead}{member}")).collect();
            format!("{{{}{tail}}}", members.join(","))
        });
    (prop_oneof![Just(""), Just("\u{feff}")], spaced(object))
        .prop_map(|(mark, object)| format!("{mark}{object}"))
}

fn goals() -> impl Strategy<Value = Goals> {
    let ending = || prop_oneof![Just(Ending::KeepEmpty), Just(Ending::Restore)];
    let mirror = host().prop_map(|host| format!("https://{host}"));
    let switch = prop_oneof![
        Just(live_restore::Goal::On),
        Just(live_restore::Goal::Off),
        Just(live_restore::Goal::Gone)
    ];
    (vec(host(), 0..5), ending(), vec(mirror, 0..4), ending(), switch).prop_map(
        |(a, one, b, two, live_restore)| Goals {
            insecure: Goal { elements: a, ending: one },
            mirrors: Goal { elements: b, ending: two },
            live_restore,
        },
    )
}

fn without_our_keys(text: &str) -> Vec<(String, Value)> {
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    let ours = |name: &str| name == "live-restore" || Key::ALL.iter().any(|key| key.name() == name);
    let Value::Object(object) = value else { panic!("no object") };
    object.into_iter().filter(|(name, _)| !ours(name)).collect()
}

fn items(text: &str, key: Key) -> Vec<String> {
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    let texts = value.get(key.name()).and_then(Value::as_array).cloned().unwrap_or_default();
    texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

proptest! {
    #[test]
    fn taking_out_what_was_put_in_restores_every_byte(
        before in file(),
        steps in vec(goals(), 1..4),
    ) {
        let mut now = Merged { text: Some(before.clone()), owned: DaemonOwned::default() };
        for goals in &steps {
            now = again(&now, goals);
        }
        let taken = again(&now, &nothing(Ending::KeepEmpty));
        let restored = again(&taken, &nothing(Ending::Restore));
        prop_assert_eq!(text(&restored), &before);
        prop_assert_eq!(restored.owned, DaemonOwned::default());
        let at_once = again(&now, &nothing(Ending::Restore));
        prop_assert_eq!(text(&at_once), &before);
    }

    #[test]
    fn merging_its_own_result_changes_nothing(before in file(), one in goals(), two in goals()) {
        let written = again(&first(Some(&before), &one), &two);
        prop_assert_eq!(again(&written, &two), written);
    }

    #[test]
    fn no_other_key_ever_differs_and_no_foreign_element_goes(before in file(), goals in goals()) {
        let written = first(Some(&before), &goals);
        prop_assert_eq!(without_our_keys(text(&written)), without_our_keys(&before));
        for key in Key::ALL {
            let (old, new) = (items(&before, key), items(text(&written), key));
            prop_assert_eq!(new.get(..old.len()), Some(&*old), "theirs first, and in their order");
            let named = |wanted: &String| {
                new.iter().any(|item| key.identity(item) == key.identity(wanted))
            };
            prop_assert!(goals.of(key).elements.iter().all(named));
        }
    }

    /// Somebody adds an element before or behind ours, and a key.
    #[test]
    fn foreign_edits_meanwhile_survive(before in file(), goals in goals(), front in any::<bool>()) {
        let written = first(Some(&before), &goals);
        let (mark, body) = split_mark(text(&written));
        let mut value: Value = serde_json::from_str(body).unwrap();
        let object = value.as_object_mut().unwrap();
        object.insert("later".into(), Value::Bool(true));
        if let Some(Value::Array(list)) = object.get_mut("insecure-registries") {
            list.insert(if front { 0 } else { list.len() }, "later.corp".into());
        }
        let now = edited(&written, &format!("{mark}{value}"));
        let joined = items(text(&now), Key::InsecureRegistries).contains(&"later.corp".to_owned());
        let taken = again(&now, &nothing(Ending::Restore));
        for key in Key::ALL {
            let mut expected = items(&before, key);
            if joined && key == Key::InsecureRegistries {
                expected.insert(if front { 0 } else { expected.len() }, "later.corp".into());
            }
            prop_assert_eq!(items(text(&taken), key), expected);
        }
        let mut others = without_our_keys(&before);
        others.push(("later".into(), Value::Bool(true)));
        prop_assert_eq!(without_our_keys(text(&taken)), others);
    }
}

/// Quadratic work would take minutes here.
#[test]
fn ten_thousand_elements_are_no_trouble() {
    let hosts: Vec<_> = (0..10_000).map(|n| format!("r{n:05}.corp:5000")).collect();
    let goals = Goals {
        insecure: Goal { elements: hosts.clone(), ending: Ending::Restore },
        ..Goals::default()
    };
    let before = "{\"insecure-registries\": [\"x\"]}";
    let written = first(Some(before), &goals);
    assert_eq!(items(text(&written), Key::InsecureRegistries).len(), 10_001);
    assert_eq!(again(&written, &goals), written);
    assert_eq!(text(&again(&written, &nothing(Ending::Restore))), before);
}
