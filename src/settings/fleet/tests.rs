use super::*;
use crate::node_path;
use crate::settings::{Settings, parse_settings};

const ETCD: &str = "engine = \"etcd\"\nendpoints = [\"https://a:1\"]\nca_file = \"/t/ca\"\n";
const FLEETLOCK: &str = "engine = \"fleetlock\"\nurl = \"https://a/\"\nca_file = \"/t/ca\"\n";

fn parsed(text: &str) -> Settings {
    let text = format!("[fleet_lock]\n{text}");
    parse_settings(&text, "/d").unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn fleet(text: &str) -> Fleet {
    let settings = parsed(text);
    assert_eq!(settings.warnings, [], "{text}");
    settings.fleet.unwrap()
}

#[test]
fn little_has_to_be_said() {
    let expected = Fleet {
        engine: Engine::Etcd(Etcd {
            endpoints: vec![Address {
                tls: true,
                host: "a".to_owned(),
                port: 1,
                path: "/".to_owned(),
            }],
            slots: 1,
            ttl: SignedDuration::from_secs(60),
            max_unresolved: 1,
        }),
        group: "default".to_owned(),
        id: NodeId::Regtrust,
        timeout: SignedDuration::from_secs(10),
        files: ClientFiles { ca: Some(node_path!("t/ca")), pair: None },
        credentials: None,
    };
    assert_eq!(fleet(ETCD), expected);
    let fleet = fleet(FLEETLOCK);
    assert_eq!(
        fleet.timeout,
        SignedDuration::from_secs(60),
        "a server may drain before it answers"
    );
    assert_eq!(fleet.addresses()[0].port, 443);
}

#[test]
fn everything_may_be_said() {
    let text = format!(
        "{ETCD}group = \"ci-runners\"\nslots = 3\nttl = \"2m\"\nmax_unresolved = 2\n\
         timeout = \"5s\"\ncertificate_file = \"/t/c\"\nkey_file = \"/t/k\"\nusername = \"node\"\n\
         password_file = \"/t/p\"\n"
    );
    let fleet = fleet(&text);
    let Engine::Etcd(etcd) = &fleet.engine else { panic!() };
    assert_eq!((etcd.slots, etcd.max_unresolved), (3, 2));
    assert_eq!(
        (etcd.ttl, fleet.timeout),
        (SignedDuration::from_mins(2), SignedDuration::from_secs(5))
    );
    assert_eq!(fleet.group, "ci-runners");
    assert_eq!(fleet.files.pair, Some((node_path!("t/c"), node_path!("t/k"))));
    let file = node_path!("t/p");
    assert_eq!(
        fleet.credentials,
        Some(Credentials::Password { username: "node".to_owned(), file })
    );
}

#[test]
fn a_base_keeps_its_last_component() {
    for (url, path, authority) in [
        ("https://a", "/", "a:443"),
        ("https://a/", "/", "a:443"),
        ("https://a:8443/base", "/base/", "a:8443"),
        ("https://a/base/", "/base/", "a:443"),
        ("https://[fd00::1]:8443/b/c", "/b/c/", "[fd00::1]:8443"),
        ("https://[fd00::1]/", "/", "[fd00::1]:443"),
    ] {
        let text = format!("engine = \"fleetlock\"\nurl = \"{url}\"\nca_file = \"/t/ca\"\n");
        let fleet = fleet(&text);
        let [address] = fleet.addresses() else { panic!() };
        assert_eq!((address.path.as_str(), address.authority().as_str()), (path, authority));
    }
}

#[test]
fn whoever_borrows_zincatis_name_is_warned() {
    let settings = parsed(&format!("{FLEETLOCK}id = \"zincati-compatible\"\n"));
    let [warning] = settings.warnings.as_slice() else { panic!("{:?}", settings.warnings) };
    assert!(warning.to_string().contains("DRAIN the node"), "{warning}");
    assert_eq!(settings.fleet.unwrap().id, NodeId::Zincati);
}

#[test]
fn clear_text_is_for_this_machine_or_for_those_who_say_so() {
    for url in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
        fleet(&format!("engine = \"etcd\"\nendpoints = [\"{url}\"]\n"));
    }
    let far = "engine = \"fleetlock\"\nurl = \"http://airlock.corp:3333\"\n";
    let problems = parse_settings(&format!("[fleet_lock]\n{far}"), "/d").unwrap_err();
    assert!(problems[0].to_string().contains("airlock.corp is spoken to without TLS"));
    fleet(&format!("{far}allow_clear_text = true\n"));
}

