//! Who has asked logind that the machine is not shut down.
//!
//! logind asks nobody before systemd restarts a unit, so to honour an inhibitor is our own choice:
//! `systemd-inhibit --what=shutdown` before a job's command is the way to say "not now" that every
//! node has already.

use std::sync::Arc;

use crate::effect::bus::{Bus, BusError};
use crate::effect::chain;
use crate::effect::logind::Inhibitor;
use crate::jobs::{Occupancy, Occupant, Source};
use crate::node::root::NodeRoot;
use crate::node_path;
use crate::trust::printable::printable;

const LONGEST: usize = 80;

pub(super) async fn look(root: &Arc<NodeRoot>) -> Occupancy {
    let unknown = |why| Occupancy::unknown(Source::Inhibitors, why);
    match ask(root).await {
        Ok(Some((_, true))) => unknown("the node is about to shut down".to_owned()),
        Ok(Some((inhibitors, false))) => Occupancy {
            occupants: inhibitors.iter().filter_map(occupant).collect(),
            unknown: Vec::new(),
        },
        // It keeps them in files as well, so that it can be restarted itself.
        Ok(None) => match root.names(&node_path!("run/systemd/inhibit")) {
            Ok(names) if names.as_ref().is_none_or(Vec::is_empty) => Occupancy::default(),
            Ok(_) => unknown("logind does not run, and there are inhibitors".to_owned()),
            Err(error) => unknown(chain(&error)),
        },
        Err(error) => unknown(chain(&error)),
    }
}

async fn ask(root: &NodeRoot) -> Result<Option<(Vec<Inhibitor>, bool)>, BusError> {
    let bus = Bus::connect(root).await?;
    let Some(inhibitors) = bus.inhibitors().await? else { return Ok(None) };
    Ok(Some((inhibitors, bus.prepares_for_shutdown().await?)))
}

/// One that only delays a shutdown wants to be told before it, and nothing more.
fn occupant(inhibitor: &Inhibitor) -> Option<Occupant> {
    let (what, who, why, mode, ..) = inhibitor;
    let blocks = mode.starts_with("block") && what.split(':').any(|what| what == "shutdown");
    blocks.then(|| Occupant {
        source: Source::Inhibitors,
        what: "shutdown inhibitor".to_owned(),
        name: printable(&format!("{who}: {why}"), LONGEST),
        since: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_blocks_a_shutdown_is_at_work() {
        let shown = |what: &str, mode: &str| {
            let [what, mode] = [what, mode].map(str::to_owned);
            let inhibitor = (what, "ci".to_owned(), "build\n7".to_owned(), mode, 990, 812);
            occupant(&inhibitor).map(|occupant| occupant.to_string())
        };
        let job = Some("shutdown inhibitor `ci: build\\n7`".to_owned());
        assert_eq!(shown("shutdown", "block"), job);
        assert_eq!(shown("sleep:shutdown:idle", "block"), job);
        assert_eq!(shown("shutdown", "block-weak"), job);
        assert_eq!(shown("shutdown", "delay"), None, "as kubelet and unattended-upgrades do");
        assert_eq!(shown("sleep", "block"), None);
        assert_eq!(shown("handle-lid-switch", "block"), None);
    }
}
