use proptest::prelude::*;

use super::*;
use crate::node_path;
use crate::trust::certificate::{CaBundle, ClientPair};
use crate::trust::certificate_cache::CertificateCache;
use crate::trust::entry::{Capability, Mirror, Runtime, Trust};
use crate::trust::problem::Severity;

pub(super) const NOW: &str = "2026-06-01T00:00:00Z";

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/", $name))
    };
}

mod bad;

fn on_disk(path: &NodePath) -> Result<Content, String> {
    Ok(match path.file_name() {
        "ca.pem" => Content::plain(fixture!("ca.pem")),
        "server.pem" => Content::plain(fixture!("server-self.pem")),
        "expired.pem" => Content::plain(fixture!("ca-expired.pem")),
        "client.pem" => Content::plain(fixture!("client.pem")),
        "client.key" => Content::secret(fixture!("client.key").to_vec()),
        "other.key" => Content::secret(fixture!("client-ec.key").to_vec()),
        "locked.pem" => return Err("Permission denied (os error 13)".to_owned()),
        _ => return Err("it is not there".to_owned()),
    })
}

fn declare(text: &str) -> Declarations {
    let file = node_path!("etc/regtrust/registries.d/x.toml");
    let draft = match Draft::parse(text, &file) {
        Ok(draft) => draft,
        Err(broken) => return broken,
    };
    let loaded = draft.references().into_keys().map(|path| {
        let content = on_disk(&path);
        (path, content)
    });
    draft.complete(&loaded.collect(), &mut CertificateCache::new(NOW.parse().unwrap()))
}

fn messages(declarations: &Declarations) -> Vec<String> {
    let file = "/etc/regtrust/registries.d/x.toml:";
    let text = |problem: &Problem| problem.to_string().replace(file, "");
    declarations.problems.iter().map(text).collect()
}

#[test]
fn everything_that_can_be_said_is_understood() {
    let declarations = declare(
        r#"
[[registry]]
host = "https://Harbor.corp:8443/"
trust = "ca"
ca_file = "ca.pem"
client_cert_file = "/etc/pki/client.pem"
client_key_file = "../client.key"
system_store = true
reason = "ours"
until = 2027-01-31T00:00:00+01:00
runtimes = ["docker", "containerd", "docker"]
fallback = false

[[registry.mirror]]
url = "https://mirror.corp/v2/proxy/"
trust = "ca"
ca_file = "./ca.pem"
capabilities = ["pull"]

[[registry.mirror]]
url = "http://10.0.0.1:5000"
trust = "http"
"#,
    );
    assert_eq!(messages(&declarations), [""; 0]);
    let [entry] = declarations.entries.as_slice() else { panic!("{declarations:?}") };
    let ca = || Trust::Ca(CaBundle::from_stored(fixture!("ca.pem")).unwrap());
    let client = ClientPair::from_stored(fixture!("client.pem"), fixture!("client.key")).unwrap();
    let mirror = |host: &str, path: &str, trust, capabilities: &[Capability]| Mirror {
        host: host.parse().unwrap(),
        path: path.to_owned(),
        trust,
        capabilities: capabilities.iter().copied().collect(),
    };
    let expected = Entry {
        host: "harbor.corp:8443".parse().unwrap(),
        trust: ca(),
        client: Some(client),
        system_store: true,
        reason: Some("ours".to_owned()),
        until: Some("2027-01-30T23:00:00Z".parse().unwrap()),
        runtimes: Some([Runtime::Docker, Runtime::Containerd].into()),
        mirrors: vec![
            mirror("mirror.corp", "/v2/proxy", ca(), &[Capability::Pull]),
            mirror("10.0.0.1:5000", "", Trust::Http, &[Capability::Pull, Capability::Resolve]),
        ],
        fallback: false,
        origin: Origin {
            owner: "local".into(),
            file: "/etc/regtrust/registries.d/x.toml".into(),
            line: 2,
        },
    };
    assert_eq!(**entry, expected);
    assert!(entry.client.as_ref().is_some_and(|pair| pair.key.is_secret()));
}

