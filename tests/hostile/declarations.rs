//! Declaration files: traps of TOML, of words, and of sizes.

use super::{Case, PLAIN};
use crate::common::{CANARY, Node};

fn text(name: &str, says: &str, text: impl Into<Vec<u8>>) -> Case {
    let text = text.into();
    Case::wrong(format!("declaration: {name}"), says, move |node: &Node| {
        node.certificate("ca.pem").file("etc/regtrust/registries.d/node.toml", &text);
    })
}

fn entry(name: &str, says: &str, keys: &str) -> Case {
    text(name, says, format!("[[registry]]\nhost = \"harbor.corp\"\n{keys}\n"))
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = words();
    cases.extend(structures());
    cases.extend(sizes());
    cases
}

#[expect(clippy::too_many_lines, reason = "a table is as long as its cases are many")]
fn words() -> Vec<Case> {
    vec![
        entry("no trust", "trust: is missing", ""),
        entry("an escape in trust", r"\u{1b}[2J", r#"trust = "\u001b[2Jca""#),
        entry("a canary in trust", "<PEM text>", &format!("trust = \"-----BEGIN {CANARY}\"")),
        entry("a misspelt key", "did you mean `ca_file`", "trust = \"ca\"\nca_flie = \"ca.pem\""),
        entry("an escape in a key", r"\u{1b}[2J", "trust = \"http\"\n\"\\u001b[2J\" = 1"),
        entry("a trap word", "unknown key `__proto__`", "trust = \"http\"\n__proto__ = 1"),
        entry(
            "a CA that is not used",
            "but `trust` is \"http\"",
            "trust = \"http\"\nca_file = \"ca.pem\"",
        ),
        entry("no CA", "`ca` needs a CA", "trust = \"ca\""),
        entry(
            "two CAs",
            "is given as well",
            "trust = \"ca\"\nca = \"-----BEGIN X\"\nca_file = \"ca.pem\"",
        ),
        entry(
            "a key in ca_file",
            "holds PEM text",
            &format!("trust = \"ca\"\nca_file = \"-----BEGIN PRIVATE KEY-----\\n{CANARY}\""),
        ),
        entry(
            "a key as reason",
            "holds PEM text",
            &format!("trust = \"http\"\nreason = \"PRIVATE KEY {CANARY}\""),
        ),
        entry(
            "an escape in reason",
            "control character \\u{1b}",
            r#"trust = "http"
reason = "fine\u001b[2J""#,
        ),
        entry(
            "a newline in reason",
            "control character \\u{a}",
            "trust = \"http\"\nreason = \"\"\"a\nb\"\"\"",
        ),
        entry(
            "a long reason",
            "has 501 characters",
            &format!("trust = \"http\"\nreason = \"{}\"", "x".repeat(501)),
        ),
        entry(
            "until without a zone",
            "needs a time zone",
            "trust = \"http\"\nuntil = 2027-01-31T00:00:00",
        ),
        entry(
            "until as text",
            "expected a date with a time zone",
            "trust = \"http\"\nuntil = \"tomorrow\"",
        ),
        entry("an impossible until", "not TOML", "trust = \"http\"\nuntil = 2027-02-31T00:00:00Z"),
        entry(
            "runtimes as text",
            "expected a list of strings",
            "trust = \"http\"\nruntimes = \"docker\"",
        ),
        entry(
            "an unknown runtime",
            r"`po\u{1b}dman`",
            "trust = \"http\"\nruntimes = [\"po\\u001bdman\"]",
        ),
        entry("no runtime", "runtimes: is empty", "trust = \"http\"\nruntimes = []"),
        entry(
            "a client pair over HTTP",
            "plain HTTP has no client certificates",
            "trust = \"http\"\nclient_cert_file = \"ca.pem\"\nclient_key_file = \"ca.pem\"",
        ),
        entry(
            "half a client pair",
            "needs its key",
            "trust = \"system\"\nclient_cert_file = \"ca.pem\"",
        ),
        entry(
            "nothing for the store",
            "there is no CA to put there",
            "trust = \"http\"\nsystem_store = true",
        ),
        entry(
            "no fallback and no mirror",
            "nothing could be pulled",
            "trust = \"http\"\nfallback = false",
        ),
        entry(
            "a file above the root",
            "leads out of the root",
            "trust = \"ca\"\nca_file = \"../../../../etc/shadow\"",
        ),
        entry(
            "a file that is not there",
            "it is not there",
            "trust = \"ca\"\nca_file = \"nowhere.pem\"",
        ),
        entry("a directory as a file", "not a regular file", "trust = \"ca\"\nca_file = \"/etc\""),
        entry(
            "an escape in a file name",
            r"\u{1b}[2J",
            "trust = \"ca\"\nca_file = \"\\u001b[2J.pem\"",
        ),
        entry(
            "a NUL in a file name",
            "is no path of a file",
            "trust = \"ca\"\nca_file = \"a\\u0000b\"",
        ),
        entry(
            "the shadow file",
            "it holds no PEM block",
            "trust = \"ca\"\nca_file = \"/usr/bin/../../etc/os-release\"",
        ),
        entry(
            "a mirror with credentials",
            "neither credentials nor a digest",
            &format!(
                "trust = \"system\"\n[[registry.mirror]]\nurl = \"https://u:{CANARY}@m.corp\""
            ),
        ),
        entry(
            "a mirror with an escape",
            "terminal escape",
            "trust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp/\\u001b[2J\"",
        ),
        entry(
            "a mirror that climbs",
            "a path with `.` or `..`",
            "trust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp/../../etc\"",
        ),
        entry(
            "nine mirrors",
            "there are 9, more than 8",
            &format!(
                "trust = \"system\"\n{}",
                "[[registry.mirror]]\nurl = \"https://m.corp\"\n".repeat(9)
            ),
        ),
        entry(
            "a capability",
            "capabilities",
            "trust = \"system\"\n[[registry.mirror]]\nurl = \"https://m.corp\"\ncapabilities = [\"push\\u001b\"]",
        ),
    ]
}

fn structures() -> Vec<Case> {
    vec![
        text("no TOML", "not TOML", "[[registry"),
        text("JSON", "not TOML", format!("{{\"host\": \"{CANARY}\"}}")),
        text(
            "a torn key",
            "not TOML",
            format!(
                "[[registry]]\nhost = \"h.corp\"\nclient_key = \"\"\"-----BEGIN PRIVATE KEY-----\n{CANARY}\n"
            ),
        ),
        text("an escape outside of strings", "not TOML", "\u{1b}[2J = 1\n"),
        text("not UTF-8", "is not UTF-8", b"[[registry]]\nhost = \"\xff\xfe\"\n".to_vec()),
        text("UTF-16", "is not UTF-8", b"\xff\xfe[\0[\0r\0".to_vec()),
        text("zeros", "not TOML", vec![0; 8192]),
        text(
            "a key twice",
            "not TOML",
            "[[registry]]\nhost = \"a.corp\"\nhost = \"b.corp\"\ntrust = \"http\"\n",
        ),
        text(
            "a host twice",
            "is declared already in line 1",
            "[[registry]]\nhost = \"a.corp\"\ntrust = \"nonsense\"\n[[registry]]\nhost = \"https://A.corp/\"\ntrust = \"http\"\n",
        ),
        text(
            "one table for several",
            "expected tables, found",
            "[registry]\nhost = \"a.corp\"\ntrust = \"http\"\n",
        ),
        text("numbers for tables", "expected tables, found", "registry = [1, 2]\n"),
        text("an unknown table", "unknown key `registries`", "[[registries]]\nhost = \"a.corp\"\n"),
        text("deep tables", "not TOML", format!("{} = 1\n", vec!["a"; 100_000].join("."))),
        text(
            "deep arrays",
            "not TOML",
            format!("a = {}{}\n", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        text("deep inline tables", "not TOML", format!("a = {}\n", "{a=".repeat(100_000))),
    ]
}

fn sizes() -> Vec<Case> {
    let many: Vec<String> = (0..30_000)
        .map(|number| format!("[[registry]]\nhost = \"r{number}.corp\"\ntrust = \"http\"\n"))
        .collect();
    let in_a_file = |bytes: u64| {
        move |node: &Node| {
            let path = node.path("etc/regtrust/registries.d/node.toml");
            std::fs::File::create(path).unwrap().set_len(bytes).unwrap();
        }
    };
    vec![
        text("30,000 entries", "has 30000 entries, more than 20000", many.concat()),
        text("20 MiB", "is larger than 16777216 bytes", vec![b'#'; 20 << 20]),
        Case::wrong("declaration: 100 MB", "larger than 67108864 bytes", in_a_file(100_000_000)),
        Case::wrong(
            "declaration: a terabyte of nothing",
            "larger than 67108864 bytes",
            in_a_file(1 << 40),
        ),
        Case::wrong("declaration: an escape in the file's name", r"a\u{1b}[2J\nok.toml", |node| {
            node.file("etc/regtrust/registries.d/a\u{1b}[2J\nok.toml", PLAIN.replace("http", "x"));
        }),
        Case::wrong(
            "declaration: a name that is not UTF-8",
            "has a name that is not UTF-8",
            |node| {
                use std::os::unix::ffi::OsStrExt as _;
                let name = std::ffi::OsStr::from_bytes(b"\xff\x1b[2J.toml");
                std::fs::write(node.path("etc/regtrust/registries.d").join(name), PLAIN).unwrap();
            },
        ),
    ]
}
