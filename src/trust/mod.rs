//! What trust means, knowing no runtime. Pure.

pub mod certificate;
pub mod declaration;
pub mod desired;
pub mod entry;
pub mod host;
pub mod policy;
mod printable;
pub mod problem;
pub mod toml_reader;
