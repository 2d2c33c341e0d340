//! The node, read-only.

pub mod detect;
pub mod observe;
pub mod parse;
pub(crate) mod procfs;
pub mod root;
