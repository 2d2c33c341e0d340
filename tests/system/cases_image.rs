//! The container image on a node, with exactly the rights that the manifests give its pod: from nothing
//! to a registry that is trusted, and back to nothing.
//!
//! Two things are not as on somebody's node. The pod's network reaches nobody, as the manifests' own policy
//! has it; and `SELinux` and `AppArmor`, which the manifests ask for by name, are in no kernel of the lab.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::case::{Case, case};
use crate::lab::etc::{difference, etc};
use crate::lab::kubelet::{Agent, By};
use crate::lab::manifest::Manifest;
use crate::lab::wait::eventually;
use crate::lab::{Authority, Declaration, Node, Puller, Setup, Suite, UNKNOWN, Witness, pods};

pub(crate) const CASES: &[Case] = &[
    case!(Fresh the_daemon_set_comes_and_goes_in_docker),
    case!(Fresh the_daemon_set_comes_and_goes_in_containerd),
    case!(Fresh the_daemon_set_for_containerd_alone_needs_nothing_of_docker).on(&[Suite::Trixie]),
];

const PORT: u16 = 8443;
/// Long enough to see it before it restarts its own runtime.
const SETTINGS: &str = "[restart]\ngather = \"5s\"\nsoak = \"0s\"\n";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The image of the programs that are tested, built once for all cases by the script that builds the
/// released one.
fn image() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let script = project().join("packaging/image/build.sh");
        let output = Command::new(script).env("PROFILE", "dev").output().expect("it starts");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no image:\n{words}");
        let said = String::from_utf8(output.stdout).expect("text");
        project().join(said.split_whitespace().last().expect("where it is"))
    })
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory in which somebody writes an overlay as docs/kubernetes.md says.
struct Desk {
    place: PathBuf,
}

impl Desk {
    fn new(node: &Node, what: &str) -> Self {
        let name = format!("overlay-{}-{what}", node.suite);
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir_all(&place).expect("a directory");
        std::os::unix::fs::symlink(project(), place.join("regtrust")).expect("a checkout");
        Self { place }
    }

    fn put(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.place.join(name), text).expect("a file");
        self
    }

    fn manifest(&self) -> Manifest {
        Manifest::of(&self.place)
    }
}

/// A file that docs/kubernetes.md shows, by its name in the first line.
fn shown(name: &str) -> String {
    let text = std::fs::read_to_string(project().join("docs/kubernetes.md")).expect("a page");
    let mut lines = text.lines().skip_while(|line| {
        !line.trim().strip_prefix("# ").is_some_and(|rest| rest.starts_with(name))
    });
    let first = lines.next().expect("it is shown");
    let indent = first.len() - first.trim_start().len();
    let block = lines.take_while(|line| line.trim() != "```");
    let lines: Vec<&str> = block.map(|line| line.get(indent..).unwrap_or_default()).collect();
    lines.join("\n") + "\n"
}

/// What both of somebody's overlays have beside what the documentation shows.
const OF_THEIR_OWN: &str = "
  - name: regtrust-settings
    behavior: replace
    files:
      - regtrustd.toml
components:
  - regtrust/packaging/kubernetes/components/system-store-debian
";

const UNINSTALL: &str = "
resources:
  - regtrust/packaging/kubernetes/overlays/uninstall
namespace: regtrust-system
images:
  - name: localhost/regtrust
    newName: registry.example/regtrust
configMapGenerator:
";

impl By {
    /// In docker the CA is for the whole machine, so that docker itself has to be restarted for it; for
    /// containerd it is enough that it is to look for registries for the first time.
    fn more(self) -> &'static str {
        match self {
            Self::Docker => "system_store = true\n",
            Self::Containerd => "",
        }
    }
}

fn the_daemon_set_comes_and_goes_in_docker(node: &Node) {
    node.sh(&format!(
        "docker load --quiet --input {archive} && docker tag localhost/regtrust:{VERSION} {name}",
        archive = bring_image(node),
        name = name(),
    ));
    comes_and_goes(node, By::Docker);
}

fn the_daemon_set_comes_and_goes_in_containerd(node: &Node) {
    give_to_containerd(node);
    comes_and_goes(node, By::Containerd);
}

