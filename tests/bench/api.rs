//! What hostile peers cost an honest one: how long `GetStatus` takes on an open connection while
//! nothing else happens, and beside 1,000 TLS connections that never say who they are.
//!
//! By turns, in one run: a machine that is slower for a while is so for both. Each connection that the
//! daemon closes is opened again a second later, so that 1,000 peers want in at any time. The daemon,
//! the caller and the attackers have a thread each. It fails when the 99th percentile is more than
//! twice the idle one plus 5 ms.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "a benchmark acts on the node by itself, and shares the tests' clients"
)]

#[path = "../api_access/client.rs"]
mod client;
#[path = "../api_access/daemon.rs"]
mod daemon;
mod machine;
#[path = "../api_access/pki.rs"]
mod pki;
#[path = "../api_access/yes.rs"]
mod yes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::Manner;
use daemon::Daemon;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pki::{ADMIN, Pki};
use regtrust::api::v1::GetStatusRequest;
use regtrust::api::v1::node_client::NodeClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tonic::transport::Channel;

const HALF_OPEN: usize = 1_000;
/// One of each: idle, beside the attack. Which comes first changes.
const ROUNDS: usize = 8;
/// Of one round on one socket: 4,000 in all, of which 40 are slower than the 99th percentile.
const CALLS: usize = 500;
/// Not counted, after every change: connections are being opened or closed then.
const WARM_UP: usize = 100;
const BAR: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    // `cargo test --all-targets` starts benchmarks as well, and they are no tests.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    println!("{}", machine::line(Path::new(env!("CARGO_TARGET_TMPDIR"))));
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(8_192), most).unwrap();

    let pki = Pki::new();
    let manner = Manner::new(&pki.root.certificate, Some(&pki.admin()));
    let (port, socket) = serve(pki);
    let runtime = runtime();
    let channels = runtime
        .block_on(async { [client::unix(&socket).await, manner.channel(port).await.unwrap()] });
    let attack = Attack::prepare(port);
    let mut sockets = [Latencies::default(), Latencies::default()];
    for round in 0..ROUNDS {
        for is_attacked in [round % 2 == 1, round % 2 == 0] {
            attack.set(is_attacked);
            for (latencies, channel) in sockets.iter_mut().zip(&channels) {
                let into = if is_attacked { &mut latencies.attacked } else { &mut latencies.idle };
                runtime.block_on(calls(channel, into));
            }
        }
    }
    attack.set(false);
    println!(
        "{} half-open connections were opened in {:.1} s of attack",
        attack.opened.load(Ordering::Relaxed),
        sockets.iter().flat_map(|one| &one.attacked).sum::<Duration>().as_secs_f64()
    );
    let named = sockets.into_iter().zip(["Unix socket", "mutual TLS"]);
    let are_met: Vec<bool> = named.map(|(latencies, name)| latencies.report(name)).collect();
    if are_met.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Serves the API on a thread of its own, for as long as this process lives.
fn serve(pki: Pki) -> (u16, PathBuf) {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let people = format!("[[access]]\nrole = \"admin\"\nsan = \"{ADMIN}\"\n");
            let daemon = Daemon::remote(&people, &pki, true).await;
            told.send((daemon.port, daemon.admin_socket())).unwrap();
            std::future::pending::<()>().await;
        });
    });
    address.recv().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn calls(channel: &Channel, took: &mut Vec<Duration>) {
    let mut client = NodeClient::new(channel.clone());
    for call in 0..WARM_UP + CALLS {
        let begin = Instant::now();
        client.get_status(GetStatusRequest {}).await.unwrap();
        if call >= WARM_UP {
            took.push(begin.elapsed());
        }
    }
}

#[derive(Default)]
struct Latencies {
    idle: Vec<Duration>,
    attacked: Vec<Duration>,
}

impl Latencies {
    /// Whether the bar is met.
    fn report(mut self, name: &str) -> bool {
        self.idle.sort();
        self.attacked.sort();
        let of = |sorted: &[Duration], percent: usize| sorted[sorted.len() * percent / 100];
        let (idle, attacked) = (of(&self.idle, 99), of(&self.attacked, 99));
        let bar = idle * 2 + BAR;
        let is_met = attacked <= bar;
        println!(
            "{name:12} GetStatus, {} calls each: idle median {:.2?} p99 {idle:.2?}; beside \
             {HALF_OPEN} half-open median {:.2?} p99 {attacked:.2?}; bar {bar:.2?} {}",
            self.idle.len(),
            of(&self.idle, 50),
            of(&self.attacked, 50),
            if is_met { "met" } else { "MISSED" }
        );
        is_met
    }
}

/// Peers who connect, begin a TLS record and say no more, while they are told to.
struct Attack {
    opened: Arc<AtomicUsize>,
    /// Peers that are connected, or are waiting to be again.
    busy: Arc<AtomicUsize>,
    on: watch::Sender<bool>,
}

impl Attack {
    fn prepare(port: u16) -> Self {
        let (on, told) = watch::channel(false);
        let attack = Self { opened: Arc::default(), busy: Arc::default(), on };
        let (opened, busy) = (Arc::clone(&attack.opened), Arc::clone(&attack.busy));
        std::thread::spawn(move || {
            runtime().block_on(async {
                for _ in 0..HALF_OPEN {
                    let (opened, busy) = (Arc::clone(&opened), Arc::clone(&busy));
                    tokio::spawn(peer(port, opened, busy, told.clone()));
                }
                std::future::pending::<()>().await;
            });
        });
        attack
    }

    /// Returns when every peer does as it is told.
    fn set(&self, on: bool) {
        self.on.send_replace(on);
        let wanted = if on { HALF_OPEN } else { 0 };
        while self.busy.load(Ordering::Relaxed) != wanted {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

async fn peer(
    port: u16,
    opened: Arc<AtomicUsize>,
    busy: Arc<AtomicUsize>,
    mut on: watch::Receiver<bool>,
) {
    // Until nobody is left who could give the sign.
    while on.wait_for(|on| *on).await.is_ok() {
        let mut is_busy = false;
        while *on.borrow() {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
                opened.fetch_add(1, Ordering::Relaxed);
                busy.fetch_add(usize::from(!is_busy), Ordering::Relaxed);
                is_busy = true;
                let begun = stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.is_ok();
                let mut bytes = [0; 64];
                tokio::select! {
                    () = async {
                        while begun && !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
                    } => {}
                    _ = on.wait_for(|on| !*on) => break,
                }
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                _ = on.wait_for(|on| !*on) => break,
            }
        }
        busy.fetch_sub(usize::from(is_busy), Ordering::Relaxed);
    }
}
