//! A network of its own for every member, which can be cut. All of it vanishes with the processes in
//! it: nothing has a name that anybody would have to remove.

use std::process::{Child, Command, Stdio};

use nix::sched::{CloneFlags, unshare};

use crate::etcd::{Member, is_there, skip};

pub(crate) struct Network {
    keepers: Vec<Keeper>,
}

/// Keeps the network of one member alive.
struct Keeper {
    process: Child,
    /// Our end of the wire to it.
    link: String,
    /// All addresses at the other end.
    prefix: String,
}

/// Runs a test in a thread whose network reaches so many others and nothing else.
pub(crate) fn on_a_network<F: Future<Output = ()>>(
    members: usize,
    test: impl FnOnce(Network) -> F + Send + 'static,
) {
    if !rustix::process::geteuid().is_root() {
        return skip("networks can be made by root only");
    }
    if !is_there("ip", "ip is missing: `apt-get install iproute2`") {
        return;
    }
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        run("ip", &["link", "set", "lo", "up"]);
        run("sh", &["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        let network = Network { keepers: (0..members).map(keeper).collect() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(test(network));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
}

fn keeper(member: usize) -> Keeper {
    let process = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let pid = process.id().to_string();
    let namespace = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/net")).unwrap();
    while namespace(&pid) == namespace("thread-self") {
        std::thread::yield_now();
    }
    let (ours, theirs) = (format!("v{member}"), format!("p{member}"));
    run("ip", &["link", "add", &ours, "type", "veth", "peer", "name", &theirs]);
    run("ip", &["link", "set", &theirs, "netns", &pid]);
    run("ip", &["address", "add", &format!("10.9.{member}.1/24"), "dev", &ours]);
    run("ip", &["link", "set", &ours, "up"]);
    within(&pid, &["link", "set", "lo", "up"]);
    within(&pid, &["address", "add", &format!("10.9.{member}.2/24"), "dev", &theirs]);
    within(&pid, &["link", "set", &theirs, "up"]);
    within(&pid, &["route", "add", "default", "via", &format!("10.9.{member}.1")]);
    Keeper { process, link: ours, prefix: format!("10.9.{member}.0/24") }
}

fn within(pid: &str, arguments: &[&str]) {
    run("nsenter", &[&["--target", pid, "--net", "ip"], arguments].concat());
}

impl Network {
    pub(crate) fn members(&self) -> Vec<Member> {
        let launcher = |keeper: &Keeper| {
            ["nsenter", "--target", &keeper.process.id().to_string(), "--net"]
                .map(str::to_owned)
                .to_vec()
        };
        let keepers = self.keepers.iter().enumerate();
        keepers.map(|(at, one)| Member::new(format!("10.9.{at}.2"), launcher(one))).collect()
    }

    /// The member no longer reaches the other members, nor they it. Clients still reach it.
    pub(crate) fn isolate(&self, member: usize) {
        self.others(member, "add");
    }

    pub(crate) fn join(&self, member: usize) {
        self.others(member, "del");
    }

    fn others(&self, member: usize, verb: &str) {
        let pid = self.keepers[member].process.id().to_string();
        let others = self.keepers.iter().enumerate().filter(|(other, _)| *other != member);
        for (_, other) in others {
            within(&pid, &["route", verb, "blackhole", &other.prefix]);
        }
    }

    /// Nobody reaches the member, and nobody hears why.
    pub(crate) fn unplug(&self, member: usize) {
        let Keeper { link, prefix, .. } = &self.keepers[member];
        run("ip", &["link", "set", link, "down"]);
        run("ip", &["route", "add", "blackhole", prefix]);
    }

    pub(crate) fn plug(&self, member: usize) {
        let Keeper { link, prefix, .. } = &self.keepers[member];
        run("ip", &["route", "del", "blackhole", prefix]);
        run("ip", &["link", "set", link, "up"]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            // It may be dead already, which is what is wanted.
            drop(keeper.process.kill());
            drop(keeper.process.wait());
        }
    }
}