#[test]
fn pem_may_stand_in_the_declaration_itself() {
    let text = format!(
        "[[registry]]\nhost = \"a.corp\"\ntrust = \"ca\"\nca = \"\"\"\n{}\"\"\"\nclient_cert = \
         '''{}'''\nclient_key = '''{}'''",
        str::from_utf8(fixture!("ca.pem")).unwrap(),
        str::from_utf8(fixture!("client.pem")).unwrap(),
        str::from_utf8(fixture!("client.key")).unwrap(),
    );
    let declarations = declare(&text);
    assert_eq!(messages(&declarations), [""; 0]);
    assert_eq!(declarations.entries.len(), 1);
    let draft = Draft::parse(&text, &node_path!("x.toml")).unwrap();
    assert_eq!(draft.references(), BTreeMap::new());
    let secret = str::from_utf8(fixture!("client.key")).unwrap().lines().nth(1).unwrap();
    assert!(!format!("{draft:?}{declarations:?}").contains(secret), "a key shows in Debug");
}

#[test]
fn what_works_all_the_same_is_a_warning() {
    for (host, trust, warnings) in [
        ("http://a.corp", "skip-verify", vec!["1:19: host: `http://` is not heeded"]),
        ("http://a.corp", "insecure", vec![]),
        ("http://a.corp", "http", vec![]),
        ("https://a.corp", "insecure", vec![]),
        ("a.corp/lib/x", "system", vec!["1:19: host: the path `/lib/x` is not used"]),
        ("http://a.corp/lib", "system", vec!["1:19: host: the path", "1:19: host: `http://`"]),
    ] {
        let text = format!("registry = [{{host=\"{host}\", trust=\"{trust}\"}}]");
        let declarations = declare(&text);
        assert_eq!(declarations.entries.len(), 1, "{text}");
        let found = messages(&declarations);
        assert_eq!(found.len(), warnings.len(), "{text}: {found:?}");
        for (found, warning) in found.iter().zip(warnings) {
            assert!(found.starts_with(warning), "{text}: {found}");
        }
    }
}

#[test]
fn a_file_named_as_certificate_and_as_key_is_kept_as_a_key() {
    let text = "[[registry]]\nclient_cert_file = \"both.pem\"\nclient_key_file = \"both.pem\"";
    let draft = Draft::parse(text, &node_path!("etc/x.toml")).unwrap();
    assert_eq!(draft.references(), [(node_path!("etc/both.pem"), Holds::Key)].into());
}

#[test]
fn a_registry_may_be_its_own_mirror_at_another_path() {
    let declarations = declare(
        "[[registry]]\nhost = \"a.corp\"\ntrust = \"system\"\n[[registry.mirror]]\nurl = \
         \"https://a.corp/v2/proxy\"\n[[registry.mirror]]\nurl = \"https://a.corp/v2/other\"\n",
    );
    assert_eq!((messages(&declarations), declarations.entries[0].mirrors.len()), (vec![], 2));
}

#[test]
fn a_mistake_is_not_a_withdrawal() {
    let declarations = declare(
        "[[registry]]\nhost = \"a.corp\"\ntrust = \"sytem\"\n[[registry]]\nhost = \
         \"b.corp\"\ntrust = \"system\"\n",
    );
    assert!(!declarations.broken);
    let [unusable] = declarations.unusable.as_slice() else { panic!("{declarations:?}") };
    assert_eq!((unusable.host.as_str(), unusable.origin.line), ("a.corp", 1));
    assert_eq!(unusable.problem, declarations.problems[0]);
    assert_eq!(unusable.problem.host.as_ref(), Some(&unusable.host));
    assert_eq!(declarations.entries[0].host.as_str(), "b.corp");

    for unknown in [
        "[[registry]]\nhost = \"a corp\"\ntrust = \"system\"",
        "[[registry]]\ntrust = \"system\"",
        "[[registy]]\nhost = \"a.corp\"\ntrust = \"system\"",
        "registry = 5",
        "[[registry]\n",
    ] {
        let declarations = declare(unknown);
        assert!(declarations.broken, "which host is meant by {unknown}?");
        assert_eq!(declarations.entries, []);
    }
}

