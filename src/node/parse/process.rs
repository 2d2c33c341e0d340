//! What procfs says about a process. Pure.

use jiff::{SignedDuration, Timestamp};

/// `USER_HZ`: what procfs counts time in on every architecture that containers run on, whatever the
/// kernel's own tick is.
const TICKS_PER_SECOND: i64 = 100;

/// From `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat<'a> {
    /// At most 15 bytes, and anything a process wants it to be.
    pub name: &'a str,
    /// Who has started it, or has taken it over from who did.
    pub parent: u32,
    /// It has ended, and its parent has not noticed.
    pub is_dead: bool,
    /// When it started, in ticks since boot.
    pub started: i64,
}

/// Reads `/proc/PID/stat`. The name may hold spaces and parentheses, so it ends at the last one.
pub fn stat(text: &str) -> Option<Stat<'_>> {
    let (before, after) = text.rsplit_once(')')?;
    let (_pid, name) = before.split_once('(')?;
    let mut fields = after.split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    // Field 22 of the manual; the first one left is the fifth.
    let started = fields.nth(22 - 5)?.parse().ok()?;
    Some(Stat { name, parent, is_dead, started })
}

/// When the machine booted, from `/proc/stat`.
pub fn boot(text: &str) -> Option<Timestamp> {
    let seconds = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    Timestamp::from_second(seconds.trim().parse().ok()?).ok()
}

/// When a process started, by the clock as it is set *now*.
///
/// The kernel keeps the start as time since boot, and works `btime` out anew from today's clock. So
/// if the clock was stepped after a file was changed, the two cannot be compared to better than
/// that step. `btime` has whole seconds: the result is up to a second early, never late, so a
/// change in that second counts as not loaded.
pub fn started(boot: Timestamp, ticks: i64) -> Option<Timestamp> {
    boot.checked_add(SignedDuration::from_millis(ticks.checked_mul(1000 / TICKS_PER_SECOND)?)).ok()
}

/// Where a process belongs, by its control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the service asked for.
    Service,
    /// In another service, a session, or a container.
    Elsewhere,
    /// It cannot be told: no systemd, or no control group of its own.
    Unclear,
}

/// Whether a process runs in the node's own `service`, from its `/proc/PID/cgroup` and that of
/// process 1.
///
/// A node in a container (kind) has a `containerd.service` too, in the same tree of groups as the
/// host's; what lies between the root's group and the service must be nothing but slices.
pub fn place(cgroup: &str, init_cgroup: &str, service: &str) -> Place {
    let hierarchy = Hierarchy::of_systemd(init_cgroup);
    let (Some(path), Some(init)) = (hierarchy.group(cgroup), hierarchy.group(init_cgroup)) else {
        return Place::Unclear;
    };
    let root = init.strip_suffix("/init.scope").unwrap_or(init).trim_end_matches('/');
    let Some(below) = below(path, root) else { return Place::Elsewhere };
    let mut parts = below.split('/').filter(|part| !part.is_empty() && *part != "..");
    match parts.find(|part| !is_a(part, ".slice")) {
        Some(part) if part == service => Place::Service,
        Some(part) if is_a(part, ".service") || is_a(part, ".scope") || container(part) => {
            Place::Elsewhere
        }
        _ => Place::Unclear,
    }
}

/// Whether a process runs in a container of this node, from its `/proc/PID/cgroup` and that of
/// process 1: a node may be a container itself, and what it runs is its own.
pub fn is_contained(cgroup: &str, init_cgroup: &str) -> bool {
    let hierarchy = Hierarchy::of_systemd(init_cgroup);
    let (Some(path), Some(init)) = (hierarchy.group(cgroup), hierarchy.group(init_cgroup)) else {
        return false;
    };
    let root = init.strip_suffix("/init.scope").unwrap_or(init).trim_end_matches('/');
    let below = path.strip_prefix(root).unwrap_or(path);
    let manager = |part: &str| {
        // Their managers have groups with the same beginning.
        is_a(part, ".service") || is_a(part, ".socket")
    };
    below.split('/').any(|part| container(part) && !manager(part))
}

/// The user whose own systemd has started a process, as rootless docker is: from its `/proc/PID/cgroup`.
pub fn user_of(cgroup: &str) -> Option<u32> {
    let mut units = cgroup.lines().flat_map(|line| line.split('/'));
    units.find_map(|unit| unit.strip_prefix("user@")?.strip_suffix(".service")?.parse().ok())
}

/// A tree of control groups in which systemd may keep its units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hierarchy {
    /// Version 1's, without a controller.
    Named,
    Unified,
}

impl Hierarchy {
    /// The one where systemd has put itself. A node in a container can show both and use only the
    /// unified one, while the kernel still lists the other for the sake of the machine around it.
    fn of_systemd(init_cgroup: &str) -> Self {
        let is_managed = |hierarchy: &Self| {
            hierarchy.group(init_cgroup).is_some_and(|path| path.ends_with("/init.scope"))
        };
        let exists = |hierarchy: &Self| hierarchy.group(init_cgroup).is_some();
        let both = [Self::Named, Self::Unified];
        both.into_iter()
            .find(is_managed)
            .or_else(|| both.into_iter().find(exists))
            .unwrap_or(Self::Unified)
    }

    fn group(self, cgroup: &str) -> Option<&str> {
        let separator = match self {
            Self::Named => ":name=systemd:",
            Self::Unified => "0::",
        };
        cgroup.lines().find_map(|line| line.split_once(separator)).map(|(_, path)| path)
    }
}

