//! The real regtrustd on trees, and a real client: what is answered is compared with what lies on disk.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test ends at the first surprise, and makes the nodes that it needs"
)]

#[path = "common/machine.rs"]
mod common;

#[path = "daemon/commands.rs"]
mod commands;
#[path = "daemon/declares.rs"]
mod declares;
#[path = "daemon/files.rs"]
mod files;
#[path = "daemon/live.rs"]
mod live;
#[path = "daemon/process.rs"]
mod process;
#[path = "daemon/streams.rs"]
mod streams;