/// The overlay that most clusters want.
fn the_daemon_set_for_containerd_alone_needs_nothing_of_docker(node: &Node) {
    give_to_containerd(node);
    let authority = Authority::new("corp");
    let host = Node::harbor();
    let secure = Setup::tls(authority.server(&[&host.name])).at(&host).on_port(PORT).start(node);
    let image = secure.image("app");
    write_kubelet(node);
    node.remove("/usr/lib/systemd/system/docker.service /usr/lib/systemd/system/docker.socket");
    node.remove("/usr/sbin/dockerd /etc/docker");
    node.sh("systemctl daemon-reload");
    let invocation = || node.sh("systemctl show --property=InvocationID containerd");
    let before = invocation();
    let overlay = shown("kustomization.yaml")
        .replace("overlays/docker   # or overlays/containerd", "overlays/containerd");
    assert!(overlay.contains("overlays/containerd\n"), "{overlay}");
    let desk = Desk::new(node, "containerd-alone");
    desk.put("kustomization.yaml", &(overlay + OF_THEIR_OWN))
        .put("regtrustd.toml", SETTINGS)
        .put("harbor-ca.pem", &authority.root)
        .put("registries.toml", &shown("registries.toml").replace("harbor.corp", "harbor.lab"));
    let agent = Agent::start(node, By::Containerd, &desk.manifest());
    // Which the lab has needed for that image.
    node.sh("systemctl stop docker.socket docker 2>&1");
    agent.until("everything is in force", || {
        agent.regtrust(&["status"]).is_ok_and(|output| output.code == 0)
    });
    Puller::Containerd.works(node, &image);
    assert_ne!(invocation(), before, "restarted by its host's systemd");
    assert!(!node.exists("/etc/docker"));
    agent.stop();
}

fn give_to_containerd(node: &Node) {
    pods::give_networks(node);
    pods::allow(node);
    node.sh(&format!(
        "ctr --namespace k8s.io images import {archive} >/dev/null && \
         ctr --namespace k8s.io images tag localhost/regtrust:{VERSION} {name} >/dev/null",
        archive = bring_image(node),
        name = name(),
    ));
}

/// As the documentation names it, once it has been pushed somewhere.
fn name() -> String {
    format!("registry.example/regtrust:{VERSION}")
}

fn bring_image(node: &Node) -> &'static str {
    const THERE: &str = "/root/regtrust.tar";
    node.bring(image(), THERE);
    THERE
}

fn comes_and_goes(node: &Node, by: By) {
    let authority = Authority::new("corp");
    let host = Node::harbor();
    let secure = Setup::tls(authority.server(&[&host.name])).at(&host).on_port(PORT).start(node);
    let plain = Setup::plain().start(node);
    let (image, plain_image) = (secure.image("app"), plain.image("app"));
    // Nothing of regtrust is here but its image.
    node.remove("/usr/bin/regtrust");
    write_kubelet(node);
    let before = etc(node);
    for puller in [Puller::Docker, Puller::Containerd] {
        puller.fails(node, &image, UNKNOWN);
    }

    let harbor = shown("registries.toml").replace("harbor.corp", "harbor.lab") + by.more();
    let desk = Desk::new(node, &format!("{by:?}"));
    desk.put("kustomization.yaml", &(shown("kustomization.yaml") + OF_THEIR_OWN))
        .put("regtrustd.toml", SETTINGS)
        .put("harbor-ca.pem", &authority.root)
        .put("registries.toml", &harbor);
    let agent = Agent::start(node, by, &desk.manifest());
    trusts_by_restarts_of_the_host(node, by, &agent);
    for puller in [Puller::Docker, Puller::Containerd] {
        puller.works(node, &image);
    }

    // Somebody edits the ConfigMap.
    let witness = Witness::of(node);
    Puller::Docker.fails(node, &plain_image, "HTTP response to HTTPS client");
    let both = Declaration::of(&plain.name(), "insecure").to_string() + &harbor;
    agent.configure(&desk.put("registries.toml", &both).manifest());
    eventually("the plain one is trusted", || Puller::Docker.pull(node, &plain_image).ok());
    let after = Witness::of(node);
    assert_eq!((after.docker.pid, after.containerd), (witness.docker.pid, witness.containerd));
    assert_eq!(after.docker.hangups, witness.docker.hangups + 1, "one reload");

    a_second_one_is_sent_away(node);
    assert!(agent.is_alive());

    agent.stop();
    let agent = Agent::start(
        node,
        by,
        &desk.put("kustomization.yaml", &(UNINSTALL.to_owned() + OF_THEIR_OWN)).manifest(),
    );
    agent.until("it has started", || agent.has_started());
    // Else it would wait until the last restart is half a minute ago. Its own runtime is among them.
    agent.until("its node is done", || {
        let is_ready = agent.is_ready();
        _ = (!is_ready).then(|| agent.regtrust(&["restart", "--yes"]));
        is_ready
    });
    agent.stop();
    Puller::Docker.fails(node, &plain_image, "HTTP response to HTTPS client");
    for puller in [Puller::Docker, Puller::Containerd] {
        puller.fails(node, &image, UNKNOWN);
    }
    // Where the node's own policy would be; kubelet makes what is mounted, and removes nothing.
    assert_eq!(difference(&before, &etc(node)), ["+ ./regtrust d 755 root root "]);
    assert_eq!(node.sh("find /usr/local/share -name 'regtrust*'"), "");
}

