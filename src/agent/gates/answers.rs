//! What the gates hear: the answers of their tasks, and work that begins.

use std::future::pending;

use super::{Answered, Gates};
use crate::blocking::joined;
use crate::gate::Heard;
use crate::runtime::changes::Calm;
use crate::trust::entry::Runtime;

impl Gates {
    /// The next answer, or that something has begun.
    pub(in crate::agent) async fn finished(&mut self) -> Option<(Runtime, Heard)> {
        // One turn at a time, so there is one at most.
        let mut ears =
            self.of.iter_mut().filter_map(|(runtime, kept)| Some((*runtime, kept.ear.as_mut()?)));
        let stirred = async {
            match ears.next() {
                Some((runtime, ear)) => {
                    ear.next().await;
                    runtime
                }
                None => pending().await,
            }
        };
        let ended = tokio::select! {
            Some(ended) = self.running.join_next() => ended,
            runtime = stirred => return Some((runtime, Heard::Stirred)),
        };
        let (runtime, (heard, ear)) = joined(ended).await;
        if let Some(kept) = self.of.get_mut(&runtime) {
            kept.ear = ear.or(kept.ear.take());
        }
        Some((runtime, heard))
    }

    /// What begins from now on calls nothing off.
    pub(super) fn disturb(&mut self, runtime: Runtime) {
        if let Some(kept) = self.of.get_mut(&runtime) {
            kept.calm = Calm::default();
        }
    }

    pub(super) fn begin(
        &mut self,
        runtime: Runtime,
        act: impl Future<Output = Answered> + Send + 'static,
    ) {
        self.running.spawn(async move { (runtime, act.await) });
    }

    pub(in crate::agent) fn hears(&mut self, runtime: Runtime, heard: Heard) {
        if let Some(kept) = self.of.get_mut(&runtime) {
            if let Heard::Looked(look) = &heard {
                kept.looked = Some(look.since);
            }
            kept.at_work = None;
            kept.heard = Some(heard);
        }
    }
}
