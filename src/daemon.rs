//! regtrustd: reads its settings, opens its doors, and lets the agent work until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use self::life::Life;
use crate::effect::chain;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::settings::Settings;
use crate::source::dropin::Directory;
use crate::trust::problem::Problem;
use crate::txn::lock::{DaemonLock, LockError};
use crate::{process, source, telemetry};
use clap::{CommandFactory as _, Parser};

mod life;
mod outside;
mod signals;
mod watching;

const DONE: u8 = 0;
const USAGE: u8 = 64;
const BUG: u8 = 70;
const IO: u8 = 74;
const BUSY: u8 = 75;
const CONFIG: u8 = 78;

#[derive(Debug, Parser)]
#[command(
    name = "regtrustd",
    version,
    about = "Keeps this node's container runtimes trusting the right image registries",
    after_help = "\
Settings are in /etc/regtrust/regtrustd.toml and are read again on SIGHUP. The log goes to the \
journal, or to stderr; REGTRUST_LOG=debug says more.

Exit codes:
  0 told to stop     64 wrong usage        70 a bug ended it, and it should be started again
  74 a socket or file could not be opened  75 another regtrustd is at work
  78 the settings are wrong"
)]
struct Arguments {
    /// Serve a tree that is not running, as a sandbox: sockets are below DIR/run, and effects are
    /// named and not performed
    #[arg(long, value_name = "DIR", conflicts_with = "host_root")]
    root: Option<PathBuf>,
    /// Work on the running host whose directories are mounted here, from inside a container
    #[arg(long, value_name = "DIR")]
    host_root: Option<PathBuf>,
    /// Also load declarations from this directory, such as a mounted `ConfigMap`; with --host-root
    /// it is one of the container, else one of the node
    #[arg(long, value_name = "DIR")]
    declarations: Vec<String>,
    /// Read this instead of /etc/regtrust/regtrustd.toml; with --host-root it is a file of the
    /// container, and so are the TLS files that it names, else they are the node's
    #[arg(long, value_name = "FILE")]
    settings: Option<String>,
}

/// Where the daemon works.
#[derive(Debug)]
struct Place {
    /// The tree's root, for this process.
    base: PathBuf,
    root: Arc<NodeRoot>,
    /// `false`: a tree that is not running.
    live: bool,
    declarations: Vec<Directory>,
    settings: SettingsFile,
}

/// Where the settings are, and the TLS files that they name.
#[derive(Debug)]
struct SettingsFile {
    tree: Arc<NodeRoot>,
    path: NodePath,
}

impl SettingsFile {
    fn read(&self) -> Result<Settings, Vec<Problem>> {
        source::settings::read_file(&self.tree, &self.path)
    }
}

/// Its command line, for the manual.
pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

/// The whole program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            let code = if usage.use_stderr() { USAGE } else { DONE };
            // If nobody listens, the exit code still says it.
            _ = usage.print();
            return code.into();
        }
    };
    telemetry::begin();
    match run(&arguments) {
        Ok(()) => DONE.into(),
        Err(failure) => {
            tracing::error!("{}", failure.message);
            // systemd shows the last status of a unit that has failed.
            _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&failure.message)]);
            failure.code.into()
        }
    }
}

#[derive(Debug)]
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn io(error: &dyn std::error::Error) -> Self {
        Self { code: IO, message: chain(error) }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    process::keep_secrets().map_err(|error| Failure::io(&error))?;
    let place = place(arguments)?;
    let settings = place.settings.read().map_err(|problems| {
        for problem in &problems {
            tracing::error!("{problem}");
        }
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        Failure { code: CONFIG, message: first }
    })?;
    let _lock = DaemonLock::take(&place.root).map_err(|error| Failure {
        code: if matches!(error, LockError::Daemon { .. }) { BUSY } else { IO },
        message: match error.hint() {
            Some(hint) => format!("{} ({hint})", chain(&error)),
            None => chain(&error),
        },
    })?;
    // One thread: one thing is changed at a time, and idle must cost nothing.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io(&error))?;
    let done = runtime.block_on(async { Life::begin(place, &settings).await?.live().await });
    // A question to a runtime that hangs must not keep the process from ending.
    runtime.shutdown_background();
    done
}

fn place(arguments: &Arguments) -> Result<Place, Failure> {
    let (base, live) = match (&arguments.root, &arguments.host_root) {
        (Some(tree), _) => (tree.clone(), false),
        (None, Some(host)) => (host.clone(), true),
        (None, None) => (PathBuf::from("/"), true),
    };
    let open = |base: &std::path::Path| NodeRoot::open(base).map_err(|error| Failure::io(&error));
    // Where what is mounted beside the node is found; without a container that is the node.
    let root = Arc::new(open(&base)?);
    let outside = match &arguments.host_root {
        Some(_) => Some(Arc::new(open(std::path::Path::new("/"))?)),
        None => None,
    };
    let named = |option: &str, path: &String| {
        NodePath::new(path)
            .map_err(|error| Failure { code: USAGE, message: format!("{option}: {error}") })
    };
    let directory = |path: &String| {
        let path = named("--declarations", path)?;
        Ok(Directory { path, outside: outside.clone() })
    };
    let settings = match &arguments.settings {
        Some(path) => SettingsFile {
            tree: Arc::clone(outside.as_ref().unwrap_or(&root)),
            path: named("--settings", path)?,
        },
        None => SettingsFile { tree: Arc::clone(&root), path: source::settings::path() },
    };
    Ok(Place {
        declarations: arguments.declarations.iter().map(directory).collect::<Result<_, _>>()?,
        root,
        base,
        live,
        settings,
    })
}