/// Who would start the pod, and pull through containerd.
fn write_kubelet(node: &Node) {
    let unit = "[Service]\nExecStart=/usr/bin/kubelet\n";
    node.write("/usr/lib/systemd/system/kubelet.service", unit);
}

/// The host's systemd runs the CA tool, and restarts the runtimes: its own one is always among them.
fn trusts_by_restarts_of_the_host(node: &Node, by: By, agent: &Agent<'_>) {
    let before = Witness::of(node);
    agent.until("it has started", || agent.has_started());
    let process = agent.process();
    agent.until("everything is in force", || {
        agent.regtrust(&["status"]).is_ok_and(|output| output.code == 0)
    });
    assert!(agent.is_alive() && agent.is_ready());
    let after = Witness::of(node);
    assert_ne!(after.containerd.invocation, before.containerd.invocation);
    let is_in_docker = by == By::Docker;
    assert_eq!(after.docker.invocation != before.docker.invocation, is_in_docker);
    for (effect, times) in [
        ("restart containerd", 1),
        ("restart docker", usize::from(is_in_docker)),
        ("rebuild the system CA store", usize::from(is_in_docker)),
    ] {
        assert_eq!(begun(&agent.log(), effect), times, "{effect}: {}", agent.log());
    }
    // docker has ended it and started it again. containerd let it run.
    assert_eq!(agent.process() != process, is_in_docker);
    is_confined(node, agent.process());
}

/// How often an effect has begun, by the log.
fn begun(log: &str, effect: &str) -> usize {
    log.lines().filter(|line| line.contains("begins") && line.contains(effect)).count()
}

/// The kernel's word for it.
fn is_confined(node: &Node, process: u32) {
    let status = node.read(&format!("/proc/{process}/status")).expect("a process");
    let says = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().to_owned()
    };
    // CHOWN, DAC_OVERRIDE and FOWNER.
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(says(set), "000000000000000b", "{set}");
    }
    assert_eq!((&*says("NoNewPrivs:"), &*says("Seccomp:")), ("1", "2"));
    let namespaces = ["mnt", "net", "pid", "ipc", "uts"];
    for namespace in namespaces {
        let links =
            node.sh(&format!("readlink /proc/1/ns/{namespace} /proc/{process}/ns/{namespace}"));
        let [nodes, its] = links.lines().collect::<Vec<_>>()[..] else { panic!("{links}") };
        assert_ne!(nodes, its);
    }
    let touch = node.run(["touch", &format!("/proc/{process}/root/regtrust-was-here")]);
    assert!(touch.stderr.contains("Read-only file system"), "{}", touch.stderr);
}

/// Somebody runs it on the node as well.
fn a_second_one_is_sent_away(node: &Node) {
    let program = "/root/regtrustd";
    node.bring(Path::new(env!("CARGO_BIN_EXE_regtrustd")), program);
    let second = node.run([program]);
    assert_eq!(second.code, 75, "{}", second.stderr);
    assert!(second.stderr.contains("is at work on this node"), "{}", second.stderr);
}
