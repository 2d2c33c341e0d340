//! The process that holds one node: its mounts, its cgroup and its systemd-nspawn.
//!
//! Whatever happens to the tests, nothing may stay behind on the machine that ran them. So a node
//! lives in things that die by themselves:
//!
//! * every file it writes is in a tmpfs, and every mount in a mount namespace that only the keeper
//!   and its children are in: both are gone when they are;
//! * the keeper reads its standard input to the end. The other side is held by the test process
//!   alone, so its death ends the keeper, however it died. A signal on the parent's death would not
//!   do: that parent is a *thread*, and the test harness ends its threads while others still use
//!   the node;
//! * the node is in a PID namespace around its own, because systemd-nspawn alone is not enough: when
//!   it is killed, the node runs on. The kernel kills the first process of that namespace when the
//!   keeper dies, and with the first all others.
//!
//! Only a cgroup outlives its processes. The keeper removes its own, and those of keepers that
//! could not.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::image;

/// The first argument that makes this program a keeper instead of a test run.
pub(crate) const ARGUMENT: &str = "keep-node";

/// The one order that a keeper takes; the end of the orders is the other.
const POWER_OFF: &str = "power off";

/// How systemd-nspawn asks whoever started it to start it again.
const REBOOT: i32 = 133;

const CGROUPS: &str = "/sys/fs/cgroup";
const CGROUP_PREFIX: &str = "regtrust-lab-";

/// Directories of the node that must not lie on an overlay, because the runtimes put overlays on
/// them.
const STORES: &[&str] = &["docker", "containerd", "containers"];

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// Unique on this machine.
    pub(crate) name: String,
    pub(crate) image: PathBuf,
    /// Files that are on the node before it boots: where, with which mode, a copy of what.
    pub(crate) copies: Vec<(PathBuf, u32, PathBuf)>,
    /// The same with their text.
    pub(crate) texts: Vec<(PathBuf, String)>,
}

/// The test's end of a keeper.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Child,
    /// Closing it ends the node.
    orders: Option<ChildStdin>,
    words: Mutex<io::BufReader<ChildStdout>>,
    /// Another one after a reboot.
    outermost: AtomicU32,
}

/// The node's process 1, seen from this machine: systemd-nspawn's child, which is for a moment a
/// helper that goes away again.
pub(crate) fn init(outermost: u32) -> Option<u32> {
    child(child(outermost)?)
}

fn child(parent: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    children.ok()?.split_whitespace().next()?.parse().ok()
}

