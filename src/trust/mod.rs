//! What trust means, knowing no runtime. Pure.

pub mod certificate;
pub mod certificate_cache;
pub mod declaration;
pub mod desired;
pub mod effective;
pub mod entry;
pub mod findings;
pub mod host;
pub mod policy;
pub(crate) mod printable;
pub mod problem;
pub mod stored;
pub mod toml_reader;
