//! The lab itself: nothing of a node stays behind, however its test ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::case::{Case, case};
use crate::lab::wait::eventually;
use crate::lab::{Node, Outfit, Suite};

pub(crate) const CASES: &[Case] = &[
    case!(Alone a_node_is_gone_when_it_is_powered_off).on(&[Suite::Trixie]),
    case!(Alone a_node_is_gone_whatever_kills_its_test).on(&[Suite::Trixie]),
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
