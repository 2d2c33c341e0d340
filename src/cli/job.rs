//! A job as a child of this command: held before it begins, and until it has ended.
#![expect(clippy::disallowed_methods, reason = "runs the one command that its user has typed")]

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::failure::{Exit, Failure};
use super::remote::{self, Remote};
use super::session::Session;
use crate::api::v1;

/// What a shell says of a command that it cannot run.
const NOT_RUN: u8 = 127;
/// What a shell adds to the number of the signal that ended a command.
const BY_SIGNAL: i32 = 128;

/// Runs the job, and ends as it does. Without a hold it is not begun: whoever wraps a job relies on
/// that nothing interrupts it.
pub(super) fn run(session: &Session, name: &str, command: &[OsString]) -> Result<Exit, Failure> {
    let mut remote = Remote::reach(session)?;
    let request = v1::HoldJobRequest { name: name.to_owned() };
    remote.talk(async |client| {
        let held = client.hold_job(request).await;
        let mut held = held.map_err(|status| remote::refused(&status))?.into_inner();
        remote::next(&mut held).await?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::io)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::io)?;
        let child = match begin(command) {
            Ok(child) => child,
            Err(error) => return Ok(not_begun(command, &error)),
        };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let mut ended = wait(child);
        let mut is_held = true;
        loop {
            tokio::select! {
                status = &mut ended => return end(status),
                // The job goes on: that it is not protected any more is no reason to kill it.
                _ = remote::next(&mut held), if is_held => {
                    is_held = false;
                    say("regtrustd has ended, and nothing holds the node for this job any more");
                }
                _ = terminate.recv() => pass_on(pid, Signal::TERM),
                // A terminal has told the job itself.
                _ = interrupt.recv() => {
                    if !io::stdin().is_terminal() {
                        pass_on(pid, Signal::INT);
                    }
                }
            }
        }
    })
}

fn begin(command: &[OsString]) -> io::Result<Child> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Command::new(program).args(arguments).spawn()
}

fn not_begun(command: &[OsString], error: &io::Error) -> Exit {
    let program = command.first().map(|program| program.to_string_lossy().into_owned());
    say(&format!("cannot run `{}`: {error}", program.unwrap_or_default()));
    Exit::Job(NOT_RUN)
}

/// A thread of its own, because waiting for a child cannot be given up.
fn wait(mut child: Child) -> oneshot::Receiver<io::Result<ExitStatus>> {
    let (ended, wait) = oneshot::channel();
    // Nobody listens any more only when this command ends.
    std::thread::spawn(move || _ = ended.send(child.wait()));
    wait
}

fn end(status: Result<io::Result<ExitStatus>, oneshot::error::RecvError>) -> Result<Exit, Failure> {
    let status = status.map_err(Failure::io)?.map_err(Failure::io)?;
    let code = status.code().or_else(|| Some(BY_SIGNAL + status.signal()?));
    Ok(Exit::Job(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)))
}

fn pass_on(pid: Option<Pid>, signal: Signal) {
    // It may have ended at this moment, which is what was wanted.
    _ = pid.map(|pid| kill_process(pid, signal));
}

fn say(text: &str) {
    // Without a stderr nobody reads it.
    _ = writeln!(io::stderr(), "regtrust: {text}");
}
