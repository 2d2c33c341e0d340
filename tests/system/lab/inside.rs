//! Programs on a node, started by a thread that has gone into the node's namespaces.
//!
//! `nsenter`, `env` and `timeout` do the same with three programs more for each one, and a run of all
//! tests starts twenty thousand: it was half of what the machine did.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::PidfdFlags;

use super::node::Output;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a shell says of a program that is not there, and of one that may not be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTED: i32 = 126;

/// The thread, which holds the node's mounts: it has to end before they can.
#[derive(Debug)]
pub(super) struct Inside {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Order {
    arguments: Vec<String>,
    reply: mpsc::Sender<io::Result<Child>>,
}

/// What a program said, and whether it ended by itself.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) output: Output,
    pub(super) in_time: bool,
}

impl Ran {
    /// What there is to say where no node is.
    pub(super) fn nowhere() -> Self {
        Self::not_started(NOT_EXECUTED, "the node is not there\n".to_owned())
    }

    fn not_started(code: i32, stderr: String) -> Self {
        Self { output: Output { code, stdout: String::new(), stderr }, in_time: true }
    }
}

impl Inside {
    /// Goes to where the node's process 1 is.
    pub(super) fn of(init: u32) -> io::Result<Self> {
        let init = i32::try_from(init).ok().and_then(rustix::process::Pid::from_raw);
        let init = init.ok_or(io::ErrorKind::NotFound)?;
        let init = rustix::process::pidfd_open(init, PidfdFlags::empty())?;
        let (orders, receiver) = mpsc::channel::<Order>();
        let (entered, has_entered) = mpsc::channel();
        let thread = thread::spawn(move || {
            let is_inside = enter(init);
            let stays = is_inside.is_ok();
            _ = entered.send(is_inside);
            if stays {
                for order in receiver {
                    // Whoever ordered it waits for it.
                    _ = order.reply.send(spawn(&order.arguments));
                }
            }
        });
        let inside = Self { orders: Some(orders), thread: Some(thread) };
        has_entered.recv().map_err(io::Error::other)??;
        Ok(inside)
    }

    /// Runs a program with something to read, and ends it after `limit`.
    pub(super) fn run(&self, arguments: &[String], stdin: &[u8], limit: Duration) -> Ran {
        match self.start(arguments) {
            Ok(child) => attend(child, stdin, limit),
            Err(error) => {
                let is_absent = error.kind() == io::ErrorKind::NotFound;
                let code = if is_absent { NOT_FOUND } else { NOT_EXECUTED };
                Ran::not_started(code, format!("{}: {error}\n", arguments[0]))
            }
        }
    }

    fn start(&self, arguments: &[String]) -> io::Result<Child> {
        let (reply, answer) = mpsc::channel();
        let order = Order { arguments: arguments.to_vec(), reply };
        let orders = self.orders.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        orders.send(order).map_err(|_| io::ErrorKind::NotConnected)?;
        answer.recv().map_err(io::Error::other)?
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

fn enter(init: impl std::os::fd::AsFd) -> io::Result<()> {
    // What threads of a process share of a file system cannot be in two of them.
    unshare(CloneFlags::CLONE_FS)?;
    let all = [
        CloneFlags::CLONE_NEWNS,
        CloneFlags::CLONE_NEWPID,
        CloneFlags::CLONE_NEWNET,
        CloneFlags::CLONE_NEWIPC,
        CloneFlags::CLONE_NEWUTS,
        CloneFlags::CLONE_NEWCGROUP,
    ];
    Ok(setns(init, all.into_iter().collect())?)
}

fn spawn(arguments: &[String]) -> io::Result<Child> {
    // By its path, for then the standard library copies nothing of this program to start it.
    Command::new(found(&arguments[0])?)
        .arg0(&arguments[0])
        .args(&arguments[1..])
        .env_clear()
        .envs([("PATH", PATH), ("HOME", "/root"), ("LC_ALL", "C.UTF-8")])
        // With everything that it starts, so that all of it can be ended.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn found(program: &str) -> io::Result<PathBuf> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let places = PATH.split(':').map(|directory| Path::new(directory).join(program));
    let is_program = |path: &PathBuf| fs::metadata(path).is_ok_and(|one| one.is_file());
    places.into_iter().find(is_program).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn attend(mut child: Child, stdin: &[u8], limit: Duration) -> Ran {
    let group = Pid::from_raw(child.id().cast_signed());
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    let (ended, has_ended) = mpsc::channel::<()>();
    let (output, in_time) = thread::scope(|scope| {
        // Beside the reading, because a program may write before it has read everything; and it
        // may end without reading, which is its own affair.
        scope.spawn(move || _ = pipe.write_all(stdin));
        let in_time = scope.spawn(move || {
            let in_time = has_ended.recv_timeout(limit) != Err(RecvTimeoutError::Timeout);
            if !in_time {
                _ = killpg(group, Signal::SIGKILL);
            }
            in_time
        });
        let output = child.wait_with_output().expect("a program's output can be read");
        drop(ended);
        (output, in_time.join().expect("it only waits"))
    });
    let code = output.status.code().or_else(|| Some(128 + output.status.signal()?));
    let output = Output {
        code: code.unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    Ran { output, in_time }
}
