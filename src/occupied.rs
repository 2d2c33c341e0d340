//! Who works on this node without a container engine: jobs that hold a file locked, somebody who
//! holds a shutdown back, and runners of CI that are programs of the node itself.
//!
//! Each of these is the word of whoever may put a file there, ask logind, or name a process. None of
//! them can be forged into "nobody", and what forges a "somebody" can make a restart wait and no
//! more; an operator's `regtrust restart` asks none of them.

use std::sync::Arc;

use crate::blocking::blocking;
use crate::jobs::Occupancy;
use crate::node::root::NodeRoot;

mod files;
mod inhibitors;
mod runners;

/// All of them. None is asked of a tree that is no running node.
pub async fn without_engine(root: &Arc<NodeRoot>) -> Occupancy {
    let files = look(root, files::look).await;
    let runners = look(root, runners::look).await;
    files.join(runners).join(inhibitors::look(root).await)
}

async fn look(root: &Arc<NodeRoot>, at: fn(&NodeRoot) -> Occupancy) -> Occupancy {
    let root = Arc::clone(root);
    blocking(move || at(&root)).await
}
