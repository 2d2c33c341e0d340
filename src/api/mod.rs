//! The gRPC contract, `proto/regtrust/v1`, and who may use it.
//!
//! ```text
//!  listen ──▶ serve ──▶ tls ──▶ connection ──▶ gate ──▶ routes ──▶ the node's service
//!  sockets    accepts   who?    HTTP/2, caps   role     health, reflection
//!             ╰──── peer: who? ────╯            │ ╰───▶ page: /metrics
//!                                               ╰─ access (pure): who may call what
//! ```
//!
//! Generated types appear nowhere outside this module, but for the command that calls it.

pub mod access;
mod asked;
mod certificate;
mod connection;
mod crowd;
mod declare;
mod errors;
mod gate;
mod health;
pub mod listen;
mod lobby;
mod locks;
mod node;
mod opening;
mod page;
pub mod peer;
mod present;
mod refusal;
mod routes;
mod serve;
pub mod tls;
mod verdict;
mod wait;

pub use health::Alive;
pub use node::Service;
pub use page::Metrics;
pub use routes::{RoutesError, routes};
pub use serve::{Doors, Inside, serve};

/// What the definitions generate.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    reason = "generated code follows its generator's taste"
)]
pub mod v1 {
    tonic::include_proto!("regtrust.v1");
}

/// The definitions themselves, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
