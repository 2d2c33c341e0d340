//! What is shown. Every step also checks what it claims: if it is not so, the demo fails.

use std::time::Instant;

use super::SUITE;
use super::stage::{Stage, says, tell};
use crate::lab::archive::Member;
use crate::lab::registry::Registry;
use crate::lab::{Authority, Node, Outfit, Setup, Witness, cri};

const IMAGE: &str = "harbor.lab/team/app:1";

const DECLARATION: &str = r#"[[registry]]
host = "harbor.lab"
trust = "ca"
ca_file = "harbor-ca.pem"
"#;

const DECLARATIONS: &str = "/etc/regtrust/registries.d";

pub(super) fn perform(stage: &mut Stage) {
    let node = boot(stage);
    let authority = Authority::new("Corp");
    let _registry = registry(&node, &authority);
    let before = Sight::of(&node);

    stage.chapter("Two pulls that fail");
    tell("harbor.lab has a certificate of the company's own authority. Nobody here knows it.");
    assert_ne!(stage.types(&node, &format!("docker pull {IMAGE}")).code, 0);
    let words = kubelet_pulls(stage, &node).expect_err("nothing is trusted yet");
    assert!(words.contains("x509"), "{words}");

    declare(stage, &node, &authority);
    apply(stage, &node);

    stage.chapter("The same pulls");
    assert_eq!(stage.types(&node, &format!("docker pull {IMAGE}")).code, 0);
    kubelet_pulls(stage, &node).expect("containerd trusts it now");

    let with = Sight::of(&node);
    stage.chapter("The container that was running all the time");
    customer(stage, &node);
    assert_eq!(with.witness.containers, before.witness.containers, "it is the same process");
    assert_eq!(with.witness.docker, before.witness.docker, "dockerd was left alone");
    tell(
        "The same process as before. dockerd was neither restarted nor reloaded: it reads certs.d \
         at every pull.",
    );
    withdraw(stage, &node, &before, &with);
}

fn boot(stage: &mut Stage) -> Node {
    let began = Instant::now();
    stage.chapter("A node");
    let node = Node::boot(SUITE, Outfit::Packaged);
    let took = began.elapsed().as_secs_f64();
    // A kubelet's node, so that containerd's CRI matters, but one that nobody has prepared.
    node.write("/var/lib/kubelet/config.yaml", "");
    let systemd = node.sh("systemctl --version | head -n 1");
    let docker = node.sh("docker version --format '{{.Server.Version}}'");
    let containerd = node.sh("containerd --version | awk '{ print $3 }'");
    tell(&format!(
        "Debian {SUITE} with {}, docker {} and containerd {}, booted in {took:.1} s. A customer's \
         container runs on it:",
        systemd.trim(),
        docker.trim(),
        containerd.trim()
    ));
    node.start_container("customer");
    customer(stage, &node);
    node
}

fn customer(stage: &Stage, node: &Node) {
    let format = "'{{.Name}}: process {{.State.Pid}}, since {{.State.StartedAt}}'";
    stage.types(node, &format!("docker inspect --format {format} customer"));
}

fn registry<'n>(node: &'n Node, authority: &Authority) -> Registry<'n> {
    let host = Node::harbor();
    let registry = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    node.store_image("team/app", "");
    registry
}

/// There is no command for what kubelet does, so this speaks to containerd as kubelet would.
fn kubelet_pulls(stage: &Stage, node: &Node) -> Result<String, String> {
    tell("And as kubelet does it, through containerd's CRI:");
    stage.prompt(&format!("(kubelet) PullImage {IMAGE}"));
    cri::remove(node, IMAGE);
    let pulled = cri::pull(node, IMAGE);
    match &pulled {
        Ok(image) => says(&format!("image {image}")),
        Err(words) => says(words),
    }
    pulled
}

fn declare(stage: &mut Stage, node: &Node, authority: &Authority) {
    stage.chapter("The declaration");
    let [toml, pem] = ["harbor.toml", "harbor-ca.pem"].map(|name| format!("{DECLARATIONS}/{name}"));
    node.unpack(&[
        Member::file(&toml, 0o644, DECLARATION.as_bytes()),
        Member::file(&pem, 0o644, authority.root.as_bytes()),
    ]);
    stage.types(node, &format!("cat {toml}"));
    tell("What would that change, and what would it cost?");
    let output = stage.types_regtrust(node, "plan");
    assert_eq!(output.code, 2, "there is something to do");
}

fn apply(stage: &mut Stage, node: &Node) {
    stage.chapter("One apply");
    let output = stage.types_regtrust(node, "apply");
    assert_eq!(output.code, 0);
    tell(
        "docker trusts it already. containerd looks for registries' settings only when it was told \
         so at its start. That is due once in a node's life, and regtrust does not do it behind your \
         back. It is done now, by hand:",
    );
    let due = node.plan();
    assert_eq!(due.due(), ["restart-containerd"]);
    stage.prompt(&due.effects[0].command);
    node.perform(&due.effects);
}

fn withdraw(stage: &mut Stage, node: &Node, before: &Sight, with: &Sight) {
    stage.chapter("The withdrawal");
    stage.types(node, &format!("rm {DECLARATIONS}/harbor*"));
    let output = stage.types_regtrust(node, "apply");
    assert_eq!(output.code, 0);
    assert_ne!(stage.types(node, &format!("docker pull {IMAGE}")).code, 0, "it is not trusted");
    kubelet_pulls(stage, node).expect_err("it is not trusted any more");
    let after = Sight::of(node);
    assert_eq!(after.files, before.files, "every file is what it was");
    assert_eq!(after.witness, with.witness, "nothing was restarted for it");
    tell(
        "Not trusted any more, and nothing was restarted for that. All files below /etc/docker and \
         /etc/containerd are again what they were, byte for byte.",
    );
}

/// What must not change.
struct Sight {
    witness: Witness,
    /// Every file's name, mode and digest.
    files: String,
}

impl Sight {
    fn of(node: &Node) -> Self {
        let script = "cd /etc; find docker containerd -printf '%p %y %m %u %g\\n' | sort; \
            find docker containerd -type f -exec sha256sum {} + | sort";
        Self { witness: Witness::of(node), files: node.sh(script) }
    }
}
