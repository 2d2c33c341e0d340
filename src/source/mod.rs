//! Where desired state comes from.

use jiff::Timestamp;

use self::dropin::{Directory, Sources};
use self::pushed::Stock;
use crate::node::root::NodeRoot;
use crate::owners::Owners;
use crate::pushed::Pushed;
use crate::trust::desired::DesiredState;

pub mod dropin;
pub mod jobs;
pub mod pushed;
pub mod settings;
pub mod watch;

/// Everything that anybody wants of this node, and what its policy says.
///
/// `owners` is `None` when it cannot be told who they are.
pub fn read(
    root: &NodeRoot,
    extra: &[Directory],
    (stock, pushed): (&Stock, &Pushed),
    owners: Option<&Owners>,
    now: Timestamp,
) -> Sources {
    let nobody = Owners::default();
    let (before, after) = owners.unwrap_or(&nobody).around_files();
    let claims = |ranked| pushed::declarations(root, ranked, pushed);
    // A later one wins, so the owner that comes first stands last.
    let mut all = stock.unusable(owners);
    all.extend(claims(after));
    all.extend(dropin::declared(root, extra, now));
    all.extend(claims(before));
    Sources { desired: DesiredState::merge(all, now), policy: dropin::read_policy(root) }
}
