//! regtrust's own state, damaged or not its own.

use super::{Case, PLAIN};
use crate::common::Node;

/// Everything that needs the state fails; the declarations are none the worse for it.
fn state(name: &str, says: &str, prepare: impl Fn(&Node) + Send + Sync + 'static) -> Case {
    Case::new(format!("state: {name}"), says, 74, 0, move |node| {
        node.declare(PLAIN);
        prepare(node);
    })
}

fn file(name: &str, says: &str, path: &'static str, text: impl Into<Vec<u8>>) -> Case {
    let text = text.into();
    state(name, says, move |node| _ = node.file(&format!("var/lib/regtrust/{path}"), &text))
}

const LEDGER: &str = "ledger.json";

#[expect(clippy::too_many_lines, reason = "a table is as long as its cases are many")]
pub(crate) fn cases() -> Vec<Case> {
    let escapes = r#"{"format": 1, "generation": 1, "\u001b[2J": 1}"#;
    vec![
        file("a newer ledger", "written by a newer", LEDGER, r#"{"format": 99, "x": []}"#),
        file(
            "a torn ledger",
            "`/var/lib/regtrust/ledger.json` is damaged",
            LEDGER,
            r#"{"format": 1, "gen"#,
        ),
        file("an empty ledger", "is damaged", LEDGER, ""),
        file("a ledger of zeros", "is damaged", LEDGER, vec![0; 4096]),
        file("a ledger with escapes", "is damaged", LEDGER, escapes),
        file(
            "a deep ledger",
            "is damaged",
            LEDGER,
            format!("{{\"format\":1,\"a\":{}", "[".repeat(200_000)),
        ),
        file(
            "a ledger that is not UTF-8",
            "is damaged",
            LEDGER,
            b"{\"format\":1,\"\xff\x1b\":1}".to_vec(),
        ),
        file("a torn journal", "journal", "journal.json", "{\"format\": 1, \"sha"),
        file("a journal of zeros", "journal", "journal.json", vec![0; 4096]),
        file("a newer journal", "journal", "journal.json", r#"{"format": 99}"#),
        file(
            "a journal with another checksum",
            "checksum",
            "journal.json",
            format!(
                "{{\"format\":1,\"sha256\":\"{}\",\"body\":{{\"make_directories\":[],\"units\":[],\"remove_directories\":[\"etc\"],\"contents\":{{}}}}}}",
                "0".repeat(64)
            ),
        ),
        file(
            "a journal that climbs",
            "journal",
            "journal.json",
            format!(
                "{{\"format\":1,\"sha256\":\"{}\",\"body\":{{\"make_directories\":[\"../../etc\"],\"units\":[],\"remove_directories\":[],\"contents\":{{}}}}}}",
                "0".repeat(64)
            ),
        ),
        file("a newer pin", "written by a newer", "pin.json", r#"{"format": 99}"#),
        file("a torn pin", "is damaged", "pin.json", "{"),
        state("a newer generation", "written by a newer", |node| {
            node.run(["apply"]).exits(0);
            node.file("var/lib/regtrust/generations/1.json", r#"{"format": 99}"#);
            node.declare("[[registry]]\nhost = \"harbor.corp\"\ntrust = \"system\"\n");
        }),
        state("a file in place of it", "/var/lib/regtrust", |node| {
            node.file("var/lib/regtrust", "");
        }),
        state("a link out of the tree", "/var/lib/regtrust", |node| {
            node.link("var/lib/regtrust", node.outside());
        }),
        state("a link in a loop", "/var/lib/regtrust", |node| {
            node.link("var/lib/regtrust", "regtrust");
        }),
        state("a lock that leads out", "lock", |node| {
            node.directory("var/lib/regtrust")
                .link("var/lib/regtrust/lock", node.outside().join("lock"));
        }),
    ]
}
