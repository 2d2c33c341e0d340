//! Registry hosts: what would be another path, another registry, or a command to the terminal.

use super::{Case, quoted};

const HOSTS: [(&str, &str); 36] = [
    ("", "is empty"),
    ("../../etc", "is a relative path"),
    ("..", "is a relative path"),
    (".", "is a relative path"),
    ("harbor.corp/../../etc", "a path with `.` or `..`"),
    ("harbor.corp/%2e%2e/etc", "percent-encoding"),
    ("harbor.corp\\..\\etc", "contains a backslash"),
    ("harbor.corp\u{0}.evil", "contains a NUL"),
    ("harbor.corp\u{1b}[2J\u{1b}[1;1Hall is well", "terminal escape"),
    ("harbor.corp\nall is well", "control character U+000A"),
    ("harbor.corp\u{9b}31m", "terminal escape"),
    ("harbor\u{202e}proc.evil", "invisible character U+202E"),
    ("harbor\u{200b}.corp", "invisible character U+200B"),
    ("_default", "catch-all for every registry"),
    ("harbor.corp_5000_", "contains `_`"),
    ("*.corp", "is a pattern"),
    ("harbor.corp,evil.corp", "several registries"),
    ("harbor corp", "contains a space"),
    ("“harbor.corp”", "quotation marks"),
    ("hаrbor.corp", "which is not ASCII"),
    ("user:canary-hunter2-7f3a@harbor.corp", "neither credentials nor a digest"),
    ("https://user:canary-hunter2-7f3a@harbor.corp/v2/", "neither credentials nor a digest"),
    ("harbor.corp?token=canary-hunter2-7f3a", "contains a query"),
    ("harbor.corp#fragment", "contains a fragment"),
    ("ftp://harbor.corp", "has a scheme other than"),
    ("unix:///run/docker.sock", "has a scheme other than"),
    ("harbor..corp", "has an empty label"),
    ("-harbor.corp", "begins or ends with a hyphen"),
    ("harbor", "is a single word"),
    ("harbor.corp:0", "not between 1 and 65535"),
    ("harbor.corp:65536", "not between 1 and 65535"),
    ("harbor.corp:08443", "not a plain decimal number"),
    ("0x7f000001", "ends in a number"),
    ("127.1", "ends in a number"),
    ("fe80::1%eth0", "has a zone id"),
    ("[::ffff:10.0.0.1]:5000", "is an IPv4 address written as IPv6"),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = HOSTS.iter().map(|(host, says)| of(host, says)).collect();
    cases.push(of(&format!("{}.corp", "a".repeat(64)), "has a label of 64 characters"));
    cases.push(of(&"a.".repeat(150), "has a name of 299 characters"));
    cases.push(of(&"a".repeat(1 << 20), "has a"));
    cases.push(of(&format!("harbor.corp/{}", "a/".repeat(200)), "has a path of"));
    cases
}

fn of(host: &str, says: &str) -> Case {
    let shown: String = host.chars().take(30).collect();
    let text = format!("[[registry]]\nhost = {}\ntrust = \"http\"\n", quoted(host));
    Case::wrong(format!("host {shown:?}"), says, move |node| _ = node.declare(&text))
}
