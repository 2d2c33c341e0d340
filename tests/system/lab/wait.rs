//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Runtime;

/// Longer than anything takes on a busy machine, shorter than anyone's patience with a hung one.
pub(super) const DEADLINE: Duration = Duration::from_mins(2);

/// For one case, which waits and does nothing beside.
pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// The kernel tells the start of a process to the second and up to a second early, so the plan
/// only knows that a daemon has read a change when it started two seconds later.
pub(crate) fn let_a_change_age() {
    // The node's clock is this machine's.
    let second = || SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let now = second();
    eventually("two seconds later", || (second() >= now + 2).then_some(()));
}
