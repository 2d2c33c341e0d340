//! The node, read-only.

pub mod detect;
pub mod observe;
pub mod parse;
pub mod root;
