//! regtrust: makes a node's container runtimes trust the right image registries.

pub mod content;
pub mod ledger;
pub mod node;
pub mod observed;
pub mod path;
pub mod plan;
pub mod target;
pub mod trust;
