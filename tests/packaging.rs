//! What is shipped beside the programs: the units, and how much they allow.
#![expect(
    clippy::disallowed_methods,
    reason = "a test looks at files and starts systemd's own checks"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends at the first surprise, and says what it measured"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn unit(name: &str) -> String {
    fs::read_to_string(project().join("systemd").join(name)).unwrap()
}

/// systemd's own score, 0 is best, of `unit` with `drop_in`.
fn exposure(unit: &str, drop_in: Option<&str>) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join(unit);
    fs::copy(project().join("systemd").join(unit), &copy).unwrap();
    if let Some(name) = drop_in {
        let drop_ins = PathBuf::from(format!("{}.d", copy.display()));
        fs::create_dir(&drop_ins).unwrap();
        fs::copy(project().join("systemd").join(name), drop_ins.join(name)).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&copy)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("systemd-analyze starts");
    let words = String::from_utf8(output.stdout).unwrap();
    let level = words.lines().last().and_then(|line| line.split(": ").nth(1));
    let level = level.and_then(|level| level.split(' ').next()?.parse().ok());
    level.unwrap_or_else(|| panic!("{words}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_units_allow_no_more_than_is_promised() {
    for (unit, drop_in, most) in [
        ("regtrustd.service", None, 1.7),
        ("regtrustd.service", Some("no-network.conf"), 1.1),
        ("regtrustd.service", Some("foreign-owners.conf"), 2.2),
        ("regtrust-apply.service", None, 1.1),
    ] {
        let level = exposure(unit, drop_in);
        println!("{unit} with {drop_in:?}: exposure {level}");
        assert!(level <= most, "{unit} with {drop_in:?}: {level} is more than {most}");
    }
}

/// The settings of a unit, with all values of one key in a row.
fn settings(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut settings: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if !key.starts_with('#') {
            settings.entry(key).or_default().push(value);
        }
    }
    settings
}

/// Two sandboxes that drift apart are two that nobody reviews.
#[test]
fn the_units_share_one_sandbox() {
    let (daemon, apply) = (unit("regtrustd.service"), unit("regtrust-apply.service"));
    let (daemon, apply) = (settings(&daemon), settings(&apply));
    // Who is started, when, and what of the world the one needs that the other does not.
    let different = [
        "Description",
        "Documentation",
        "Type",
        "ExecStart",
        "ExecPaths",
        "BindReadOnlyPaths",
        "TasksMax",
        "RestrictAddressFamilies",
        "After",
        "Before",
        "TimeoutStartSec",
    ];
    let only_one = [
        "PrivateNetwork",
        "IPAddressAllow",
        "NotifyAccess",
        "ExecReload",
        "TimeoutStopSec",
        "WatchdogSec",
        "Restart",
        "RestartSec",
        "RestartPreventExitStatus",
        "RuntimeDirectory",
        "RuntimeDirectoryMode",
        "RuntimeDirectoryPreserve",
        "StartLimitIntervalSec",
        "SuccessExitStatus",
        "ConditionDirectoryNotEmpty",
        "ConditionPathExists",
    ];
    for key in daemon.keys().chain(apply.keys()) {
        if !different.contains(key) && !only_one.contains(key) {
            assert_eq!(daemon.get(key), apply.get(key), "{key}=");
        }
    }
}

#[test]
fn systemd_understands_every_line() {
    for name in [
        "regtrustd.service",
        "regtrust-apply.service",
        "regtrustd.socket",
        "regtrustd-read.socket",
        "regtrustd-tcp.socket",
    ] {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(project().join("systemd").join(name))
            .output()
            .expect("systemd-analyze starts");
        let words = String::from_utf8(output.stderr).unwrap();
        // The programs are installed where the packages are, and not here.
        let wrong: Vec<_> =
            words.lines().filter(|line| !line.contains("is not executable")).collect();
        assert_eq!(wrong, [] as [&str; 0], "{name}");
    }
}
