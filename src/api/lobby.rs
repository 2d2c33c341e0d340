//! Where TLS connections wait that have not said who they are.
//!
//! There is room for some, and when it is full the one that has waited longest goes. An honest
//! handshake takes milliseconds, so it is never the longest; refusing the newest instead would let
//! anybody who opens connections and says nothing keep everybody else out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Few enough that they, the connections and the program's own files stay far below the usual limit
/// of 1,024 descriptors.
pub(super) const ROOM: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Lobby(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    tickets: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A place in the lobby, until it is dropped or somebody else needs it more.
#[derive(Debug)]
pub(super) struct Ticket {
    lobby: Arc<Lobby>,
    number: u64,
    shown_out: oneshot::Receiver<()>,
}

impl Lobby {
    pub(super) fn enter(self: &Arc<Self>) -> Ticket {
        let mut waiting = self.waiting();
        if waiting.tickets.len() >= ROOM {
            // Dropping the sender is what its owner hears.
            waiting.tickets.pop_first();
        }
        let number = waiting.next;
        waiting.next = number.wrapping_add(1);
        let (sender, shown_out) = oneshot::channel();
        waiting.tickets.insert(number, sender);
        drop(waiting);
        Ticket { lobby: Arc::clone(self), number, shown_out }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Ends when the place is needed for somebody else.
    pub(super) async fn shown_out(&mut self) {
        // Nobody sends anything, so this ends when the sender is gone.
        let _gone = (&mut self.shown_out).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.lobby.waiting().tickets.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_longest_goes_first() {
        let lobby = Arc::new(Lobby::default());
        let mut tickets: Vec<Ticket> = (0..ROOM).map(|_| lobby.enter()).collect();
        for ticket in &mut tickets {
            assert!(ticket.shown_out.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        }
        let _newest = lobby.enter();
        tickets[0].shown_out().await;
        let second = tickets[1].shown_out.try_recv();
        assert_eq!(second, Err(oneshot::error::TryRecvError::Empty));
        assert_eq!(lobby.waiting().tickets.len(), ROOM);
        drop(tickets);
        assert_eq!(lobby.waiting().tickets.len(), 1);
    }
}
