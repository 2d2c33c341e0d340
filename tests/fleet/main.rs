//! The fleet's lock on real engines: etcd as the distribution ships it, one member and three, killed,
//! cut off, full; and a server that speaks both dialects of `FleetLock` and every fault of either.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test ends at the first surprise, and starts the servers that it needs"
)]

#[path = "../common/chance.rs"]
mod chance;
mod command;
#[path = "../common/machine.rs"]
mod common;
mod contenders;
mod crashes;
mod etcd;
mod faults;
mod fleetlock;
mod gateway;
#[expect(dead_code, reason = "written for the tests of the daemon, which use all of it")]
#[path = "../daemon/live.rs"]
mod live;
mod network;
mod operator;
mod proxy;
mod safety;
mod server;
mod slots;
mod three;

use jiff::Timestamp;
use regtrust::fleet::{Claim, FleetLock as _, Listing, Lock, Outcome, Taken};

pub(crate) fn claim(what: &str) -> Claim {
    claimed(what, "a CA for the system store")
}

pub(crate) fn claimed(what: &str, reason: &str) -> Claim {
    Claim {
        id: what.to_owned(),
        reason: reason.to_owned(),
        since: Timestamp::from_second(1_800_000_000).unwrap(),
    }
}

/// Takes a slot that has to be there.
pub(crate) async fn take(lock: &Lock, claim: &Claim) {
    assert_eq!(lock.take(claim).await, Taken::Granted, "{}", lock.node().id);
}

pub(crate) async fn free(lock: &Lock, claim: &Claim, end: Outcome) {
    assert_eq!(lock.free(claim, end).await, Ok(()), "{}", lock.node().id);
}

/// Who holds and who is unresolved, by node.
pub(crate) fn names(listing: &Listing) -> (Vec<&str>, Vec<&str>) {
    (
        listing.holders.iter().map(|entry| entry.node.as_str()).collect(),
        listing.unresolved.iter().map(|entry| entry.node.as_str()).collect(),
    )
}