impl Keeper {
    pub(crate) fn start(spec: &Spec) -> Self {
        fs::create_dir_all(image::cache().join("node")).expect("the mount point can be made");
        let mut process = Command::new(std::env::current_exe().expect("this program has a path"))
            .arg(ARGUMENT)
            .arg(serde_json::to_string(spec).expect("a specification is plain data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C reaches the whole foreground group; the keeper has to outlive the tests to
            // clean up after them.
            .process_group(0)
            .spawn()
            .expect("a keeper starts");
        let orders = process.stdin.take();
        let words = io::BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        let keeper =
            Self { process, orders, words: Mutex::new(words), outermost: AtomicU32::new(0) };
        keeper.await_boot();
        keeper
    }

    /// The process around systemd-nspawn, in this machine's PID namespace.
    pub(crate) fn outermost(&self) -> u32 {
        self.outermost.load(Ordering::Relaxed)
    }

    /// Waits until the node is booting, for the first time or again.
    pub(crate) fn await_boot(&self) {
        let line = self.hear();
        let outermost =
            line.trim().parse().unwrap_or_else(|_| panic!("no node: its keeper said why"));
        self.outermost.store(outermost, Ordering::Relaxed);
    }

    fn hear(&self) -> String {
        let mut line = String::new();
        let mut words = self.words.lock().expect("nobody panics while listening");
        words.read_line(&mut line).expect("a keeper can be heard");
        line
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// What the node's console showed; for the report when it does not come up.
    pub(crate) fn console(&self) -> String {
        let path = format!("/proc/{}/root{}", self.process.id(), node_dir("console").display());
        fs::read_to_string(path).unwrap_or_default()
    }

    /// The end of a machine that is shut down properly.
    pub(crate) fn power_off(&mut self) {
        if let Some(mut orders) = self.orders.take() {
            writeln!(orders, "{POWER_OFF}").expect("a keeper takes orders");
            // The keeper says one more line when its node is down; only then may the pipe close.
            self.hear();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        // A keeper that does not end has already said why; there is nobody left to tell.
        _ = self.process.wait();
    }
}

fn node_dir(name: &str) -> PathBuf {
    image::cache().join("node").join(name)
}

/// What the keeper process does. Returns when the node is gone and nothing of it is left.
pub(crate) fn keep(spec: &str) {
    let spec: Spec = serde_json::from_str(spec).expect("a specification");
    let cgroup = prepare(&spec).expect("a place for a node");
    let kept = Arc::new(Kept::default());
    let orders = std::thread::spawn({
        let kept = Arc::clone(&kept);
        move || kept.follow_orders()
    });
    // The main thread is the parent: it is this thread whose end ends the node.
    loop {
        let mut node = boot(&spec).expect("systemd-nspawn starts");
        kept.is(node.id());
        say(&node.id().to_string());
        let ended = node.wait().expect("the node can be waited for");
        if ended.code() != Some(REBOOT) {
            break;
        }
    }
    remove_cgroup(&cgroup);
    say("down");
    // The console stays readable until nobody can want it any more.
    _ = orders.join();
}

fn say(line: &str) {
    let mut stdout = io::stdout();
    // Nobody listens any more when the tests are dead, and that is why we are here.
    _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// What the keeper's two threads know of the node.
#[derive(Debug, Default)]
struct Kept {
    outermost: AtomicU32,
    /// The tests are over, or dead.
    unwanted: AtomicBool,
}

impl Kept {
    /// The node has been started. The tests may have died while it rebooted: whoever comes second,
    /// this or the end of the orders, sees what the other has stored.
    fn is(&self, outermost: u32) {
        self.outermost.store(outermost, Ordering::SeqCst);
        if self.unwanted.load(Ordering::SeqCst) {
            self.signal(Signal::SIGKILL);
        }
    }

    fn follow_orders(&self) {
        for order in io::stdin().lines() {
            if order.is_ok_and(|order| order == POWER_OFF) {
                self.signal(Signal::SIGTERM);
            }
        }
        self.unwanted.store(true, Ordering::SeqCst);
        self.signal(Signal::SIGKILL);
    }

    /// To systemd-nspawn, so that the process around it reaps it.
    fn signal(&self, what: Signal) {
        let outermost = self.outermost.load(Ordering::SeqCst);
        signal(child(outermost).unwrap_or(outermost), what);
    }
}

fn signal(process: u32, signal: Signal) {
    if process == 0 {
        return; // not started yet, and to `kill` it would mean everybody here
    }
    // It may be gone already, and that is what is wanted.
    _ = kill(Pid::from_raw(process.cast_signed()), signal);
}

fn prepare(spec: &Spec) -> io::Result<PathBuf> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("node"), &image::cache().join("node"), Some("tmpfs"), MsFlags::empty(), none)?;
    // systemd-nspawn leaves locks in /run, and this machine may have no systemd that clears them.
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), none)?;
    // The machine may be on cgroup v1; an unnamed v2 tree of its own is enough for systemd.
    mount(Some("none"), CGROUPS, Some("cgroup2"), MsFlags::empty(), none)?;
    sweep_cgroups();
    let cgroup = enter_cgroup(&spec.name)?;

    for directory in ["upper", "work", "root"].iter().chain(STORES) {
        fs::create_dir(node_dir(directory))?;
    }
    for (path, mode, source) in &spec.copies {
        let path = upper(path)?;
        fs::copy(source, &path)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(*mode))?;
    }
    for (path, text) in &spec.texts {
        fs::write(upper(path)?, text)?;
    }
    let layers = format!(
        "lowerdir={},upperdir={},workdir={}",
        spec.image.display(),
        node_dir("upper").display(),
        node_dir("work").display()
    );
    mount(Some("node"), &node_dir("root"), Some("overlay"), MsFlags::empty(), Some(&*layers))?;
    Ok(cgroup)
}

fn upper(path: &Path) -> io::Result<PathBuf> {
    let path = node_dir("upper").join(path.strip_prefix("/").unwrap_or(path));
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    Ok(path)
}

fn boot(spec: &Spec) -> io::Result<Child> {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "systemd-nspawn", "--quiet", "--boot", "--directory"])
        .arg(node_dir("root"))
        .arg(format!("--machine={}", spec.name))
        .args(["--private-network", "--console=pipe", "--register=no", "--keep-unit"])
        .args(["--link-journal=no", "--resolv-conf=off", "--timezone=off"])
        // What dockerd and runc need beyond an ordinary container.
        .args(["--capability=all", "--system-call-filter=add_key keyctl bpf"]);
    for store in STORES {
        command.arg(format!("--bind={}:/var/lib/{store}", node_dir(store).display()));
    }
    let console = fs::File::create(node_dir("console"))?;
    command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console).spawn()
}

/// Puts this process into a cgroup of its own. systemd-nspawn makes its groups below the one that
/// it is in, under fixed names: two nodes in one group would be each other's.
fn enter_cgroup(name: &str) -> io::Result<PathBuf> {
    let group = Path::new(CGROUPS).join(format!("{CGROUP_PREFIX}{}-{name}", std::process::id()));
    fs::create_dir(&group)?;
    fs::write(group.join("cgroup.procs"), "0")?;
    Ok(group)
}

fn remove_cgroup(group: &Path) {
    _ = fs::write(Path::new(CGROUPS).join("cgroup.procs"), "0");
    for _ in 0..200 {
        remove_empty(group);
        if !group.exists() {
            return;
        }
        // The node's processes are dying; the kernel tells nobody when the last one has.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Removes the groups below `group` and then itself; what still has processes in it stays.
fn remove_empty(group: &Path) {
    for child in fs::read_dir(group).into_iter().flatten().flatten() {
        if child.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&child.path());
        }
    }
    _ = fs::remove_dir(group);
}

/// Removes the groups of keepers that were killed before they could do it themselves.
fn sweep_cgroups() {
    for group in fs::read_dir(CGROUPS).into_iter().flatten().flatten() {
        let name = group.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(CGROUP_PREFIX) else { continue };
        let keeper = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(keeper).exists() {
            remove_empty(&group.path());
        }
    }
}