#[test]
fn every_problem_is_found() {
    let etcd = |rest: &str| format!("{ETCD}{rest}");
    let endpoint =
        |text: &str| format!("engine = \"etcd\"\nendpoints = [\"{text}\"]\nca_file = \"/t/ca\"\n");
    for (text, problem) in [
        (String::new(), "/d:1:1: fleet_lock.engine: is required"),
        ("engine = \"consul\"\n".to_owned(), "fleet_lock.engine: `consul` means nothing here"),
        ("engine = \"etcd\"\n".to_owned(), "fleet_lock.endpoints: is required"),
        ("engine = \"etcd\"\nendpoints = []\n".to_owned(), "fleet_lock.endpoints: names nobody"),
        ("engine = \"fleetlock\"\n".to_owned(), "fleet_lock.url: is required"),
        (endpoint("a:2379"), "`a:2379` is no address"),
        (endpoint("ftp://a:2379"), "`ftp://a:2379` is no address"),
        (endpoint("https://a:0"), "`https://a:0` is no address"),
        (endpoint("https://a:b"), "`https://a:b` is no address"),
        (endpoint("https://a:1/path"), "`https://a:1/path` is no address"),
        (endpoint("https://u:p@a:1"), "without a name or password in it"),
        (etcd("url = \"https://a/\"\n"), "fleet_lock.url: is for FleetLock"),
        (format!("{FLEETLOCK}slots = 2\n"), "fleet_lock.slots: is for etcd"),
        (format!("{FLEETLOCK}max_unresolved = 2\n"), "fleet_lock.max_unresolved: is for etcd"),
        (etcd("slots = 0\n"), "fleet_lock.slots: 0 is no number of nodes"),
        (etcd("max_unresolved = -1\n"), "fleet_lock.max_unresolved: -1 is no number of nodes"),
        (etcd("ttl = \"9s\"\n"), "fleet_lock.ttl: `9s` is out of bounds (choose from 10s to 1h)"),
        (etcd("ttl = 60\n"), "fleet_lock.ttl: expected a string, found an integer"),
        (etcd("timeout = \"soon\"\n"), "fleet_lock.timeout: `soon` is no duration"),
        (etcd("group = \"a/b\"\n"), "fleet_lock.group: `a/b` is no name of a group"),
        (etcd("group = \"\"\n"), "is no name of a group"),
        (etcd("id = \"mine\"\n"), "fleet_lock.id: `mine` means nothing here"),
        (etcd("key_file = \"/t/k\"\n"), "fleet_lock.certificate_file: is required"),
        (etcd("certificate_file = \"/t/c\"\n"), "fleet_lock.key_file: is required"),
        (etcd("username = \"a\"\n"), "fleet_lock.password_file: is required"),
        (etcd("password_file = \"/t/p\"\n"), "fleet_lock.username: is required"),
        (etcd("username = \"a:b\"\npassword_file = \"/t/p\"\n"), "`a:b` is no name of a user"),
        (
            etcd("username = \"a\"\npassword_file = \"/t/p\"\ntoken_file = \"/t/t\"\n"),
            "fleet_lock.token_file: stands beside a username",
        ),
        (etcd("slot = 1\n"), "unknown key `slot` (did you mean `slots`?)"),
        (etcd("allow_clear_text = 1\n"), "fleet_lock.allow_clear_text: expected `true` or `false`"),
        (
            "engine = \"etcd\"\nendpoints = [\"https://a:1\"]\n".to_owned(),
            "fleet_lock.ca_file: is required for https",
        ),
    ] {
        let text = format!("[fleet_lock]\n{text}");
        let problems = parse_settings(&text, "/d").expect_err(&text);
        let [found] = problems.as_slice() else { panic!("{text}: {problems:?}") };
        assert!(found.to_string().contains(problem), "{text}: {found}");
    }
}
