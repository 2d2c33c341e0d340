//! Who may call what, over each transport, and what hostile peers achieve.
//!
//! The sockets, TLS, HTTP/2 and the checks are the real ones. Behind them stands a service that says
//! yes to everything, so that every refusal is the transport's.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test ends at the first surprise, and makes the files that it needs"
)]

#[path = "api_access/bad_certificates.rs"]
mod bad_certificates;
#[path = "api_access/client.rs"]
mod client;
#[path = "api_access/daemon.rs"]
mod daemon;
#[path = "api_access/handed_over.rs"]
mod handed_over;
#[path = "api_access/health.rs"]
mod health;
#[path = "api_access/hostile.rs"]
mod hostile;
#[path = "api_access/live.rs"]
mod live;
#[path = "api_access/matrix.rs"]
mod matrix;
#[path = "api_access/page.rs"]
mod page;
#[path = "api_access/pki.rs"]
mod pki;
#[path = "api_access/sockets.rs"]
mod sockets;
#[path = "api_access/yes.rs"]
mod yes;
