//! The members of an etcd cluster, asked one after the other until one answers.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint;
use tower::service_fn;

use super::session::Session;
use crate::agent::Answer;
use crate::effect::chain;
use crate::fleet::reach::{Reach, Speech};
use crate::fleet::trouble::Trouble;
use crate::settings::Address;

/// Between two rounds over all members: an election takes a second or two.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Members {
    reach: Reach,
    addresses: Vec<Address>,
    timeout: Duration,
    /// The one that answered last.
    first: AtomicUsize,
}

impl Members {
    pub(super) fn new(reach: Reach, addresses: Vec<Address>, timeout: Duration) -> Self {
        Self { reach, addresses, timeout, first: AtomicUsize::new(0) }
    }

    /// Talks with one member after the other until one conversation comes to its end.
    ///
    /// Each has a connection of its own, so that one that a firewall has forgotten, or a certificate
    /// that was renewed, is never in the way. A conversation that breaks off in the middle is begun
    /// again with the next member, so it has to begin by looking at what its forerunner has done.
    pub(super) async fn ask<'a, T>(
        &self,
        mut talk: impl FnMut(Session) -> Answer<'a, Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let count = self.addresses.len();
        let deadline = Instant::now() + self.timeout;
        // One that hangs leaves time for all the others.
        let share = self.timeout / u32::try_from(count + 1).unwrap_or(u32::MAX);
        let mut pause = FIRST_PAUSE;
        let mut last = Trouble::Misconfigured("no member of etcd is known".to_owned());
        while count > 0 && Instant::now() < deadline {
            let first = self.first.load(Ordering::Relaxed);
            for (at, address) in self.addresses.iter().enumerate().cycle().skip(first).take(count) {
                let left = deadline.saturating_duration_since(Instant::now()).min(share);
                let answer = timeout(left, async { talk(self.open(address).await?).await }).await;
                let trouble = match answer {
                    Ok(Ok(answer)) => {
                        self.first.store(at, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Ok(Err(trouble)) => trouble,
                    Err(_) => Trouble::Unavailable(format!("no answer within {left:.1?}")),
                };
                last = trouble.about(address);
                if matches!(last, Trouble::Misconfigured(_)) || Instant::now() >= deadline {
                    return Err(last);
                }
            }
            sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(last)
    }

    async fn open(&self, address: &Address) -> Result<Session, Trouble> {
        let mut only = Some(TokioIo::new(self.reach.connect(address, Speech::Http2).await?));
        let connector = service_fn(move |_| {
            let wire = only.take();
            async move { wire.ok_or_else(|| io::Error::other("the connection was lost")) }
        });
        let endpoint = Endpoint::from_shared(format!("http://{}", address.authority()))
            .map_err(|error| Trouble::Misconfigured(chain(&error)))?;
        let channel = endpoint.connect_with_connector(connector).await;
        let channel = channel.map_err(|error| Trouble::Unavailable(chain(&error)))?;
        Session::open(channel, self.reach.secret().await?).await
    }
}
