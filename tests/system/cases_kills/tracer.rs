//! strace on a daemon that runs already, from outside its node.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::calls::{Call, parse};
use crate::lab::wait::eventually;

/// Attached until it is detached; the daemon goes on, unless it was killed.
pub(super) struct Tracer {
    strace: Child,
    log: tempfile::NamedTempFile,
    process: i32,
}

impl Tracer {
    /// Writes down every call, with what its descriptors are.
    pub(super) fn watching(process: i32) -> Self {
        Self::attach(process, &["-y"])
    }

    /// Kills the daemon when one of its threads is about to make this call.
    ///
    /// Without `--seccomp-bpf`, which is faster: strace 6.1 then counts no calls for `signal=`, and
    /// the N-th is never reached.
    pub(super) fn killing_at(process: i32, call: &Call) -> Self {
        let inject = format!("inject={}:signal=KILL:when={}", call.name, call.number);
        Self::attach(process, &["-e", &format!("trace={}", call.name), "-e", &inject])
    }

    fn attach(process: i32, options: &[&str]) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-o"])
            .arg(log.path())
            .args(options)
            .args(["-p", &process.to_string()])
            .spawn()
            .expect("strace starts");
        let tracer = Self { strace, log, process };
        eventually("strace has all threads", || tracer.has_all_threads().then_some(()));
        tracer
    }

    fn has_all_threads(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process));
        let tasks = tasks.expect("the daemon runs").filter_map(Result::ok);
        let is_traced = |task: &Path| {
            let status = std::fs::read_to_string(task.join("status")).unwrap_or_default();
            // A thread that has ended since needs no tracer.
            status.lines().all(|line| line != "TracerPid:\t0")
        };
        tasks.map(|task| task.path()).all(|task| is_traced(&task))
    }

    /// Every call since it was attached. The daemon is left alone from now on.
    pub(super) fn detach(mut self) -> Vec<Call> {
        self.end();
        parse(&std::fs::read_to_string(self.log.path()).expect("the log"))
    }

    /// Where the daemon is dead, strace ends by itself; told to end while it buries the threads, it
    /// waits for the first of them before the others, which is for ever.
    fn end(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        if is_alive(self.process) {
            let strace = Pid::from_raw(self.strace.id().try_into().expect("a process"));
            _ = kill(strace, Signal::SIGINT);
        }
        let began = Instant::now();
        while self.strace.try_wait().is_ok_and(|ended| ended.is_none()) {
            if began.elapsed() > PATIENCE {
                // The daemon may have died in between. The kernel lets go of what it still holds.
                _ = self.strace.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a process runs; one that is dead and not buried does not.
pub(super) fn is_alive(process: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:\t"));
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}
