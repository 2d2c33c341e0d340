//! regtrustd killed at a system call of an apply or of its effects, chosen by a seed.
//!
//! A first round through all steps writes down which calls each of them makes, and how the node is
//! after it. Then each step is made again and again, with a kill at one of those calls. systemd
//! starts the daemon anew, and nobody else does anything: the node must become one of the two that
//! it was between, whole, and what was acknowledged must be there.
//!
//! `REGTRUST_SOAK` makes it long, `REGTRUST_SEED` repeats a sequence.

use std::time::Instant;

use regtrust::api::v1::{ApplyRequest, NodeStatus, Phase};

use crate::calls::Call;
use crate::case::{Case, case};
use crate::chance::{Chance, seed};
use crate::lab::Node;
use crate::lab::daemon::{Daemon, connect, here};
use crate::lab::wait::{block_on, eventually};
use estate::{Estate, STEPS};
use picture::Picture;
use tracer::{Tracer, is_alive};

mod estate;
mod picture;
mod tracer;

pub(crate) const CASES: &[Case] = &[case!(Fresh a_kill_at_any_call_leaves_all_or_nothing)];

/// On each generation; of the three together 201 in `make soak`, and otherwise 21.
const SOAK: usize = 67;
const KILLS: usize = 7;
/// Not every run of a step makes the same calls: what is restarted depends on what has been loaded.
const TRIES_FOR_A_KILL: usize = 4;

struct Scene<'n> {
    node: &'n Node,
    daemon: Daemon<'n>,
    estate: Estate<'n>,
    /// How the node is in each state.
    pictures: Vec<Picture>,
    /// What each step asks of the kernel.
    calls: Vec<Vec<Call>>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    killed: bool,
    answered: bool,
    /// The node is in the new state.
    applied: bool,
}

fn a_kill_at_any_call_leaves_all_or_nothing(node: &Node) {
    let (seed, began) = (seed(), Instant::now());
    let kills = if std::env::var_os("REGTRUST_SOAK").is_some() { SOAK } else { KILLS };
    let mut chance = Chance::from(seed);
    let scene = Scene::rehearse(node);
    let (mut met, mut at) = (Vec::new(), 0);
    for number in 0..kills * TRIES_FOR_A_KILL {
        if met.len() == kills {
            break;
        }
        let call = choose(&mut chance, &scene.calls[at]);
        let what = format!(
            "{}: seed {seed}, try {number}: {}, killed at {} number {}: {}",
            node.suite, STEPS[at], call.name, call.number, call.arguments
        );
        let one = scene.step_with_kill(at, &call, &what);
        if one.killed {
            eprintln!("{what}: {}", if one.applied { "applied" } else { "as before" });
            met.push(one);
        }
        at = (at + 1) % STEPS.len();
    }
    let of = |is: fn(&Met) -> bool| met.iter().filter(|one| is(one)).count();
    eprintln!(
        "{}: {} kills that hit, seed {seed}: {} before the answer and {} after it; {} applied, {} as \
         before; {} s",
        node.suite,
        met.len(),
        of(|one| !one.answered),
        of(|one| one.answered),
        of(|one| one.applied),
        of(|one| !one.applied),
        began.elapsed().as_secs()
    );
    assert_eq!(met.len(), kills, "the others were never reached, seed {seed}");
}

/// As often one that speaks (to the bus, a runtime, a client) as one that writes: a step writes far
/// more than it speaks.
fn choose(chance: &mut Chance, calls: &[Call]) -> Call {
    let speaks = chance.below(2) == 0;
    let of_kind: Vec<&Call> = calls.iter().filter(|call| is_speech(call) == speaks).collect();
    (*of_kind[chance.below(of_kind.len())]).clone()
}

/// Calls after which something is different for somebody else. Waking another thread is not.
fn matters(call: &Call) -> bool {
    (is_speech(call) || call.is_mutating()) && !call.arguments.contains("eventfd")
}