#[test]
fn the_first_of_two_in_one_file_stands() {
    let declarations = declare(
        "[[registry]]\nhost = \"a.corp\"\ntrust = \"system\"\n\n[[registry]]\nhost = \
         \"https://A.corp\"\ntrust = \"insecure\"\n",
    );
    assert_eq!(
        messages(&declarations),
        ["6:8: host: `a.corp` is declared already in line 1 (remove one of the two)"]
    );
    assert_eq!(declarations.entries[0].trust, Trust::System);
    assert_eq!((declarations.entries.len(), declarations.unusable.len()), (1, 0));
    assert!(!declarations.broken);
}

#[test]
fn too_much_is_refused_as_a_whole() {
    let entry = "[[registry]]\nhost=\"a.corp\"\ntrust=\"system\"\n";
    for (text, message) in [
        (" ".repeat(LARGEST_FILE + 1), "is larger than 16777216 bytes"),
        (entry.repeat(MOST_ENTRIES + 1), "has 20001 entries, more than 20000"),
    ] {
        let declarations = declare(&text);
        assert!(declarations.broken);
        let found = messages(&declarations).join("\n");
        assert!(found.ends_with(&format!("{message} (divide it into several files)")), "{found}");
    }
}

#[test]
fn ten_thousand_entries_parse_their_common_ca_once() {
    let entry =
        |n| format!("[[registry]]\nhost = \"r{n}.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n");
    let text: String = (0..10_000).map(entry).collect();
    let declarations = declare(&text);
    assert_eq!((declarations.entries.len(), declarations.problems.len()), (10_000, 0));
    let bundles: Vec<_> = declarations.entries.iter().filter_map(|one| one.trust.ca()).collect();
    assert!(bundles.windows(2).all(|two| {
        std::ptr::eq(two[0].certificates().as_ptr(), two[1].certificates().as_ptr())
    }));
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[[registry]]\n".to_owned()),
        Just("[[registry.mirror]]\n".to_owned()),
        Just("host = \"a.corp\"\n".to_owned()),
        Just("url = \"https://m.corp\"\n".to_owned()),
        Just("trust = \"ca\"\nca_file = \"ca.pem\"\n".to_owned()),
        "(host|trust|ca|ca_file|until|mirror|runtimes|url|fallback) = (\"\\PC{0,12}\"|[0-9]{1,4}|true|\\[\\]|\\{\\})\n",
        "\\PC{0,20}\n",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(parts in prop::collection::vec(fragment(), 0..12)) {
        let declarations = declare(&parts.concat());
        for problem in &declarations.problems {
            prop_assert!(!problem.to_string().chars().any(char::is_control), "{problem:?}");
        }
        let bad = declarations.broken || !declarations.unusable.is_empty();
        let error = declarations.problems.iter().any(|one| one.severity == Severity::Error);
        prop_assert!(error || !bad, "nothing says what is wrong: {declarations:?}");
    }

    #[test]
    fn no_bytes_make_it_panic(text in "\\PC{0,200}|[\\x00-\\x7f]{0,200}") {
        declare(&text);
    }

    #[test]
    fn a_bad_entry_never_changes_the_others(
        before in 0..4usize,
        after in 0..4usize,
        bad in prop::sample::select(bad::ENTRIES.iter().map(|case| case.0).collect::<Vec<_>>()),
    ) {
        let good = |n: usize| format!("[[registry]]\nhost=\"g{n}.corp\"\ntrust=\"system\"\n");
        let goods = |range: std::ops::Range<usize>| range.map(good).collect::<String>();
        let (head, tail) = (goods(0..before), goods(before..before + after));
        let with = declare(&format!("{head}[[registry]]\n{bad}\n{tail}"));
        let without = declare(&format!("{head}{tail}"));
        let plain = |declarations: Declarations| -> Vec<Entry> {
            let unplaced = |entry: Arc<Entry>| {
                let entry = Entry::clone(&entry);
                Entry { origin: Origin { line: 0, ..entry.origin }, ..entry }
            };
            declarations.entries.into_iter().map(unplaced).collect()
        };
        prop_assert_eq!(plain(with), plain(without), "{}", bad);
    }
}
