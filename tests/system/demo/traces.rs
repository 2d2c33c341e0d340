//! What a node leaves on the machine that it ran on: nothing, or this.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use super::MARK;

/// Everything that could stay behind and has no owner of its own. Namespaces need no list: they live
/// as long as a process or a mount of theirs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Traces {
    mounts: BTreeSet<String>,
    /// Named ones.
    networks: BTreeSet<String>,
}

impl Traces {
    pub(super) fn on_this_machine() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        Self {
            mounts: mounts.lines().map(str::to_owned).collect(),
            networks: names(Path::new("/run/netns")).collect(),
        }
    }

    /// What `story` has left, in words. It is given time to go: the kernel tells nobody when the
    /// last process of a node is gone.
    pub(super) fn left_by(&self, story: &Child, patience: Duration) -> Option<String> {
        let began = Instant::now();
        loop {
            let left = self.left_now(story.id());
            if left.is_none() || began.elapsed() > patience {
                return left;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn left_now(&self, story: u32) -> Option<String> {
        let now = Self::on_this_machine();
        let lab = |mount: &&String| mount.contains("regtrust-lab");
        let mut left: Vec<String> = now
            .mounts
            .difference(&self.mounts)
            .filter(lab)
            .map(|mount| format!("mount {mount}"))
            .collect();
        left.extend(now.networks.difference(&self.networks).map(|name| format!("network {name}")));
        left.extend(processes(story).map(|process| format!("process {process}")));
        left.extend(groups(story).map(|group| format!("control group {group}")));
        (!left.is_empty()).then(|| left.join(", "))
    }
}

/// Those that the inner process started on this machine have its mark; those of the node are in the
/// node's control group.
fn processes(story: u32) -> impl Iterator<Item = String> {
    let mark = format!("{MARK}={}", std::process::id());
    let of_node = format!("-{story}-");
    let is_process = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    names(Path::new("/proc")).filter(is_process).filter(move |pid| {
        let process = Path::new("/proc").join(pid);
        // One that has just ended is none that is left.
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        let group = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        let is_marked = environment.split(|byte| *byte == 0).any(|line| line == mark.as_bytes());
        is_marked
            || group.lines().any(|line| line.contains("regtrust-lab-") && line.contains(&of_node))
    })
}

/// Groups can only be seen where the machine itself has the unified tree mounted.
fn groups(story: u32) -> impl Iterator<Item = String> {
    let of_node = format!("-{story}-");
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .flat_map(|tree| names(Path::new(tree)))
        .filter(move |name| name.starts_with("regtrust-lab-") && name.contains(&of_node))
}

fn names(directory: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}
