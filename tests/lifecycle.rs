//! What happens to a node over days, told as stories through the binary.
#![expect(clippy::disallowed_methods, reason = "a test runs the program, and knows the time")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "common/machine.rs"]
mod common;

#[path = "lifecycle/declared.rs"]
mod declared;
#[path = "lifecycle/effects.rs"]
mod effects;
#[path = "lifecycle/history.rs"]
mod history;
#[path = "lifecycle/others.rs"]
mod others;

use common::Node;

/// A registry that docker alone is to reach over plain HTTP, in daemon.json.
pub(crate) const LAB: &str =
    "[[registry]]\nhost = \"lab.corp:5000\"\ntrust = \"http\"\nruntimes = [\"docker\"]\n";

/// Declares `host` with a CA, for every runtime, in a file of that name.
pub(crate) fn declare_ca(node: &Node, host: &str, ca: &str) {
    node.certificate(ca).file(
        &drop_in(host),
        format!("[[registry]]\nhost = \"{host}\"\ntrust = \"ca\"\nca_file = \"{ca}\"\n"),
    );
}

pub(crate) fn drop_in(name: &str) -> String {
    format!("etc/regtrust/registries.d/{name}.toml")
}

pub(crate) fn docker_ca(host: &str) -> String {
    format!("etc/docker/certs.d/{host}/ca.crt")
}
