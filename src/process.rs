//! What the process itself gives away.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// Client keys pass through memory, so a crash must leave no core file, and no other process of a
/// lesser user may look in.
///
/// # Errors
/// A kernel that refuses this is one whose secrets we cannot keep.
pub fn keep_secrets() -> nix::Result<()> {
    prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}
