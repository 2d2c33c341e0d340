//! A machine: real systemd, dockerd and containerd, for one case or for several in a row.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::image::{self, Suite};
use super::inside::{Inside, Ran};
use super::keeper::{self, Keeper, Spec};
use super::wait::{eventually, let_a_change_age};

/// How long a command may take. Generous: the machine that runs the tests may be busy, and a limit
/// is there for what hangs, not for what is slow.
pub(crate) const LIMIT: Duration = Duration::from_mins(2);

/// Addresses for registries. Not in 127/8: docker trusts those without being asked, and a pull
/// from there would prove nothing.
const NETWORK: &str = "10.99.0.0/16";

/// A registry's name and address, as a case gets them from [`Node::host`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) address: String,
}

/// Names that a node knows from its boot on, because Go programs remember the hosts file for a
/// while and a case that changed it would have to wait.
const HOSTS: u32 = 250;

impl Host {
    fn number(n: u32) -> Self {
        Self { name: format!("r{n}.lab"), address: format!("10.99.0.{n}") }
    }

    /// Where Docker Hub's images are served. Nothing listens there unless a case has a registry do
    /// so.
    pub(crate) fn docker_hub() -> Self {
        Self { name: "registry-1.docker.io".to_owned(), address: "10.99.1.2".to_owned() }
    }

    /// Its name where only letters, digits and dashes are allowed.
    pub(crate) fn slug(&self) -> String {
        let slug = self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        slug.trim_matches('-').to_owned()
    }
}

/// A name that people would give a registry, for what is shown to people.
const HARBOR: (&str, &str) = ("harbor.lab", "10.99.1.1");

/// How a node is before anything happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outfit {
    /// As the packages leave it.
    Packaged,
    /// A Kubernetes node whose containerd has been told by its installer to look in
    /// `/etc/containerd/certs.d`: nothing that regtrust does for a registry needs a restart.
    Kubernetes,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) suite: Suite,
    pub(crate) outfit: Outfit,
    /// Gone before the node is: see [`Inside`].
    inside: Mutex<Option<Arc<Inside>>>,
    keeper: Keeper,
    /// Another one after a reboot.
    init: AtomicU32,
    hosts: AtomicU32,
    /// The last, because it is free only when the keeper has ended.
    _place: Place,
}

/// A place for a node on this machine.
#[derive(Debug)]
struct Place;