/// What a path has below the root's group.
///
/// A container sees its own group as `/` and others from there, by as many `..` as lead to what both
/// have in common: where it is itself in `system.slice`, a service is `/../x.service` and the root
/// `/../..`. What such a path leaves out are groups that the container is in as well.
fn below<'p>(path: &'p str, root: &str) -> Option<&'p str> {
    let under = path.strip_prefix(root).filter(|below| below.starts_with('/'));
    let is_above = root.starts_with('/') && root.split('/').skip(1).all(|part| part == "..");
    under.or_else(|| (is_above && path.starts_with("/../")).then_some(path))
}

fn is_a(unit: &str, kind: &str) -> bool {
    unit.ends_with(kind)
}

fn container(part: &str) -> bool {
    ["docker", "kubepods", "lxc", "libpod", "machine"].iter().any(|name| part.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_past_whatever_the_name_holds() {
        let rest = "S 1 812 812 0 -1 1077936384 9011 0 72 0 218 140 0 0 20 0 11 0 4567 1921228800";
        for (line, name) in [
            (format!("812 (dockerd) {rest}"), "dockerd"),
            (format!("812 (a) b (c) {rest}"), "a) b (c"),
        ] {
            assert_eq!(
                stat(&line),
                Some(Stat { name, parent: 1, is_dead: false, started: 4567 }),
                "{line}"
            );
        }
        for line in ["", "812", "812 (dockerd)", "812 (dockerd) S 1", ")("] {
            assert_eq!(stat(line), None, "{line}");
        }
    }

    #[test]
    fn a_start_is_the_boot_and_the_ticks_since() {
        let boot = boot("cpu  1 2 3\nctxt 99\nbtime 1700000000\nprocesses 5\n").unwrap();
        let start = started(boot, 4567).unwrap();
        assert_eq!(start.as_millisecond(), 1_700_000_045_670);
        assert_eq!(super::boot("cpu 1 2 3\n"), None);
        assert_eq!(started(boot, i64::MAX), None);
    }

    #[test]
    fn a_container_of_the_node_is_not_the_node() {
        for (cgroup, init, expected) in [
            ("0::/system.slice/docker-4f.scope\n", "0::/init.scope\n", true),
            ("0::/docker/4f\n", "0::/init.scope\n", true),
            ("0::/kubepods.slice/kubepods-pod1.slice/x.scope\n", "0::/init.scope\n", true),
            ("1:name=systemd:/kubepods/pod1/4f\n", "1:name=systemd:/init.scope\n", true),
            ("0::/system.slice/runner.service\n", "0::/init.scope\n", false),
            ("0::/system.slice/docker.service\n", "0::/init.scope\n", false),
            ("0::/docker/4f/system.slice/runner.service\n", "0::/docker/4f/init.scope\n", false),
            ("0::/docker/4f/docker/5a\n", "0::/docker/4f/init.scope\n", true),
            ("0::/user.slice/user-0.slice/session-1.scope\n", "0::/init.scope\n", false),
            ("", "0::/init.scope\n", false),
        ] {
            assert_eq!(is_contained(cgroup, init), expected, "{cgroup} {init}");
        }
    }

    #[test]
    fn only_the_nodes_own_service_counts() {
        const HOST: &str = "0::/init.scope\n";
        const V1: &str = "3:cpu:/\n1:name=systemd:/init.scope\n0::/init.scope\n";
        const V2_IN_V1: &str = "9:name=systemd:/\n3:cpu:/\n0::/init.scope\n";
        const FROM_CONTAINER: &str = "0::/../../init.scope\n";
        const KIND: &str = "0::/docker/4f/init.scope\n";
        for (cgroup, init, expected) in [
            ("0::/system.slice/containerd.service\n", HOST, Place::Service),
            ("0::/runtime.slice/containerd.service\n", HOST, Place::Service),
            ("0::/../../system.slice/containerd.service\n", HOST, Place::Service),
            ("5:cpu:/x\n1:name=systemd:/system.slice/containerd.service\n", V1, Place::Service),
            ("9:name=systemd:/\n0::/system.slice/containerd.service\n", V2_IN_V1, Place::Service),
            ("9:name=systemd:/\n0::/system.slice/docker.service\n", V2_IN_V1, Place::Elsewhere),
            ("0::/../containerd.service\n", FROM_CONTAINER, Place::Service),
            ("0::/../../runtime.slice/containerd.service\n", FROM_CONTAINER, Place::Service),
            ("0::/../docker.service\n", FROM_CONTAINER, Place::Elsewhere),
            ("0::/../docker-4f.scope/containerd.service\n", FROM_CONTAINER, Place::Elsewhere),
            ("0::/containerd.service\n", FROM_CONTAINER, Place::Elsewhere),
            ("0::/docker/4f/system.slice/containerd.service\n", KIND, Place::Service),
            ("0::/docker/4f/system.slice/containerd.service\n", HOST, Place::Elsewhere),
            ("0::/system.slice/containerd.service\n", KIND, Place::Elsewhere),
            ("0::/system.slice/k3s.service\n", HOST, Place::Elsewhere),
            ("0::/system.slice/docker.service\n", HOST, Place::Elsewhere),
            (
                "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-4f.scope/containerd.service",
                HOST,
                Place::Elsewhere,
            ),
            ("0::/kubepods/burstable/pod1/4f\n", HOST, Place::Elsewhere),
            ("0::/\n", HOST, Place::Unclear),
            ("0::/openrc.containerd\n", "0::/\n", Place::Unclear),
            ("", HOST, Place::Unclear),
        ] {
            assert_eq!(place(cgroup, init, "containerd.service"), expected, "{cgroup} {init}");
        }
    }
}
