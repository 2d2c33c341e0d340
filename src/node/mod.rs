//! The node, read-only.

pub mod root;
