//! Work beside the threads that serve, and what becomes of a panic in it.
//!
//! A panic says that something we believed is not so. Whoever goes on after it writes as root what
//! follows from the mistake, so it ends the whole daemon. A release aborts (`panic` in Cargo.toml), and
//! what is built for tests passes it on from here to the loop, whose end is the daemon's. What is on disk
//! is whole at every moment, systemd starts the daemon anew, and the log has the reason.

use std::future::pending;
use std::panic::resume_unwind;

use tokio::task::{JoinError, spawn_blocking};

/// Runs work that waits for the disk, on a thread that may.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(spawn_blocking(work).await).await
}

/// What a task has brought.
pub async fn joined<T>(ended: Result<T, JoinError>) -> T {
    match ended {
        Ok(brought) => brought,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Nobody waits for a task that he has called off: the daemon ends, and this with it.
            Err(_) => pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_passed_on() {
        let caller = tokio::spawn(blocking(|| panic!("an index out of bounds")));
        let panic = caller.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref(), Some(&"an index out of bounds"));
        assert_eq!(blocking(|| 1).await, 1);
    }
}
