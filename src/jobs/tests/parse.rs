//! The node's own file of rules.

use jiff::SignedDuration;

use super::*;
use crate::jobs::parse::{IGNORE_KEYS, KEYS, RULE_KEYS};

fn rules(text: &str) -> Rules {
    parse_rules(Some(text), "f").unwrap()
}

fn wrong(text: &str) -> Vec<String> {
    let problems = parse_rules(Some(text), "f").unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn verdict(rules: &Rules, on: On, name: &str, label: &str) -> Option<String> {
    let labels: Labels = [(label.to_owned(), "x".to_owned())].into();
    let nothing = Labels::new();
    let subject = Subject { on, name, labels: &labels, annotations: &nothing };
    match rules.verdict(subject) {
        Verdict::Ignored => Some("ignored".to_owned()),
        Verdict::Job(rule) => Some(format!("{} {:?}", rule.name, rule.class)),
        Verdict::Unlabelled => None,
    }
}

#[test]
fn an_empty_file_is_the_built_in_rules_and_so_is_a_copy_of_them() {
    let built_in = parse_rules(None, "").unwrap();
    assert_eq!(rules(""), built_in);
    let example = include_str!("../../../packaging/etc/regtrust/jobs.toml.example");
    assert_eq!(rules(example), built_in);
    assert_eq!(built_in.unlabelled, Unlabelled::ByRestart);
    assert!(!built_in.containerd_allow_detached);
}

#[test]
fn a_rule_of_ones_own_comes_first_and_replaces_its_namesake() {
    let text = r#"
        [[rule]]
        name = "Nightly"
        on = "pod"
        labels = ["tekton.dev/taskRun"]

        [[rule]]
        name = "Argo workflow"
        on = "pod"
        labels = ["argo"]
        class = "sensitive"
    "#;
    let rules = rules(text);
    let pod = |label| verdict(&rules, On::Pod, "ns/p", label);
    // Whoever says nothing about it is not to lose a job.
    assert_eq!(pod("tekton.dev/taskRun").as_deref(), Some("Nightly Attached"));
    assert_eq!(pod("argo").as_deref(), Some("Argo workflow Sensitive"));
    assert_eq!(pod("workflows.argoproj.io/workflow"), None);
    assert_eq!(pod("woodpecker-ci.org/step").as_deref(), Some("Woodpecker step Attached"));
}

#[test]
fn what_is_ignored_is_so_whatever_rule_knows_it() {
    let text = "[[ignore]]\non = \"pod\"\nname_prefix = \"idle/\"\n";
    let ignoring = rules(text);
    let label = "tekton.dev/taskRun";
    assert_eq!(verdict(&ignoring, On::Pod, "idle/p", label).as_deref(), Some("ignored"));
    assert_eq!(verdict(&ignoring, On::Pod, "p", label).as_deref(), Some("Tekton task Detached"));
    assert_eq!(verdict(&ignoring, On::Container, "idle/p", "x"), None);

    let without = rules("disable = [\"Tekton task\"]");
    assert_eq!(verdict(&without, On::Pod, "p", label), None);
}

#[test]
fn policies_are_read() {
    let hour = SignedDuration::from_hours(1);
    let young = "unlabelled = \"busy-if-younger-than\"\nunlabelled_age = \"1h\"";
    assert_eq!(rules(young).unlabelled, Unlabelled::BusyIfYoungerThan(hour));
    assert_eq!(rules("unlabelled = \"busy\"").unlabelled, Unlabelled::Busy);
    assert_eq!(rules("unlabelled = \"ignore\"").unlabelled, Unlabelled::Ignore);
    assert!(rules("containerd_allow_detached = true").containerd_allow_detached);
    assert!(rules("sidecars = [\"mine\"]").is_sidecar("mine"));
    assert!(!rules("sidecars = [\"mine\"]").is_sidecar("istio-proxy"));
}

#[test]
fn every_mistake_is_named() {
    for (text, expected) in [
        ("unlabeled = 1", "f:1:1: unknown key `unlabeled` (did you mean `unlabelled`?)"),
        (
            "unlabelled = \"maybe\"",
            "f:1:14: unlabelled: `maybe` means nothing here (one of: `by-restart`, `busy`, `ignore`, `busy-if-younger-than`)",
        ),
        (
            "unlabelled = \"busy-if-younger-than\"",
            "f:1:14: unlabelled: needs an age (such as `unlabelled_age = \"1h\"`)",
        ),
        (
            "unlabelled = \"busy\"\nunlabelled_age = \"1h\"",
            "f:2:18: unlabelled_age: belongs to `busy-if-younger-than` (leave it out, or write `unlabelled = \"busy-if-younger-than\"`)",
        ),
        (
            "unlabelled = \"busy-if-younger-than\"\nunlabelled_age = \"1 month\"",
            "f:2:18: unlabelled_age: `1 month` is no length of time (write it in days, hours or minutes, such as \"1h\")",
        ),
        (
            "disable = [\"Tekton tusk\"]",
            "f:1:12: disable: there is no built-in rule `Tekton tusk` (did you mean `Tekton task`?)",
        ),
        (
            "[[rule]]\non = \"pod\"\nlabels = [\"a\"]",
            "f:1:1: rule.name: is required (what people call such a job, such as \"Zadig job\")",
        ),
        (
            "[[rule]]\nname = \"x\"\nlabels = [\"a\"]",
            "f:1:1: rule.on: is required (\"pod\" or \"container\")",
        ),
        (
            "[[rule]]\nname = \"x\"\non = \"pod\"",
            "f:1:1: fits everything (name a label or an annotation that is there, or a `name_prefix`)",
        ),
        (
            "[[ignore]]\non = \"pod\"\nlabels = [\"!a\"]",
            "f:1:1: fits everything (name a label or an annotation that is there, or a `name_prefix`)",
        ),
        (
            "[[rule]]\nname = \"x\"\non = \"pod\"\nlabels = [\"a b\"]",
            "f:4:11: rule.labels: `a b` is no selector (write `key`, `!key`, `key=value`, `key!=value` or `key in (a, b)`)",
        ),
        (
            "[[rule]]\nname = \"x\"\non = \"pod\"\nlabels = [\"a\"]\nclass = \"atached\"",
            "f:5:9: rule.class: `atached` means nothing here (did you mean `attached`?)",
        ),
        (
            "[[rule]]\nname = \"x\"\non = \"pod\"\nlabels = [\"a\"]\n[[rule]]\nname = \"x\"\non = \"pod\"\nlabels = [\"b\"]",
            "f:6:8: rule.name: there is one of this name in line 1 already",
        ),
    ] {
        assert_eq!(wrong(text), [expected], "{text}");
    }
}

#[test]
fn what_the_documentation_lists_is_what_may_be_written() {
    let documentation = include_str!("../../../docs/jobs.md");
    let listed: Vec<&str> = documentation
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(key, _)| key))
        .collect();
    let tables = ["rule", "ignore"];
    let own = KEYS.iter().filter(|key| !tables.contains(key)).map(|key| (*key).to_owned());
    let of_rule = RULE_KEYS.iter().map(|key| format!("rule.{key}"));
    let of_ignore = IGNORE_KEYS.iter().map(|key| format!("ignore.{key}"));
    let expected: Vec<String> = own.chain(of_rule).chain(of_ignore).collect();
    for key in &expected {
        assert!(listed.contains(&key.as_str()), "docs/jobs.md says nothing of `{key}`");
    }
    for key in listed.iter().filter(|key| key.chars().all(|c| c.is_lowercase() || "._".contains(c)))
    {
        assert!(expected.iter().any(|known| known == key), "docs/jobs.md knows a `{key}`");
    }
}
