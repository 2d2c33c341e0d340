//! Members of etcd, each on an address of its own.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use regtrust::fleet::{Lock, Node};
use regtrust::node::root::NodeRoot;
use regtrust::settings::{Engine, Etcd, Fleet, parse_settings};
use tempfile::TempDir;

/// As short as etcd allows with its usual elections.
pub(crate) const TTL: Duration = Duration::from_secs(2);

pub(crate) struct Cluster {
    pub(crate) members: Vec<Member>,
    /// The clients' root: their certificates and passwords.
    pub(crate) directory: TempDir,
    extra: Vec<String>,
    scheme: &'static str,
}

pub(crate) struct Member {
    pub(crate) address: String,
    data: TempDir,
    process: Option<Child>,
    launcher: Vec<String>,
}

/// Whether these tests can run. Where they must run, that they cannot is a failure.
pub(crate) fn is_available() -> bool {
    is_there("etcd", "etcd is missing: `apt-get install etcd-server`")
}

pub(crate) fn is_there(program: &str, cure: &str) -> bool {
    let mut works = Command::new(program);
    works.arg("--help").stdout(Stdio::null()).stderr(Stdio::null());
    if works.status().is_ok() {
        return true;
    }
    skip(cure);
    false
}

/// Skips a test aloud, or fails where nothing may be skipped.
pub(crate) fn skip(cure: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_ci && !rustix::process::geteuid().is_root(), "{cure}");
    // Past the test harness, which keeps what passing tests print to itself.
    drop(writeln!(std::io::stderr(), "SKIPPED a test: {cure}"));
}

/// Of a cluster that nobody else has, so that no port has to be found that is free.
pub(crate) fn addresses(count: usize) -> Vec<String> {
    static CLUSTERS: AtomicU32 = AtomicU32::new(1);
    let cluster = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    let run = 10 + std::process::id() % 200;
    (1..=count).map(|member| format!("127.{run}.{cluster}.{member}")).collect()
}

impl Cluster {
    pub(crate) fn one() -> Self {
        Self::with(1, &[], "http")
    }

    pub(crate) fn three() -> Self {
        Self::with(3, &[], "http")
    }

    pub(crate) fn with(count: usize, extra: &[&str], scheme: &'static str) -> Self {
        let members = addresses(count).into_iter();
        let members = members.map(|address| Member::new(address, Vec::new())).collect();
        Self::start(members, extra, scheme)
    }

    pub(crate) fn start(members: Vec<Member>, extra: &[&str], scheme: &'static str) -> Self {
        let extra = extra.iter().map(|one| (*one).to_owned()).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut cluster = Self { members, directory, extra, scheme };
        for member in 0..cluster.members.len() {
            cluster.revive(member);
        }
        cluster
    }

    pub(crate) fn revive(&mut self, member: usize) {
        let peers: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(at, member)| format!("m{at}=http://{}:2380", member.address))
            .collect();
        let scheme = self.scheme;
        let member_of = &mut self.members[member];
        let address = &member_of.address;
        let log = File::create(member_of.data.path().join("log")).unwrap();
        let mut words = member_of.launcher.clone();
        words.extend(["setpriv", "--pdeathsig", "KILL", "etcd"].map(str::to_owned));
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["--name", &format!("m{member}"), "--log-level", "error"])
            .arg("--data-dir")
            .arg(member_of.data.path().join("data"))
            .args(["--listen-client-urls", &format!("{scheme}://{address}:2379")])
            .args(["--advertise-client-urls", &format!("{scheme}://{address}:2379")])
            .args(["--listen-peer-urls", &format!("http://{address}:2380")])
            .args(["--initial-advertise-peer-urls", &format!("http://{address}:2380")])
            .args(["--initial-cluster", &peers.join(",")])
            .args(&self.extra)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        member_of.process = Some(command.spawn().unwrap());
    }

    pub(crate) fn kill(&mut self, member: usize) {
        self.members[member].kill();
    }

    /// `[fleet_lock]` for this cluster, two slots for three seconds to be granted in.
    pub(crate) fn fleet(&self) -> Fleet {
        let endpoint = |member: &Member| format!("\"{}://{}:2379\"", self.scheme, member.address);
        let endpoints: Vec<String> = self.members.iter().map(endpoint).collect();
        let text = format!(
            "[fleet_lock]\nengine = \"etcd\"\nendpoints = [{}]\nallow_clear_text = true\n\
             timeout = \"20s\"\ngroup = \"ci\"\nca_file = \"/etc/ca.pem\"\n",
            endpoints.join(", ")
        );
        let mut fleet = parse_settings(&text, "/d").unwrap().fleet.unwrap();
        etcd_of(&mut fleet).ttl = SignedDuration::try_from(TTL).unwrap();
        fleet
    }

    pub(crate) fn lock(&self, name: &str, fleet: &Fleet) -> Lock {
        lock(&self.directory, name, fleet)
    }
}

pub(crate) fn lock(directory: &TempDir, name: &str, fleet: &Fleet) -> Lock {
    let root = Arc::new(NodeRoot::open(directory.path()).unwrap());
    let node = Node { id: name.to_owned(), host: format!("host-{name}") };
    Lock::with(root, fleet, node)
}

pub(crate) fn etcd_of(fleet: &mut Fleet) -> &mut Etcd {
    match &mut fleet.engine {
        Engine::Etcd(etcd) => etcd,
        Engine::FleetLock(_) => panic!("not etcd"),
    }
}

impl Member {
    /// `launcher` is what is written before the command.
    pub(crate) fn new(address: String, launcher: Vec<String>) -> Self {
        // Where there is memory for it: what a power cut leaves is etcd's own concern.
        let memory = PathBuf::from("/dev/shm");
        let data = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        Self { address, data, process: None, launcher }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may be dead already, which is what is wanted.
            drop(process.kill());
            process.wait().unwrap();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}
