//! What people type. Each command calls one function of the library and prints what it returned:
//! stdout is data, stderr is talk, and the exit code is part of the contract.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use self::args::{Cli, Command};
use self::failure::{Exit, Failure};
use self::session::Session;
use crate::process;

mod adopt;
mod apply;
mod args;
mod daemon;
mod explain;
mod failure;
mod history;
mod job;
mod lint;
mod locks;
mod man;
mod paint;
mod plan;
mod print;
mod remote;
mod session;
mod status;
mod told;
mod view;
mod visible;

/// The whole program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // `--help` arrives here as well, and is not a failure.
        Err(usage) => {
            let exit = if usage.use_stderr() { Exit::Usage } else { Exit::Done };
            return match usage.print() {
                // Help that was asked for and could not be given. A complaint that nobody hears, or
                // a reader that has seen enough, changes nothing about how it ends.
                Err(error) if exit == Exit::Done && error.kind() != ErrorKind::BrokenPipe => {
                    Exit::Io.into()
                }
                _ => exit.into(),
            };
        }
    };
    match run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // If nobody listens, the exit code still says it.
            _ = writeln!(std::io::stderr(), "{}", failure.report());
            failure.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    process::keep_secrets().map_err(Failure::process)?;
    if let Command::Completions { shell } = cli.command {
        let mut command = Cli::command();
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "regtrust", &mut script);
        print::data(&script)?;
        return Ok(Exit::Done);
    }
    if let Command::Man { page } = &cli.command {
        return man::run(page.as_deref());
    }
    let session = Session::open(&cli.node, cli.output)?;
    match cli.command {
        Command::Plan => plan::run(&session),
        Command::Apply(args) => apply::run(&session, &args),
        Command::Status(args) => status::run(&session, args),
        Command::Explain { host } => explain::run(&session, &host),
        Command::Lint { paths } => lint::run(&session, &paths),
        Command::Adopt(args) => adopt::run(&session, &args),
        Command::History => history::list(&session),
        Command::Rollback(args) => history::rollback(&session, &args),
        Command::Check { hosts } => daemon::check(&session, &hosts),
        Command::Health => daemon::health(&session),
        Command::Confirm { revision } => daemon::confirm(&session, revision),
        Command::Pause(args) => daemon::pause(&session, &args),
        Command::Resume => daemon::resume(&session),
        Command::Restart(args) => daemon::restart(&session, &args),
        Command::Hold { name, command } if command.is_empty() => daemon::hold(&session, &name),
        Command::Hold { name, command } => job::run(&session, &name, &command),
        Command::Locks(args) => locks::run(&session, &args),
        Command::Completions { .. } | Command::Man { .. } => Ok(Exit::Done),
    }
}
