//! One run: which node, with what knowledge, and how to speak.
#![expect(clippy::disallowed_methods, reason = "the clock and the environment are read once, here")]

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
use crate::reconcile::Options;
use crate::settings::Settings;
use crate::source;
use crate::source::dropin::Directory;
use crate::trust::problem::Problem;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) root: NodeRoot,
    pub(super) options: Options,
    /// The daemon's. What is wrong with them is for `lint` to tell, and until it is mended what owners
    /// have applied stays as it is.
    pub(super) settings: Result<Settings, Vec<Problem>>,
    pub(super) json: bool,
    /// Somebody looks at the output.
    pub(super) is_watched: bool,
    pub(super) paint: Paint,
}

impl Session {
    pub(super) fn open(node: &NodeArgs, output: OutputArgs) -> Result<Self, Failure> {
        let (directory, live) = match (&node.root, &node.host_root) {
            (Some(tree), _) => (tree.clone(), false),
            (None, Some(host)) => (host.clone(), true),
            (None, None) => (PathBuf::from("/"), true),
        };
        let root = open(&directory)?;
        let settings = source::settings::read(&root);
        Ok(Self {
            options: Options {
                overrides: Overrides {
                    docker: node.docker_version,
                    containerd: node.containerd_version,
                    cri: node.cri,
                },
                declarations: declarations(node)?,
                owners: settings.as_ref().ok().map(|settings| settings.owners.clone()),
                live_restore: settings.as_ref().ok().map(|one| one.restart.live_restore),
                ..Options::new(live, Timestamp::now())
            },
            root,
            settings,
            json: output.json,
            is_watched: std::io::stdout().is_terminal(),
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
