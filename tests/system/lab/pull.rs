//! Pulls, each of them real: what was pulled before is removed first.

use super::cri;
use super::engine;
use super::node::{LIMIT, Node};

/// What every runtime says of a registry whose CA it does not know.
pub(crate) const UNKNOWN: &str = "x509: certificate signed by unknown authority";

/// What every runtime says of a registry that speaks plain HTTP where it expects TLS.
pub(crate) const PLAIN: &str = "server gave HTTP response to HTTPS client";

/// Who pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Puller {
    /// `docker pull`
    Docker,
    /// containerd through CRI, as kubelet does
    Containerd,
    /// `docker build` with BuildKit: the base image is pulled by BuildKit, not by `docker pull`'s
    /// code
    BuildKit,
    /// `podman pull`
    Podman,
}

impl Puller {
    /// Pulls `reference` anew. The error is the runtime's own words.
    pub(crate) fn pull(self, node: &Node, reference: &str) -> Result<(), String> {
        match self {
            Self::Docker => {
                // It may be in use, and a pull asks the registry all the same.
                _ = engine::remove(node, reference);
                node.run(["docker", "pull", "--quiet", reference]).verdict().map(drop)
            }
            Self::Podman => {
                node.run(["podman", "image", "rm", "--force", reference]);
                node.run(["podman", "pull", "--quiet", reference]).verdict().map(drop)
            }
            Self::Containerd => {
                cri::remove(node, reference);
                cri::pull(node, reference).map(drop)
            }
            Self::BuildKit => build(node, reference),
        }
    }

    /// A pull that has to work.
    #[track_caller]
    pub(crate) fn works(self, node: &Node, reference: &str) {
        let verdict = self.pull(node, reference);
        verdict.unwrap_or_else(|words| panic!("{self:?} of {reference}: {words}"));
    }

    /// A pull that has to fail, for the reason that the runtime gives in these words.
    #[track_caller]
    pub(crate) fn fails(self, node: &Node, reference: &str, because: &str) {
        let verdict = self.pull(node, reference);
        let words = verdict.expect_err("this pull must fail");
        assert!(words.contains(because), "{self:?} of {reference}: {words}");
    }
}

/// Builds an image from `reference` and throws it away.
fn build(node: &Node, reference: &str) -> Result<(), String> {
    node.sh("docker image prune --force --all >/dev/null; docker builder prune --force --all >/dev/null");
    let dockerfile = format!("FROM {reference}\nLABEL built=yes\n");
    let build = ["env", "DOCKER_BUILDKIT=1", "docker", "build", "--pull", "--no-cache", "-"];
    node.run_with(build, dockerfile.as_bytes(), LIMIT).verdict().map(drop)
}