static PLACES_TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Place {
    fn taken() -> Self {
        PLACES_TAKEN.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        PLACES_TAKEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a command said and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// stdout of a command that worked, or stderr of one that did not: the program's own words.
    pub(crate) fn verdict(self) -> Result<String, String> {
        if self.code == 0 { Ok(self.stdout) } else { Err(self.stderr) }
    }
}

impl Node {
    /// How many of this process there are, booting ones included.
    pub(crate) fn count() -> usize {
        PLACES_TAKEN.load(Ordering::Relaxed)
    }

    /// Boots a node and waits until docker and containerd are active on it.
    pub(crate) fn boot(suite: Suite, outfit: Outfit) -> Self {
        static BOOTED: AtomicU32 = AtomicU32::new(0);
        let place = Place::taken();
        let number = BOOTED.fetch_add(1, Ordering::Relaxed);
        let image = image::of(suite);
        let keeper = Keeper::start(&Spec {
            name: format!("{suite}-{}-{number}", std::process::id()),
            texts: outfit.texts(&image),
            image,
            copies: vec![(
                PathBuf::from("/usr/bin/regtrust"),
                0o755,
                PathBuf::from(env!("CARGO_BIN_EXE_regtrust")),
            )],
        });
        let (init, hosts) = (AtomicU32::new(0), AtomicU32::new(1));
        let inside = Mutex::default();
        let node = Self { suite, outfit, inside, keeper, init, hosts, _place: place };
        node.await_runtimes();
        node
    }

    /// The node's process 1, seen from this machine. `/proc/PID/root` is the node's file system.
    pub(crate) fn init(&self) -> u32 {
        self.init.load(Ordering::Relaxed)
    }

    /// The process whose end is the node's.
    pub(crate) fn keeper(&self) -> u32 {
        self.keeper.process()
    }

    /// A name and an address that no other registry on this node has had.
    pub(crate) fn host(&self) -> Host {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        assert!(number <= HOSTS, "this node has given away all its {HOSTS} names");
        Host::number(number)
    }

    /// `harbor.lab`, which there is only one of.
    pub(crate) fn harbor() -> Host {
        Host { name: HARBOR.0.to_owned(), address: HARBOR.1.to_owned() }
    }

    /// How many names [`Node::host`] can still give.
    pub(crate) fn hosts_left(&self) -> u32 {
        HOSTS.saturating_sub(self.hosts.load(Ordering::Relaxed))
    }

    /// Runs a program on the node.
    pub(crate) fn run<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.run_with(arguments, &[], LIMIT)
    }

    /// Runs a program on the node with something to read, and not longer than `limit`.
    pub(crate) fn run_with<A: AsRef<str>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        stdin: &[u8],
        limit: Duration,
    ) -> Output {
        let arguments: Vec<String> =
            arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let Ran { output, in_time } = self.execute(&arguments, stdin, limit);
        assert!(
            in_time,
            "`{}` did not end within {limit:?}\n{}{}",
            arguments.join(" "),
            output.stdout,
            output.stderr
        );
        output
    }

    fn execute(&self, arguments: &[String], stdin: &[u8], limit: Duration) -> Ran {
        let inside = self.inside.lock().expect("nobody panics under the lock").clone();
        match inside {
            Some(inside) => inside.run(arguments, stdin, limit),
            // A case that failed because the node is gone still takes back what it has started.
            None => Ran::nowhere(),
        }
    }

    /// Runs a shell script that has to work, and returns what it printed.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.run(["sh", "-euc", script]);
        assert_eq!(output.code, 0, "`{script}`:\n{}{}", output.stdout, output.stderr);
        output.stdout
    }

    pub(crate) fn remove(&self, path: &str) {
        self.sh(&format!("rm -rf {path}"));
    }

    /// What a unit wrote to the journal since the node booted.
    pub(crate) fn journal(&self, unit: &str) -> String {
        self.logged(&format!("--output=cat --unit={unit}"))
    }

    /// What the journal has of this boot, chosen and printed as `journalctl` is told.
    pub(crate) fn logged(&self, arguments: &str) -> String {
        self.sh(&format!("journalctl --sync; journalctl --boot {arguments}"))
    }

    /// The end of every unit's journal that a failed case could be about.
    pub(crate) fn last_words(&self) -> String {
        let mut words = String::new();
        for unit in ["docker", "containerd", "regtrustd", "lab-*"] {
            let lines = ["journalctl", "--boot", "--no-pager", "--lines=15", "--unit"];
            let output = self.run(lines.into_iter().chain([unit]));
            _ = writeln!(words, "--- journal of {unit} on {}\n{}", self.suite, output.stdout);
        }
        words
    }

    /// Shuts the node down as an operator would. Dropping it pulls the plug instead.
    pub(crate) fn power_off(mut self) {
        self.leave();
        self.keeper.power_off();
    }

    /// Reboots the node and waits for its runtimes. Files stay, registries and `/run` do not.
    pub(crate) fn reboot(&self) {
        let_a_change_age();
        self.sh("systemctl reboot");
        self.leave();
        self.keeper.await_boot();
        self.await_runtimes();
    }

    /// Waits for docker and containerd, and makes the node's network.
    fn await_runtimes(&self) {
        // Asked about both at once, `is-active` says yes when one of them is. The first command waits, but
        // systemd does not listen from the first moment on, and a failed unit is no concern of it.
        let script = "systemctl is-system-running --wait; \
             systemctl is-active containerd && systemctl is-active docker";
        let active = ["sh", "-c", script].map(str::to_owned);
        let outermost = self.keeper.outermost();
        let process = Path::new("/proc").join(outermost.to_string());
        eventually("docker and containerd are active", || {
            let console = || self.keeper.console();
            assert!(process.exists(), "the node went down while it booted:\n{}", console());
            self.enter(keeper::init(outermost)?)?;
            let state = self.execute(&active, &[], Duration::from_secs(30));
            (state.output.code == 0).then_some(())
        });
        self.sh(&format!("ip link set lo up && ip route add local {NETWORK} dev lo"));
    }

    /// Process 1 is for a moment a helper, in this machine's namespaces. Once systemd has made its own
    /// socket it is what it will be; before that nothing can be asked anyway.
    fn enter(&self, init: u32) -> Option<()> {
        self.init.store(init, Ordering::Relaxed);
        let mut inside = self.inside.lock().expect("nobody panics under the lock");
        if inside.is_none() && self.exists("/run/systemd/private") {
            *inside = Some(Arc::new(Inside::of(init).ok()?));
        }
        inside.is_some().then_some(())
    }

    fn leave(&self) {
        *self.inside.lock().expect("nobody panics under the lock") = None;
    }
}

impl Outfit {
    /// The files that make it.
    fn texts(self, image: &Path) -> Vec<(PathBuf, String)> {
        let mut texts = vec![(PathBuf::from("/etc/hosts"), hosts_file())];
        if self == Self::Kubernetes {
            let config = PathBuf::from("etc/containerd/config.toml");
            let mut text = std::fs::read_to_string(image.join(&config)).expect("the package's");
            text += "  [plugins.\"io.containerd.grpc.v1.cri\".registry]\n";
            text += "    config_path = \"/etc/containerd/certs.d\"\n";
            texts.push((config, text));
            texts.push((PathBuf::from("/var/lib/kubelet/config.yaml"), String::new()));
        }
        texts
    }
}

fn hosts_file() -> String {
    let mut text = format!("127.0.0.1 localhost\n{} {}\n", HARBOR.1, HARBOR.0);
    for host in (1..=HOSTS).map(Host::number).chain([Host::docker_hub()]) {
        _ = writeln!(text, "{} {}", host.address, host.name);
    }
    text
}
