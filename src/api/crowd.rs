//! How many connections there may be, and whose.
//!
//! Three limits, because one is never enough: in all, or memory and descriptors run out; for each
//! caller, or one takes everybody's; and for those who may only look, or a monitoring that went
//! wild would lock out the operator who comes to stop it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::identity::{Peer, Role};

/// Of one entrance. Two entrances do not share seats.
const SEATS: usize = 64;
const SEATS_OF_READERS: usize = 48;
/// For those who may do nothing at all, and are told so.
const SEATS_OF_STRANGERS: usize = 8;
const SEATS_OF_A_READER: usize = 8;
/// Each job that holds off restarts is a connection of its own, all of one build user.
const SEATS_OF_AN_OPERATOR: usize = 48;

/// Calls of one caller that are being worked on or whose answer it has yet to read.
const CALLS: usize = 8;
const STREAMS_OF_A_READER: usize = 16;
const STREAMS_OF_AN_OPERATOR: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<Present>);

#[derive(Debug, Default)]
struct Present {
    everybody: usize,
    readers: usize,
    strangers: usize,
    peers: BTreeMap<Peer, (usize, Arc<Allowance>)>,
}

/// What all connections of one caller share.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) calls: Arc<Semaphore>,
    pub(super) streams: Arc<Semaphore>,
}

/// The right to one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    peer: Peer,
    role: Option<Role>,
    pub(super) allowance: Arc<Allowance>,
}

impl Crowd {
    /// `None`: there is no room for this caller.
    pub(super) fn admit(self: &Arc<Self>, peer: &Peer, role: Option<Role>) -> Option<Seat> {
        let mut present = self.present();
        let mine = present.peers.get(peer).map_or(0, |(count, _)| *count);
        let has_room = present.everybody < SEATS
            && match role {
                Some(Role::Operator | Role::Admin) => mine < SEATS_OF_AN_OPERATOR,
                Some(Role::Reader) => {
                    mine < SEATS_OF_A_READER && present.readers < SEATS_OF_READERS
                }
                None => present.strangers < SEATS_OF_STRANGERS,
            };
        if !has_room {
            return None;
        }
        present.count(role, |count| count.saturating_add(1));
        let (count, allowance) =
            present.peers.entry(peer.clone()).or_insert_with(|| (0, Arc::new(Allowance::of(role))));
        *count = count.saturating_add(1);
        let allowance = Arc::clone(allowance);
        drop(present);
        Some(Seat { crowd: Arc::clone(self), peer: peer.clone(), role, allowance })
    }

    /// Nothing here can be half done, so the numbers are right also after a panic elsewhere in a test.
    fn present(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    fn count(&mut self, role: Option<Role>, change: impl Fn(usize) -> usize) {
        self.everybody = change(self.everybody);
        match role {
            Some(Role::Operator | Role::Admin) => {}
            Some(Role::Reader) => self.readers = change(self.readers),
            None => self.strangers = change(self.strangers),
        }
    }
}

impl Allowance {
    fn of(role: Option<Role>) -> Self {
        let streams = match role {
            Some(Role::Operator | Role::Admin) => STREAMS_OF_AN_OPERATOR,
            Some(Role::Reader) | None => STREAMS_OF_A_READER,
        };
        Self { calls: Arc::new(Semaphore::new(CALLS)), streams: Arc::new(Semaphore::new(streams)) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut present = self.crowd.present();
        present.count(self.role, |count| count.saturating_sub(1));
        if let Some((count, _)) = present.peers.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                present.peers.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(crowd: &Arc<Crowd>, uid: u32, role: Option<Role>, wanted: usize) -> Vec<Seat> {
        (0..wanted).map_while(|_| crowd.admit(&Peer::User(uid), role)).collect()
    }

    #[test]
    fn nobody_takes_everybodys_place() {
        let crowd = Arc::new(Crowd::default());
        let strangers: Vec<_> = (1000..1020).flat_map(|uid| admit(&crowd, uid, None, 9)).collect();
        assert_eq!(strangers.len(), 8);
        let readers: Vec<_> =
            (1..20).flat_map(|uid| admit(&crowd, uid, Some(Role::Reader), 99)).collect();
        assert_eq!(readers.len(), 48, "eight each, and then there is no room for readers");
        let operators = admit(&crowd, 50, Some(Role::Operator), 99);
        assert_eq!(operators.len(), 8, "for whom some is always left");
        assert!(crowd.admit(&Peer::User(0), Some(Role::Admin)).is_none(), "64 are 64");
        drop(readers);
        assert_eq!(admit(&crowd, 1, Some(Role::Reader), 99).len(), 8);
        drop((strangers, operators));
        assert_eq!(crowd.present().peers.len(), 0);
        assert_eq!(crowd.present().everybody, 0);
        assert_eq!(admit(&crowd, 50, Some(Role::Operator), 99).len(), 48);
    }

    #[test]
    fn connections_of_one_caller_share_what_it_may_do() {
        let crowd = Arc::new(Crowd::default());
        let seats = admit(&crowd, 1, Some(Role::Reader), 2);
        assert!(Arc::ptr_eq(&seats[0].allowance, &seats[1].allowance));
        let other = admit(&crowd, 2, Some(Role::Reader), 1);
        assert!(!Arc::ptr_eq(&seats[0].allowance, &other[0].allowance));
    }
}
