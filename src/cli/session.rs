//! One run: which node, with what knowledge, and how to speak.
#![expect(clippy::disallowed_methods, reason = "the clock and the environment are read once, here")]

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::args::{NodeArgs, OutputArgs, When};
use super::failure::Failure;
use super::paint::Paint;
use crate::node::detect::Overrides;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::reconcile::{Options, PinChange};
use crate::source::dropin::Directory;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) root: NodeRoot,
    pub(super) options: Options,
    pub(super) json: bool,
    pub(super) paint: Paint,
}

impl Session {
    pub(super) fn open(node: &NodeArgs, output: OutputArgs) -> Result<Self, Failure> {
        let (directory, live) = match (&node.root, &node.host_root) {
            (Some(tree), _) => (tree.clone(), false),
            (None, Some(host)) => (host.clone(), true),
            (None, None) => (PathBuf::from("/"), true),
        };
        Ok(Self {
            root: open(&directory)?,
            options: Options {
                live,
                overrides: Overrides {
                    docker: node.docker_version,
                    containerd: node.containerd_version,
                    cri: node.cri,
                },
                declarations: declarations(node)?,
                adopt: BTreeSet::new(),
                acknowledged: BTreeSet::new(),
                pin: PinChange::Keep,
                now: Timestamp::now(),
            },
            json: output.json,
            paint: Paint { on: wants_colour(output) },
        })
    }
}

/// With `--host-root` they are mounted into the container beside the node, and not on the node.
fn declarations(node: &NodeArgs) -> Result<Vec<Directory>, Failure> {
    let outside = match &node.host_root {
        Some(_) if !node.declarations.is_empty() => Some(Arc::new(open(Path::new("/"))?)),
        _ => None,
    };
    let directory = |path: &String| match NodePath::new(path) {
        Ok(path) => Ok(Directory { path, outside: outside.clone() }),
        Err(error) => Err(Failure::usage(
            format!("--declarations: {error}"),
            "name the directory by its absolute path",
        )),
    };
    node.declarations.iter().map(directory).collect()
}

fn open(directory: &Path) -> Result<NodeRoot, Failure> {
    NodeRoot::open(directory).map_err(Failure::io)
}

fn wants_colour(output: OutputArgs) -> bool {
    match output.color {
        _ if output.json => false,
        When::Always => true,
        When::Never => false,
        When::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    }
}
