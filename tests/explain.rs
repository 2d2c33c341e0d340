//! Why a registry stands as it stands: which file, which rule of the policy, which generation.
#![expect(clippy::disallowed_methods, reason = "a test runs the program")]

#[path = "common/machine.rs"]
mod common;

use std::fmt::Write as _;
use std::fs;

use common::Node;
use serde_json::json;

const LAB: &str = "[[registry]]\nhost = \"lab.corp\"\ntrust = \"insecure\"\n";

fn lab() -> Node {
    let node = Node::new();
    node.declare(LAB);
    node
}

fn explain(node: &Node) -> String {
    node.run(["explain", "lab.corp"]).exits(0).stdout
}

#[track_caller]
fn assert_says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|one| one == *line), "no line `{line}` in\n{text}");
    }
}

const DECLARED: &str = "  declared in /etc/regtrust/registries.d/node.toml:1: trust = \"insecure\"";

#[test]
fn a_node_without_a_policy_says_so() {
    let text = explain(&lab());
    assert_says(&text, &[DECLARED, "  no rule of this node's policy is about it"]);
    assert_says(&text, &["  on docker: not yet applied", "  on containerd: not yet applied"]);
}

#[test]
fn the_rules_that_let_it_pass_are_named_with_their_place() {
    let node = lab();
    node.policy("allow = [\"*.corp\"]\n\ninsecure = [\"lab.*\"]\n");
    let policy = "/etc/regtrust/policy.toml";
    assert_says(
        &explain(&node),
        &[
            &format!("  allowed by `allow` at {policy}:1:9: `lab.corp` matches `*.corp`"),
            &format!(
                "  allowed by `insecure` at {policy}:3:12: `lab.corp` may go unverified: it matches \
                 `lab.*`"
            ),
        ],
    );
    let explained = node.run(["explain", "lab.corp", "--json"]).json();
    let location = json!({ "file": policy, "line": 1, "column": 9 });
    let allow =
        json!({ "rule": "allow", "location": location, "message": "`lab.corp` matches `*.corp`" });
    assert_eq!(explained["allowed_by"][0], allow);
}

#[test]
fn the_rule_that_refuses_it_is_named_and_the_declaration_too() {
    let node = lab();
    node.policy("insecure = false\n");
    let text = explain(&node);
    assert_says(&text, &["  declared in /etc/regtrust/registries.d/node.toml:1"]);
    assert!(text.contains("`insecure` at /etc/regtrust/policy.toml:1:12"), "{text}");
    assert!(!text.contains("no rule"), "{text}");
}

#[test]
fn what_is_held_says_what_the_generation_has() {
    let node = lab();
    node.run(["apply"]).exits(0);
    node.declare("[[registry]]\nhost = \"lab.corp\"\ntrust = \"cq\"\n");
    let text = explain(&node);
    assert_says(
        &text,
        &[
            "  declared in /etc/regtrust/registries.d/node.toml:1",
            "  in force as generation 1 has it: trust = \"insecure\"",
        ],
    );
    assert!(text.contains("held as it was, because"), "{text}");
    let explained = node.run(["explain", "lab.corp", "--json"]).json();
    assert_eq!(
        (&explained["standing"], &explained["from_generation"]),
        (&json!("held"), &json!(1))
    );
}

#[test]
fn what_is_pinned_says_to_which_generation() {
    let node = lab();
    node.run(["apply"]).exits(0);
    node.declare(&LAB.replace("insecure", "http"));
    node.run(["apply"]).exits(0);
    node.run(["rollback", "1"]).exits(0);
    let text = explain(&node);
    assert_says(&text, &["  in force as generation 1 has it: trust = \"insecure\""]);
    let plan = node.run(["plan", "--json"]).json();
    assert_eq!((&plan["pinned_to"], &plan["generation_before"]), (&json!(1), &json!(3)));
    assert!(plan["pinned_until"].is_string());
}

#[test]
fn json_tells_what_is_not_yet_applied_as_text_does() {
    let node = lab();
    let registry =
        |node: &Node| node.run(["status", "--json"]).json()["registries"]["lab.corp"].clone();
    assert_eq!(registry(&node)["not_yet_on"], json!(["docker", "containerd"]));
    node.run(["apply"]).exits(0);
    assert_eq!(registry(&node)["not_yet_on"], json!([]));
    let status = node.run(["status", "--json"]).json();
    assert_eq!((&status["generation"], &status["generation_before"]), (&json!(1), &json!(1)));
}

#[test]
fn one_warning_for_many_entries_is_printed_once() {
    let node = Node::new();
    let mut text = String::new();
    for number in 0..30 {
        write!(text, "[[registry]]\nhost = \"http://r{number}.corp/x\"\ntrust = \"insecure\"\n")
            .unwrap();
    }
    node.declare(&text);
    let said = node.run(["status"]).stdout;
    assert_eq!(said.matches("the path `/x` is not used").count(), 1, "{said}");
    assert_says(&said, &["    also at 29 other places"]);
    let problems = node.run(["status", "--json"]).json()["problems"].as_array().unwrap().len();
    assert_eq!(problems, 30, "a program gets each with its place");
}

/// A DaemonSet: the node is mounted, and the `ConfigMap` is beside it.
#[test]
fn declarations_of_a_container_are_found_beside_the_mounted_node() {
    let node = Node::new();
    node.directory("etc/docker");
    let mounted = tempfile::tempdir().unwrap();
    fs::write(mounted.path().join("a.toml"), LAB).unwrap();
    let directory = mounted.path().to_str().unwrap();
    let explain = ["explain", "lab.corp", "--declarations", directory];
    let text = node.live(explain).exits(0).stdout;
    let declared = format!("  declared in container:{directory}/a.toml:1: trust = \"insecure\"");
    assert_says(&text, &[&declared]);
    // An image is built from its own files, wherever the builder runs.
    let text = node.run(explain).exits(0).stdout;
    assert_says(&text, &["  not declared, so regtrust has nothing to do with it"]);
}
