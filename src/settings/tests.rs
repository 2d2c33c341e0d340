use super::*;
use crate::gate::OnDeadline;
use crate::identity::{Identity, SpiffePattern};

fn parsed(text: &str) -> Settings {
    parse_settings(text, "/d").unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn principal(grant: &Grant) -> String {
    match &grant.to {
        Grantee::Principal(principal) => format!("{}: {principal}", grant.role),
        Grantee::ReadSocket => format!("{}: read socket", grant.role),
    }
}

#[test]
fn an_empty_file_is_no_file() {
    assert_eq!(parsed(""), Settings::default());
    let settings = Settings::default();
    assert_eq!(settings.access, [], "nobody but root is given anything");
    assert_eq!(settings.listen.tcp, None);
}

#[test]
fn everything_is_understood() {
    let settings = parsed(include_str!("../../packaging/etc/regtrust/regtrustd.toml.example"));
    let listen = &settings.listen;
    assert_eq!(
        listen,
        &Listen { tcp: listen.tcp.clone(), read_gid: Some(990), ..Listen::default() }
    );
    let tcp = listen.tcp.as_ref().unwrap();
    assert_eq!(tcp.address, "0.0.0.0:7443".parse().unwrap());
    assert_eq!(tcp.key_file, node_path!("etc/regtrust/tls/tls.key"));
    assert!(tcp.crl_file.is_some());
    let grants: Vec<_> = settings.access.iter().map(principal).collect();
    assert_eq!(
        grants,
        [
            "admin: spiffe://corp.example/zadig",
            "operator: spiffe://corp.example/oncall/*",
            "reader: read socket",
        ]
    );
    let owners: Vec<_> = settings.owners.iter().map(|owner| owner.name.as_str()).collect();
    assert_eq!(owners, ["local", "zadig"]);
    assert!(!settings.windows.is_empty());
    let fleet = settings.fleet.unwrap();
    assert_eq!((fleet.group.as_str(), fleet.addresses().len()), ("ci-runners", 3));
    assert_eq!(settings.warnings, []);
}

#[test]
fn words_are_what_they_say() {
    let settings = parsed("drift = \"report\"\nrestarts = \"on-request\"");
    assert_eq!((settings.drift, settings.restarts), (Drift::Report, Restarts::OnRequest));
    let settings = parsed("drift = \"repair\"\nrestarts = \"when-idle\"");
    assert_eq!((settings.drift, settings.restarts), (Drift::Repair, Restarts::WhenIdle));
}

#[test]
fn what_a_restart_waits_for_is_understood() {
    let seconds = jiff::SignedDuration::from_secs;
    let text = "[restart]\ngather = \"5m\"\nquiet_period = \"30s\"\nsettle = \"15s\"\n\
                spread = \"1h 30m\"\nminimum_interval = \"10m\"\nmax_per_day = 2\ndeadline = \"168h\"\n\
                on_deadline = \"force\"\ndrain_timeout = \"2h\"\nforce_docker = true\nsoak = \"0s\"\n\
                recovery = \"5m\"\nlive_restore = true";
    let rules = Rules {
        gather: seconds(300),
        quiet_period: seconds(30),
        settle: seconds(15),
        spread: seconds(5400),
        minimum_interval: seconds(600),
        max_per_day: 2,
        deadline: Some(seconds(7 * 86_400)),
        on_deadline: OnDeadline::Force,
        drain_timeout: seconds(7200),
        force_docker: true,
        soak: seconds(0),
        recovery: seconds(300),
        live_restore: true,
    };
    assert_eq!(parsed(text).restart, rules);
    assert_eq!(parsed("[restart]\ndeadline = \"never\"").restart.deadline, None);
    assert_eq!(parsed("[restart]").restart, Rules::default());
}

#[test]
fn every_mistake_about_restarts_is_named() {
    for (text, problem) in [
        ("[restart]\nqiet = 1", "/d:2:1: restart: unknown key `qiet`"),
        ("[restart]\nsettle = 1", "/d:2:10: restart.settle: expected a string, found an integer"),
        (
            "[restart]\nsettle = \"soon\"",
            "restart.settle: `soon` is no duration (write it like \"30s\"",
        ),
        ("[restart]\nsoak = \"-1s\"", "restart.soak: `-1s` is out of bounds (choose from 0s to 1h"),
        ("[restart]\nminimum_interval = \"5s\"", "`5s` is out of bounds (choose from 20s to 2160h"),
        (
            "[restart]\nmax_per_day = 0",
            "restart.max_per_day: 0 restarts are none at all (`restarts",
        ),
        ("[restart]\non_deadline = \"kill\"", "restart.on_deadline: `kill` means nothing here"),
        ("[restart]\nforce_docker = true", "restart.force_docker: means nothing without"),
    ] {
        let problems = parse_settings(text, "/d").expect_err(text);
        assert!(problems[0].to_string().contains(problem), "{text}: {}", problems[0]);
    }
}

#[test]
fn an_owner_may_have_several_names() {
    let text = "[[owner]]\nname = \"z\"\nhosts = []\nuid = 7\ngid = 8\n\
                san = [\"spiffe://corp/a\", \"spiffe://corp/b/*\"]";
    let settings = parsed(text);
    let owner = settings.owners.iter().last().unwrap();
    let below = SpiffePattern::parse("spiffe://corp/b/*").unwrap();
    assert_eq!(owner.principals.len(), 4);
    assert!(owner.principals.contains(&Principal::San(below)));
    let caller = Identity::Unix { uid: 7, gid: 1, pid: None };
    assert_eq!(settings.owners.of(&caller), Some(owner));
}

#[test]
fn files_may_be_placed_behind_an_owner() {
    let zadig = "[[owner]]\nname = \"z\"\nhosts = [\"*\"]\nuid = 7\n";
    let order = |text: &str| -> Vec<String> {
        parsed(text).owners.iter().map(|owner| owner.name.to_string()).collect()
    };
    assert_eq!(order(zadig), ["local", "z"]);
    let behind = format!("{zadig}[[owner]]\nname = \"local\"\npriority = 1\n");
    assert_eq!(order(&behind), ["z", "local"]);
}

#[test]
fn every_problem_is_found() {
    let owner = |rest: &str| format!("[[owner]]\nname = \"z\"\nhosts = []\nuid = 7\n{rest}");
    let twice = owner("[[owner]]\nname = \"z\"\nhosts = []\nuid = 8");
    let same = owner("[[owner]]\nname = \"y\"\nhosts = []\nuid = 7");
    let one = "[listen]\nadmin_socket = \"/run/a.sock\"\nread_socket = \"/run/b.sock\"";
    for (text, problem) in [
        ("drfit = \"repair\"", "/d:1:1: unknown key `drfit` (did you mean `drift`?)"),
        ("drift = \"reprot\"", "/d:1:9: drift: `reprot` means nothing here (did you mean"),
        ("restarts = true", "/d:1:12: restarts: expected a string, found a boolean"),
        ("listen = 1", "/d:1:10: listen: expected a table, found an integer"),
        ("[listen]\nsocket = \"/a/b\"", "/d:2:1: listen: unknown key `socket`"),
        ("[listen]\nadmin_socket = \"a/b\"", "listen.admin_socket: `a/b` is no plain absolute"),
        ("[listen]\nadmin_socket = \"/a/../b\"", "`/a/../b` is no plain absolute path"),
        ("[listen]\nadmin_socket = \"/a\"", "`/a` is no plain absolute path"),
        ("[listen]\nread_socket = \"@abstract\"", "`@abstract` is no plain absolute path"),
        ("[listen]\nread_gid = -1", "/d:2:12: listen.read_gid: -1 is no gid"),
        (one, "/d:2:16: listen.read_socket: the two sockets are in one directory"),
        ("[[access]]\nuid = 1", "/d:1:1: access.role: is required"),
        ("[[access]]\nrole = \"reader\"", "/d:1:1: access: is given to nobody (name somebody"),
        ("[[access]]\nrole = \"root\"\nuid = 1", "/d:2:8: access.role: `root` means nothing here"),
        ("[[access]]\nrole = \"admin\"\nuid = -1", "/d:3:7: access.uid: -1 is no uid"),
        ("[[access]]\nrole = \"admin\"\ngid = 4294967295", "access.gid: 4294967295 is no gid"),
        ("[[access]]\nrole = \"admin\"\nuid = 65534", "access.uid: 65534 is what the kernel shows"),
        ("[[access]]\nrole = \"admin\"\nuid = \"root\"", "expected a whole number, found a string"),
        ("[[access]]\nrole = \"admin\"\nsan = \"corp\"", "access.san: `corp`: a name begins with"),
        ("[[access]]\nrole = \"admin\"\nsocket = \"read\"", "is a reader at most"),
        (
            "[[access]]\nrole = \"reader\"\nsocket = \"admin\"",
            "access.socket: `admin` means nothing",
        ),
        (
            "[[access]]\nrole = \"admin\"\nuid = 1\n[[access]]\nrole = \"reader\"\nuid = 1",
            "/d:6:7: access: `uid 1` has a role already",
        ),
        ("[[access]]\nrole = \"admin\"\nuser = 1\nuid = 1", "/d:3:1: access: unknown key `user`"),
        ("[[owner]]\nhosts = []\nuid = 1", "/d:1:1: owner.name: is required"),
        (
            "[[owner]]\nname = \"A\"\nhosts = []\nuid = 1",
            "/d:2:8: owner.name: `A`: an owner's name",
        ),
        ("[[owner]]\nname = \"a\"\nuid = 1", "/d:1:1: owner.hosts: is required"),
        ("[[owner]]\nname = \"a\"\nhosts = []", "/d:1:1: owner: is nobody"),
        (
            "[[owner]]\nname = \"a\"\nhosts = [\"a b\"]\nuid = 1",
            "/d:3:10: owner.hosts: registry host",
        ),
        ("[[owner]]\nname = \"local\"", "/d:1:1: owner.priority: is required"),
        ("[[owner]]\nname = \"local\"\npriority = 1\nuid = 0", "`local` is the node's own files"),
        (&twice, "owner.name: `z` is declared twice"),
        (&same, "owner: `uid 7` is named twice"),
    ] {
        let problems = parse_settings(text, "/d").expect_err(text);
        let [found] = problems.as_slice() else { panic!("{text}: {problems:?}") };
        assert!(found.to_string().contains(problem), "{text}: {found}");
    }
}

#[test]
fn a_window_says_when_and_how_long() {
    let window = |rest: &str| format!("[[window]]\nstart = \"22:00\"\n{rest}");
    for (rest, problem) in [
        ("", "/d:1:1: window: does not say how long it is (give it an `end` or a `duration`)"),
        ("end = \"22:00\"", "/d:3:7: window.end: is the `start` as well (`duration = \"24h\"`"),
        ("end = \"5:00\"", "/d:3:7: window.end: `5:00` is no time of day"),
        ("end = \"24:01\"", "window.end: `24:01` is no time of day"),
        ("end = \"+1:00\"", "window.end: `+1:00` is no time of day"),
        ("end = 5", "window.end: expected a string, found an integer"),
        ("duration = \"8d\"", "/d:3:12: window.duration: `8d` is no duration of a window"),
        ("duration = \"90s\"", "`90s` is no duration"),
        ("duration = \"-7h\"", "`-7h` is no duration"),
        ("end = \"05:00\"\nduration = \"7h\"", "/d:4:1: window.duration: stands beside an `end`"),
        ("end = \"05:00\"\ndays = []", "/d:4:8: window.days: names no day"),
        (
            "end = \"05:00\"\ndays = [\"mon\", \"thursday\"]",
            "/d:4:16: window.days: `thursday` means nothing here",
        ),
        ("end = \"05:00\"\ndates = []", "/d:4:9: window.dates: names no date"),
        ("end = \"05:00\"\ndates = [\"2026-02-29\"]", "`2026-02-29` names no date"),
        ("end = \"05:00\"\ndates = [\"fifth sat\"]", "`fifth sat` names no date"),
        (
            "end = \"05:00\"\nnot_dates = [\"2026-12-24..2026-12-20\"]",
            "/d:4:14: window.not_dates: `2026-12-24..2026-12-20` names no date",
        ),
        (
            "end = \"05:00\"\ntimezone = \"Europe/Berln\"",
            "/d:4:12: window.timezone: `Europe/Berln` is no time zone (did you mean `Europe/Berlin`?)",
        ),
        ("end = \"05:00\"\nzone = \"UTC\"", "/d:4:1: window: unknown key `zone`"),
    ] {
        let problems = parse_settings(&window(rest), "/d").expect_err(rest);
        let [found] = problems.as_slice() else { panic!("{rest}: {problems:?}") };
        assert!(found.to_string().contains(problem), "{rest}: {found}");
    }
    let problems = parse_settings("[[window]]\nend = \"05:00\"", "/d").unwrap_err();
    assert_eq!(problems[0].to_string(), "/d:1:1: window.start: is required");
    for rest in ["end = \"24:00\"", "duration = \"7d\"", "end = \"05:00\"\ndates = [\"02-29\"]"] {
        assert!(!parsed(&window(rest)).windows.is_empty(), "{rest}");
    }
}

#[test]
fn tcp_needs_every_file_and_a_whole_address() {
    let all = [
        "address = \"[::]:7443\"",
        "certificate_file = \"/t/c\"",
        "key_file = \"/t/k\"",
        "client_ca_file = \"/t/a\"",
    ];
    let text = |lines: &[&str]| format!("[listen.tcp]\n{}", lines.join("\n"));
    assert!(parsed(&text(&all)).listen.tcp.is_some());
    for left_out in 0..all.len() {
        let mut fewer = all.to_vec();
        let key = fewer.remove(left_out).split(' ').next().unwrap();
        let problems = parse_settings(&text(&fewer), "/d").unwrap_err();
        let errors: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(errors.contains(&format!("/d:1:1: listen.tcp.{key}: is required")), "{errors:?}");
    }
    for address in ["7443", ":7443", "harbor.corp:7443", "0.0.0.0", "0.0.0.0:0", "::1:7443"] {
        let line = format!("address = \"{address}\"");
        let text = text(&[&line, all[1], all[2], all[3]]);
        let problems = parse_settings(&text, "/d").unwrap_err();
        let found =
            problems.iter().any(|one| one.to_string().contains("is no address with a port"));
        assert!(found, "{address}: {problems:?}");
    }
}

#[test]
fn what_leads_nowhere_is_warned_of() {
    let tcp = "[listen.tcp]\naddress = \"[::]:7443\"\ncertificate_file = \"/t/c\"\n\
               key_file = \"/t/k\"\nclient_ca_file = \"/t/a\"\n";
    let access = "[[access]]\nrole = \"reader\"\nsan = \"spiffe://corp/a\"\n";
    assert_eq!(parsed(&format!("{tcp}{access}")).warnings, []);
    for (text, warning) in [
        (tcp, "/d: listen.tcp: no certificate is given a role"),
        (access, "/d:3:7: access.san: certificates are shown over TCP only"),
    ] {
        let settings = parsed(text);
        let [found] = settings.warnings.as_slice() else { panic!("{:?}", settings.warnings) };
        assert!(found.to_string().contains(warning), "{found}");
    }
}
