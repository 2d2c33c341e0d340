//! The lab itself: nothing of a node stays behind, however its test ends.

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::case::{Case, case};
use crate::lab::wait::eventually;
use crate::lab::{Node, Outfit, Suite};

pub(crate) const CASES: &[Case] = &[
    case!(Alone a_node_is_gone_when_it_is_powered_off).on(&[Suite::Trixie]),
    case!(Alone a_node_is_gone_whatever_kills_its_test).on(&[Suite::Trixie]),
    case!(what_hangs_on_a_node_is_ended_with_all_that_it_started).on(&[Suite::Trixie]),
    case!(files_go_where_the_nodes_links_say_and_replace_what_was_there).on(&[Suite::Trixie]),
];

/// The first argument that makes this program boot a node and wait for its death.
pub(crate) const HOLD: &str = "hold-node";

/// What a test process looks like that somebody kills.
pub(crate) fn hold() -> ! {
    let node = Node::boot(Suite::Trixie, Outfit::Packaged);
    println!("{} {}", node.keeper(), node.init());
    loop {
        std::thread::park();
    }
}

/// What there is of a node on this machine.
#[derive(Debug)]
struct Remains {
    keeper: u32,
    init: u32,
}

impl Remains {
    fn are_gone(&self) -> bool {
        let runs = |pid: u32| Path::new("/proc").join(pid.to_string()).join("exe").exists();
        let group =
            cgroups().map(|groups| format!("{}/regtrust-lab-{}-", groups.display(), self.keeper));
        let group_exists = group.is_some_and(|prefix| {
            let groups = std::fs::read_dir(Path::new(&prefix).parent().unwrap()).unwrap();
            groups.flatten().any(|entry| entry.path().to_string_lossy().starts_with(&prefix))
        });
        !runs(self.keeper) && !runs(self.init) && !group_exists
    }
}

/// Where the unified tree of control groups is mounted on this machine, if it is.
fn cgroups() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let unified = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
    unified.split(' ').nth(1).map(PathBuf::from)
}

fn mounts_of_the_lab() -> usize {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().filter(|line| line.contains("regtrust-lab")).count()
}

fn a_node_is_gone_when_it_is_powered_off() {
    let node = Node::boot(Suite::Trixie, Outfit::Packaged);
    let remains = Remains { keeper: node.keeper(), init: node.init() };
    assert!(!remains.are_gone());
    node.power_off();
    assert!(remains.are_gone(), "{remains:?}");
    assert_eq!(mounts_of_the_lab(), 0);
}

/// This program once more. A shell starts what it puts in the background with SIGINT ignored, and
/// that is inherited: the tests would then wait for ever for an end that Ctrl-C brings.
pub(crate) fn myself(argument: &str) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=INT,TERM").arg(std::env::current_exe().unwrap()).arg(argument);
    command
}

fn a_node_is_gone_whatever_kills_its_test() {
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM] {
        let mut test = myself(HOLD).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(test.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (keeper, init) = line.trim().split_once(' ').unwrap();
        let remains = Remains { keeper: keeper.parse().unwrap(), init: init.parse().unwrap() };
        assert!(!remains.are_gone());

        kill(Pid::from_raw(test.id().cast_signed()), signal).unwrap();
        assert!(!test.wait().unwrap().success());
        eventually("nothing is left", || remains.are_gone().then_some(()));
        assert_eq!(mounts_of_the_lab(), 0, "{signal}");
    }
}

fn what_hangs_on_a_node_is_ended_with_all_that_it_started(node: &Node) {
    let hanging = ["sh", "-c", "sleep 54321 & sleep 54321"];
    let ends = AssertUnwindSafe(|| node.run_with(hanging, &[], Duration::from_secs(1)));
    assert!(catch_unwind(ends).is_err(), "nobody is told");
    assert_eq!(node.run(["pgrep", "--full", "sleep 54321"]).code, 1, "it runs on");
    let nothing = node.run(["no-such-program"]);
    assert_eq!((nothing.code, nothing.stdout), (127, String::new()));
}

fn files_go_where_the_nodes_links_say_and_replace_what_was_there(node: &Node) {
    node.sh("mkdir /srv/here; ln -s /srv/here /srv/there; echo before >/srv/here/file; \
         ln /srv/here/file /srv/twin; ln -s /etc/passwd /srv/here/link");
    for name in ["file", "link", "new/directories/file"] {
        node.write(&format!("/srv/there/{name}"), "after");
        assert_eq!(node.read(&format!("/srv/here/{name}")).as_deref(), Some("after"));
    }
    assert!(!Path::new("/srv/here").exists(), "this machine's directory was meant");
    assert_eq!(node.read("/srv/twin").as_deref(), Some("before\n"));
    assert!(node.read("/etc/passwd").is_some_and(|text| text.starts_with("root:")));
    assert_eq!(node.sh("stat --format=%a:%U /srv/here/file"), "644:root\n");
    assert!(!node.exists("/srv/there/nothing") && node.read("/srv/there").is_none());
}
