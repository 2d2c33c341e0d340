//! What kubelet does with a pod of the DaemonSet on this node: its volumes, and its one container.

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;

use self::containerd::Containerd;
use self::docker::Docker;
use super::archive::Member;
use super::manifest::{Manifest, Mount, Volume};
use super::node::{Node, Output};
use super::wait::eventually;

mod containerd;
mod docker;

/// Where kubelet keeps the volumes of pods that are none of the node's directories.
const VOLUMES: &str = "/var/lib/kubelet/pods/regtrust/volumes";

/// Who runs the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// docker, which starts it again when it has ended.
    Docker,
    /// containerd, asked over CRI.
    Containerd,
}

/// A directory or file of the node, as the container sees it.
#[derive(Clone, Debug)]
struct Bind {
    from: String,
    to: String,
    read_only: bool,
    follows: bool,
}

/// The pod, until it is stopped.
pub(crate) struct Agent<'n> {
    node: &'n Node,
    manifest: Manifest,
    running: Running<'n>,
}

enum Running<'n> {
    Docker(Docker<'n>),
    Containerd(Containerd<'n>),
}

impl<'n> Agent<'n> {
    pub(crate) fn start(node: &'n Node, by: By, manifest: &Manifest) -> Self {
        configure(node, manifest);
        let binds = binds(node, manifest);
        let running = match by {
            By::Docker => Running::Docker(Docker::run(node, manifest, &binds)),
            By::Containerd => Running::Containerd(Containerd::run(node, manifest, binds)),
        };
        Self { node, manifest: manifest.clone(), running }
    }

    /// Whether the probe that kubelet asks before all others is satisfied.
    pub(crate) fn has_started(&self) -> bool {
        self.is_satisfied(self.manifest.container().startup_probe.command())
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.is_satisfied(self.manifest.container().liveness_probe.command())
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_satisfied(self.manifest.container().readiness_probe.command())
    }

    fn is_satisfied(&self, probe: &[String]) -> bool {
        self.exec(probe).is_ok_and(|output| output.code == 0)
    }

    /// `kubectl exec … -- /regtrust --host-root=/host …`, as the documentation says.
    pub(crate) fn regtrust(&self, arguments: &[&str]) -> Result<Output, String> {
        let command = ["/regtrust", "--host-root=/host"];
        let command = command.iter().chain(arguments).map(|word| (*word).to_owned());
        self.exec(&command.collect::<Vec<_>>())
    }

    /// An error is the runtime's own words, such as that the container does not run.
    fn exec(&self, command: &[String]) -> Result<Output, String> {
        match &self.running {
            Running::Docker(docker) => docker.exec(command),
            Running::Containerd(containerd) => containerd.exec(command),
        }
    }

    /// Waits until something is so; when it never is, what the container says of it is shown.
    pub(crate) fn until(&self, what: &str, is: impl Fn() -> bool) {
        let waited = AssertUnwindSafe(|| eventually(what, || is().then_some(())));
        let has_come = std::panic::catch_unwind(waited).is_ok();
        assert!(has_come, "never: {what}. {:#?}\n{}", self.regtrust(&["status"]), self.log());
    }

    /// Its process, as the node numbers it.
    pub(crate) fn process(&self) -> u32 {
        match &self.running {
            Running::Docker(docker) => docker.process(),
            Running::Containerd(containerd) => containerd.process(),
        }
    }

    /// What it has said, in all its lives.
    pub(crate) fn log(&self) -> String {
        match &self.running {
            Running::Docker(docker) => docker.log(),
            Running::Containerd(containerd) => containerd.log(),
        }
    }

    /// Other content of each `ConfigMap`, which the container sees without a restart.
    pub(crate) fn configure(&self, manifest: &Manifest) {
        configure(self.node, manifest);
    }

    /// The end of the pod.
    pub(crate) fn stop(self) {
        let grace = self.manifest.grace();
        match self.running {
            Running::Docker(docker) => docker.stop(grace),
            Running::Containerd(containerd) => containerd.stop(grace),
        }
        self.node.remove(VOLUMES);
    }
}

/// Where each volume is on the node, made where kubelet makes it and missed where it does not.
fn binds(node: &Node, manifest: &Manifest) -> Vec<Bind> {
    let mounts = &manifest.container().volume_mounts;
    let bind = |mount: &Mount| Bind {
        from: place(node, manifest.volume(&mount.name)),
        to: mount.at.clone(),
        read_only: mount.read_only,
        follows: mount.follows_the_node(),
    };
    mounts.iter().map(bind).collect()
}

fn place(node: &Node, volume: &Volume) -> String {
    let Some(path) = &volume.host_path else { return format!("{VOLUMES}/{}", volume.name) };
    match path.kind.as_str() {
        "DirectoryOrCreate" => node.sh(&format!("mkdir -p {}", path.path)),
        "Directory" => node.sh(&format!("test -d {}", path.path)),
        "File" => node.sh(&format!("test -f {}", path.path)),
        other => panic!("what is a {other}?"),
    };
    path.path.clone()
}

/// Writes each `ConfigMap` as kubelet does: into a new directory, to which one link is then turned, so that
/// nobody ever sees half of the old and half of the new.
fn configure(node: &Node, manifest: &Manifest) {
    let mut script = String::new();
    for volume in &manifest.pod.volumes {
        let place = format!("{VOLUMES}/{}", volume.name);
        if volume.is_empty() {
            _ = writeln!(script, "mkdir -p {place}");
        }
        let Some(map) = &volume.config_map else { continue };
        let data = &manifest.maps[&map.name];
        let files = data.iter().map(|(name, text)| (format!("{place}/..new/{name}"), text));
        let files: Vec<(String, &String)> = files.collect();
        let members = files.iter().map(|(path, text)| Member::file(path, 0o644, text.as_bytes()));
        node.unpack(&members.collect::<Vec<_>>());
        _ = writeln!(
            script,
            "cd {place}; old=$(readlink ..data || true); now=..$(date +%s.%N)
             mv ..new $now; ln -s $now ..data_tmp; mv -T ..data_tmp ..data
             for name in $(ls ..data); do [ -L $name ] || ln -s ..data/$name $name; done
             [ -z \"$old\" ] || rm -r $old
             for name in *; do [ -e $name ] || rm $name; done"
        );
    }
    node.sh(&script);
}
