//! Pulls one after another, beside what the case does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use crate::lab::{Node, cri, engine};

const PAUSE: Duration = Duration::from_millis(10);

/// A runtime by the interface that people's tools use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Runtime {
    Docker,
    Containerd,
}

impl Runtime {
    pub(super) const BOTH: [Self; 2] = [Self::Docker, Self::Containerd];

    /// Pulls an image that is not there: it is removed first.
    pub(super) fn pull(self, node: &Node, image: &str) -> Result<(), String> {
        match self {
            Self::Docker => {
                engine::remove(node, image)?;
                engine::pull(node, image)
            }
            Self::Containerd => {
                cri::remove(node, image);
                cri::pull(node, image).map(drop)
            }
        }
    }
}

/// Which change is being made; the pulls look at it when they begin and when they end.
#[derive(Debug, Default)]
pub(super) struct Clock {
    change: AtomicUsize,
    pulls: [AtomicUsize; 2],
    over: AtomicBool,
}

impl Clock {
    pub(super) fn set(&self, change: usize) {
        self.change.store(change, Ordering::SeqCst);
    }

    fn now(&self) -> usize {
        self.change.load(Ordering::SeqCst)
    }

    fn count(&self, runtime: Runtime) {
        self.pulls[runtime as usize].fetch_add(1, Ordering::SeqCst);
    }

    /// How many pulls the slower runtime has behind it.
    pub(super) fn pulls(&self) -> usize {
        self.pulls
            .each_ref()
            .map(|pulls| pulls.load(Ordering::SeqCst))
            .into_iter()
            .min()
            .unwrap_or(0)
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// Stops the pulls when the case is over, and also when it panics: whoever waits for the threads
/// would otherwise wait for ever.
#[derive(Debug)]
pub(super) struct Bell<'c>(pub(super) &'c Clock);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) runtime: Runtime,
    pub(super) image: String,
    /// The runtime's own words.
    pub(super) words: String,
    /// The first and the last change that it saw.
    pub(super) changes: (usize, usize),
}

/// What came of one runtime's pulls.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) pulled: BTreeMap<String, usize>,
    pub(super) failures: Vec<Failure>,
}

impl Tally {
    pub(super) fn total(&self) -> usize {
        self.pulled.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.pulled.values();
        let (least, most) = (counts.clone().min(), counts.max());
        let (least, most) = (least.unwrap_or(&0), most.unwrap_or(&0));
        write!(f, "{} ({least} to {most} of each image)", self.total())
    }
}

/// Pulls all of `images` in turn with `runtime` until the clock is stopped.
pub(super) fn begin<'s, 'n: 's>(
    scope: &'s Scope<'s, 'n>,
    (node, clock): (&'n Node, &'n Clock),
    runtime: Runtime,
    images: &'n [String],
) -> ScopedJoinHandle<'s, Tally> {
    scope.spawn(move || {
        let mut tally = Tally::default();
        for image in images.iter().cycle() {
            if clock.is_over() {
                break;
            }
            // Without it the pulls leave the changes no processor, and those take twice as long.
            std::thread::sleep(PAUSE);
            let began = clock.now();
            match runtime.pull(node, image) {
                Ok(()) => *tally.pulled.entry(image.clone()).or_default() += 1,
                Err(words) => tally.failures.push(Failure {
                    runtime,
                    image: image.clone(),
                    words,
                    changes: (began, clock.now()),
                }),
            }
            clock.count(runtime);
        }
        tally
    })
}
