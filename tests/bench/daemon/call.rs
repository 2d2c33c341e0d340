//! One more CA over the API: from the call to the answer, which means durable, against the same files
//! written durably by themselves, and against a configuration manager that writes them.
//!
//! The bare calls write what the runtimes read and nothing else: regtrustd's own records and its
//! journal, which make all of it one change that a crash cannot halve, are its to pay for.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use regtrust::api::v1::node_client::NodeClient;
use regtrust::api::v1::{ApplyRequest, Registry, Trust};
use tonic::transport::Channel;

use super::ansible::Ansible;
use super::bars::{Bars, milliseconds, quantile, sorted};
use super::served::{Served, make, runtime};
use super::tree::{self, Managed};
use super::{REGISTRIES, bare};

/// A disk that others use may take a second for one turn, so there is an end to it as well.
const TURNS: usize = 100;
const AT_LEAST: usize = 10;
const LONGEST: Duration = Duration::from_secs(40);
const WARM_UP: usize = 3;
const PLAYS: usize = 5;
const BAR: f64 = 4.0;
const ANSIBLE_BAR: f64 = 150.0;

/// One turn of each, in seconds.
struct Turn {
    regtrust: f64,
    bare: f64,
}

struct Node<'a> {
    tree: &'a Path,
    scratch: &'a Path,
    daemon: &'a Served,
    client: NodeClient<Channel>,
}

pub(crate) fn measure(scratch: &Path, bars: &mut Bars) {
    for registries in [0, REGISTRIES] {
        println!("\none CA over gRPC, docker and containerd, beside {registries} other registries");
        let tree = scratch.join(format!("call-{registries}"));
        make(&tree, registries);
        let daemon = Served::start(scratch, &tree);
        runtime().block_on(async {
            let client = daemon.client().await;
            let mut here = Node { tree: &tree, scratch, daemon: &daemon, client };
            report(&here.turns().await, bars);
            if registries == 0 {
                here.against_ansible(bars).await;
            }
        });
    }
}

fn report(turns: &[Turn], bars: &mut Bars) {
    let of = |field: fn(&Turn) -> f64| sorted(turns.iter().map(field));
    let (ours, theirs) = (of(|turn| turn.regtrust), of(|turn| turn.bare));
    let ratios = of(|turn| turn.regtrust / turn.bare);
    for (name, all) in [("request to acknowledgement", &ours), ("bare durable writes", &theirs)] {
        let [median, high] = [0.5, 0.99].map(|share| milliseconds(quantile(all, share)));
        Bars::show(&format!("{name}, median and p99"), format!("{median} {high}"));
    }
    let median = quantile(&ratios, 0.5);
    let name = format!("ratio, median of {} pairs", turns.len());
    bars.hold(&name, format!("{median:.2} ×"), "4 ×", median <= BAR);
    let of_high = quantile(&ours, 0.99) / quantile(&theirs, 0.99);
    Bars::show("ratio of the p99s", format!("{of_high:.2} ×"));
}

impl Node<'_> {
    async fn turns(&mut self) -> Vec<Turn> {
        let mut turns = Vec::with_capacity(TURNS);
        let begin = Instant::now();
        for turn in 0..WARM_UP + TURNS {
            if turns.len() >= AT_LEAST && begin.elapsed() > LONGEST {
                break;
            }
            // Which goes first changes, and what the one wrote is on the disk before the other.
            let host = format!("new-{turn}.example:5000");
            let like = if turn % 2 == 1 { self.like(&host).await } else { Vec::new() };
            let early = (!like.is_empty()).then(|| self.bare(&like));
            let regtrust = self.add(&host).await;
            let files = self.files(&host);
            let bare = early.unwrap_or_else(|| self.bare(&files));
            self.withdraw().await;
            if turn >= WARM_UP {
                turns.push(Turn { regtrust, bare });
            }
        }
        turns
    }

    /// The files that a registry will have, as it has them once.
    async fn like(&mut self, host: &str) -> Vec<Managed> {
        self.add(host).await;
        let files = self.files(host);
        self.withdraw().await;
        files
    }

    async fn add(&mut self, host: &str) -> f64 {
        let registry = Registry {
            host: host.to_owned(),
            trust: Trust::Ca.into(),
            ca: tree::fixture("ca.pem"),
            ..Registry::default()
        };
        let request = ApplyRequest { registries: vec![registry], ..ApplyRequest::default() };
        let begin = Instant::now();
        self.client.apply(request).await.expect("apply");
        begin.elapsed().as_secs_f64()
    }

    async fn withdraw(&mut self) {
        self.client.apply(ApplyRequest::default()).await.expect("withdraw");
    }

    fn files(&self, host: &str) -> Vec<Managed> {
        let mut files = tree::managed(self.tree);
        let is_of_host = |file: &Managed| file.path.iter().any(|part| part.to_str() == Some(host));
        files.retain(is_of_host);
        assert!(files.len() >= 3, "a CA for docker, and one with its hosts.toml for containerd");
        files
    }

    fn bare(&self, files: &[Managed]) -> f64 {
        let target = self.scratch.join("bare");
        fs::create_dir(&target).expect("make a directory");
        // The directories of all registries are there on any node.
        for directory in ["etc/docker/certs.d", "etc/containerd/certs.d"] {
            fs::create_dir_all(target.join(directory)).expect("make a directory");
        }
        // What was made for it is not its to write: regtrustd comes after a withdrawal that is on
        // the disk already.
        File::open(self.scratch).and_then(|made| made.sync_all()).expect("sync a directory");
        let took = bare::write(&target, files).elapsed.as_secs_f64();
        fs::remove_dir_all(target).expect("clear a tree away");
        took
    }

    /// In turn as well; it is slow, so a few turns say enough.
    async fn against_ansible(&mut self, bars: &mut Bars) {
        let what = "times as fast as ansible-playbook";
        let ansible = match Ansible::install(&super::directory_of_tools()) {
            Ok(ansible) => ansible,
            Err(why) => return bars.unmeasured(what, &why),
        };
        let (mut regtrust, mut plays) = (Vec::new(), Vec::new());
        for turn in 0..=PLAYS {
            let host = format!("play-{turn}.example:5000");
            // While a play runs nobody answers the daemon's pings, and it hangs up.
            self.client = self.daemon.client().await;
            let ours = self.add(&host).await;
            let files = self.files(&host);
            self.withdraw().await;
            let target = self.scratch.join("played");
            let theirs = ansible.play(&target, &host, &files);
            fs::remove_dir_all(target).expect("clear a tree away");
            // The first is for the caches.
            if turn > 0 {
                regtrust.push(ours);
                plays.push(theirs);
            }
        }
        let ratios = sorted(plays.iter().zip(&regtrust).map(|(theirs, ours)| theirs / ours));
        let median = quantile(&ratios, 0.5);
        let play = quantile(&sorted(plays), 0.5);
        Bars::show(&format!("{}, median of {PLAYS}", ansible.version), format!("{play:.2} s"));
        bars.hold(what, format!("{median:.0} ×"), "at least 150 ×", median >= ANSIBLE_BAR);
    }
}
