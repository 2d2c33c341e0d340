//! `make demo` shows what it says, and leaves nothing behind, however it ends.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::case::{Case, case};
use crate::cases_lab::myself;
use crate::demo;
use crate::lab::Suite;
use crate::lab::wait::eventually;

pub(crate) const CASES: &[Case] = &[
    case!(Alone the_demo_shows_what_it_says).on(&[Suite::Trixie]),
    case!(Alone an_interrupted_demo_tidies_up).on(&[Suite::Trixie]),
];

fn start() -> Child {
    let mut demo = myself(demo::ARGUMENT);
    // A group of its own, as a shell gives it: that is what Ctrl-C reaches.
    demo.stdout(Stdio::piped()).process_group(0).spawn().unwrap()
}

fn the_demo_shows_what_it_says() {
    let output = start().wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let mut rest = text.as_str();
    for step in [
        "booted in",
        "x509: certificate signed by unknown authority",
        "# regtrust plan",
        "+config_path = \"/etc/containerd/certs.d\"",
        "# regtrust apply",
        "# systemctl restart containerd",
        "Status: Downloaded newer image",
        "The same process as before",
        "# regtrust apply",
        "x509: certificate signed by unknown authority",
        "Left on this machine: no process",
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("`{step}` is not in\n{rest}"));
        rest = &rest[at + step.len()..];
    }
    assert!(!text.contains('\x1b'), "colours are for terminals");
}

fn an_interrupted_demo_tidies_up() {
    // Ctrl-C reaches the whole group; `kill` only the process that it is told.
    for (signal, code, whole_group) in [(Signal::SIGINT, 130, true), (Signal::SIGTERM, 143, false)]
    {
        let mut demo = start();
        let mut words = BufReader::new(demo.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("2. ") {
            line.clear();
            assert_ne!(words.read_line(&mut line).unwrap(), 0, "it ended too early");
        }
        let namespaces = namespaces_of_its_node(demo.id());
        assert!(namespaces.len() >= 4, "{namespaces:?}");
        let running: BTreeSet<String> = processes().collect();

        let process = Pid::from_raw(demo.id().cast_signed());
        let whom = if whole_group { Pid::from_raw(-process.as_raw()) } else { process };
        kill(whom, signal).unwrap();
        let mut text = String::new();
        words.read_to_string(&mut text).unwrap();
        assert_eq!(demo.wait().unwrap().code(), Some(code), "{text}");
        assert!(text.contains("Left on this machine: no process"), "{text}");
        assert!(!text.contains("7. "), "{text}");
        // The kernel gives a namespace's number again, to whatever node boots next.
        let is_old = |(process, _): &(String, PathBuf)| running.contains(process);
        for (process, namespace) in all_namespaces().filter(is_old) {
            assert!(
                !namespaces.contains(&namespace),
                "process {process} is in {}",
                namespace.display()
            );
        }
    }
}

/// The namespaces that its node is in and this test is not.
fn namespaces_of_its_node(demo: u32) -> BTreeSet<PathBuf> {
    let children = PathBuf::from(format!("/proc/{demo}/task/{demo}/children"));
    let story = std::fs::read_to_string(children).unwrap().trim().to_owned();
    let group = format!("-{}-{story}-", Suite::Trixie);
    let own: BTreeSet<PathBuf> = namespaces("self").collect();
    eventually("the demo has a node", || {
        let of_node = |process: &String| {
            let path = Path::new("/proc").join(process).join("cgroup");
            std::fs::read_to_string(path).is_ok_and(|groups| groups.contains(&group))
        };
        let found: BTreeSet<PathBuf> =
            processes().filter(of_node).flat_map(|process| namespaces(&process)).collect();
        let found: BTreeSet<PathBuf> = found.difference(&own).cloned().collect();
        (!found.is_empty()).then_some(found)
    })
}

fn all_namespaces() -> impl Iterator<Item = (String, PathBuf)> {
    processes().flat_map(|process| {
        namespaces(&process).map(|namespace| (process.clone(), namespace)).collect::<Vec<_>>()
    })
}

fn processes() -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// As `net:[4026532205]`. A process may end while it is looked at.
fn namespaces(process: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let directory = Path::new("/proc").join(process).join("ns");
    let kinds = ["net", "mnt", "pid", "uts", "ipc"];
    kinds.into_iter().filter_map(move |kind| std::fs::read_link(directory.join(kind)).ok())
}
