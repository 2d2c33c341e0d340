//! The runtimes' own APIs: what they say about themselves and about registries.
//!
//! Each is asked on its own socket, through the root's handle. No credential is ever sent, and no
//! answer is read without a bound on its size and time.

pub mod alive;
pub mod busy;
pub mod changes;
pub mod containerd;
mod content;
pub mod cri;
pub mod docker;
pub mod grpc;
pub mod socket;