fn is_speech(call: &Call) -> bool {
    let is_socket = call.arguments.split_once('>').is_some_and(|(first, _)| {
        ["<UNIX", "<TCP", "<socket"].iter().any(|kind| first.contains(kind))
    });
    call.name.starts_with("send") || (call.name.starts_with("write") && is_socket)
}

impl<'n> Scene<'n> {
    /// All steps once, with nobody killed.
    fn rehearse(node: &'n Node) -> Self {
        // A kubelet has been here, so containerd's own roots matter as well.
        node.write("/var/lib/kubelet/config.yaml", "");
        let daemon = Daemon::start(node);
        let estate = Estate::build(node);
        let (pictures, calls) = (Vec::new(), Vec::new());
        let mut scene = Self { node, daemon, estate, pictures, calls };
        // Regtrust's own records are there from the first change on.
        for state in [1, 0] {
            assert!(scene.apply(scene.estate.request(state)), "it is applied");
            scene.daemon.settled_at_once();
        }
        scene.pictures.push(Picture::of(node, &scene.daemon.settled_at_once()));
        for (at, step) in STEPS.iter().enumerate() {
            let tracer = Tracer::watching(scene.process());
            let state = (at + 1) % STEPS.len();
            assert!(scene.apply(scene.estate.request(state)), "{step}");
            let status = scene.daemon.settled_at_once();
            let calls: Vec<Call> = tracer.detach().into_iter().filter(matters).collect();
            eprintln!("{}: {step}: {} calls", node.suite, calls.len());
            scene.calls.push(calls);
            scene.estate.pulls(node, state, step);
            let picture = Picture::of(node, &status);
            if state == 0 {
                let difference = picture.difference(&scene.pictures[0]);
                assert_eq!(difference, "", "everything is withdrawn");
            } else {
                scene.pictures.push(picture);
            }
        }
        scene
    }

    /// The daemon, as this machine numbers it.
    fn process(&self) -> i32 {
        here(self.node, &self.daemon.shows("MainPID"))
    }

    /// Whether it was answered.
    fn apply(&self, request: ApplyRequest) -> bool {
        block_on(async {
            let mut client = connect(self.node).await.expect("regtrustd listens");
            client.apply(request).await.is_ok()
        })
    }

    /// Makes a step, and judges what has become of it. Afterwards it is made for good, as a control
    /// plane would that got no answer.
    fn step_with_kill(&self, at: usize, call: &Call, what: &str) -> Met {
        let (old, new) = (at, (at + 1) % STEPS.len());
        let number = self.daemon.shows("MainPID");
        let process = here(self.node, &number);
        let tracer = Tracer::killing_at(process, call);
        let answered = self.apply(self.estate.request(new));
        let settled = |status: &NodeStatus| status.phase() == Phase::Settled;
        eventually("it settles, or is killed", || {
            let is_settled = answered
                && self.daemon.try_status().is_some_and(|one| {
                    self.daemon.hurry(&one);
                    settled(&one)
                });
            (is_settled || !is_alive(process)).then_some(())
        });
        drop(tracer);
        let killed = !is_alive(process);
        assert!(answered || killed, "{what}: it was refused");
        let status = self.daemon.until(what, |status| {
            self.daemon.hurry(status);
            settled(status) && (!killed || self.daemon.shows("MainPID") != number)
        });
        let picture = Picture::of(self.node, &status);
        let applied = picture == self.pictures[new];
        let differs = || {
            let [old, new] = [old, new].map(|state| picture.difference(&self.pictures[state]));
            format!("{what}: neither the state before:\n{old}nor the one after:\n{new}")
        };
        assert!(applied || picture == self.pictures[old], "{}", differs());
        assert!(applied || !answered, "{what}: it was acknowledged, and is not there");
        self.estate.pulls(self.node, if applied { new } else { old }, what);
        if !applied {
            assert!(self.apply(self.estate.request(new)), "{what}: it is not taken afterwards");
            let picture = Picture::of(self.node, &self.daemon.settled_at_once());
            assert_eq!(picture.difference(&self.pictures[new]), "", "{what}: the second time");
        }
        Met { killed, answered, applied }
    }
}
