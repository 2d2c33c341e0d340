//! Policies that cannot be obeyed: nothing is believed then.

use super::{Case, PLAIN};
use crate::common::{CANARY, Node};

fn policy(name: &str, says: &str, text: impl Into<Vec<u8>>) -> Case {
    let text = text.into();
    Case::wrong(format!("policy: {name}"), says, move |node: &Node| {
        node.declare(PLAIN).file("etc/regtrust/policy.toml", &text);
    })
}

/// A policy that can be obeyed, and refuses.
fn refusal(name: &str, says: &str, policy: &str) -> Case {
    let policy = policy.to_owned();
    Case::blocked(format!("policy refuses: {name}"), says, move |node: &Node| {
        node.declare(PLAIN).policy(&policy);
    })
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        policy("an unknown key", "unknown key `insecrue`", "insecrue = false\n"),
        policy("an escape in a key", r"\u{1b}[2J", "\"\\u001b[2J\" = 1\n"),
        policy("no TOML", "not TOML", format!("deny = [ \"{CANARY}\n")),
        policy("not UTF-8", "is not UTF-8", b"deny = [\"\xff\"]\n".to_vec()),
        policy("a wrong type", "expected `true`, `false` or a list", "insecure = \"no\"\n"),
        policy("a pattern with a slash", "cannot contain `/`", "deny = [\"*/library\"]\n"),
        policy("an escape in a pattern", r"cannot contain `\u{1b}`", "deny = [\"*\\u001b[2J\"]\n"),
        policy("a bad pin", "ca_spki_sha256", "ca_spki_sha256 = [\"\\u001b[2J\"]\n"),
        policy("no length of time", "is no length of time", "max_lifetime = \"\\u001b[2J\"\n"),
        policy("a month", "is no length of time", "max_lifetime = \"1mo\"\n"),
        policy("a short key", "is no length of an RSA key", "min_rsa_bits = 1\n"),
        policy("a huge number", "not TOML", "min_rsa_bits = 99999999999999999999\n"),
        policy("an unknown word", "restart", "restart = \"always\\u001b\"\n"),
        policy("deep arrays", "not TOML", format!("deny = {}\n", "[".repeat(100_000))),
        Case::wrong("policy: 100 MB", "larger than 67108864 bytes", |node| {
            node.declare(PLAIN);
            let file = std::fs::File::create(node.path("etc/regtrust/policy.toml")).unwrap();
            file.set_len(100_000_000).unwrap();
        }),
        Case::wrong("policy: anybody may write it", "can be changed by everybody", |node| {
            node.declare(PLAIN).policy("insecure = true\n").mode("etc/regtrust/policy.toml", 0o666);
        }),
        Case::wrong("policy: its directory is open", "can be changed by everybody", |node| {
            node.declare(PLAIN).policy("insecure = true\n").mode("etc/regtrust", 0o777);
        }),
        Case::wrong("policy: a directory", "not a regular file", |node| {
            node.declare(PLAIN).directory("etc/regtrust/policy.toml");
        }),
        Case::wrong("policy: a link to nothing", "leads nowhere", |node| {
            node.declare(PLAIN).link("etc/regtrust/policy.toml", "/nowhere\u{1b}[2J");
        }),
        Case::wrong("policy: a link to itself", "policy.toml", |node| {
            node.declare(PLAIN).link("etc/regtrust/policy.toml", "policy.toml");
        }),
        Case::wrong("policy: a link out of the tree", "leads nowhere", |node| {
            let outside = node.outside().join("precious");
            node.declare(PLAIN).link("etc/regtrust/policy.toml", outside);
        }),
    ];
    cases.extend([
        refusal("every unverified registry", "may not be unverified", "insecure = false\n"),
        refusal("what is not allowed", "matches nothing in `allow`", "allow = [\"*.example\"]\n"),
        refusal("what is denied", "in `deny`", "deny = [\"*\"]\n"),
        refusal("exceptions without an end", "needs `until`", "insecure_needs = [\"until\"]\n"),
        refusal("exceptions that last", "has no end", "max_lifetime = \"1d\"\n"),
    ]);
    cases
}
