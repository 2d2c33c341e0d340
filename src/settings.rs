//! The daemon's own configuration: `/etc/regtrust/regtrustd.toml`. Pure.
//!
//! Without the file, or with an empty one, root on the node may do everything over the admin
//! socket, nobody else may do anything, and nothing listens on the network.
//!
//! ```toml
//! drift = "repair"        # what is ours and somebody changed: "repair" or "report"
//! restarts = "when-idle"  # of runtimes: "when-idle" or "on-request"
//!
//! [restart]                                      # what a restart waits for, and how long
//! quiet_period = "30s"
//! deadline = "24h"
//! on_deadline = "alert"                          # "alert", "drain" or "force"
//!
//! [listen]
//! admin_socket = "/run/regtrust/admin.sock"      # mode 0600
//! read_socket = "/run/regtrust-read/read.sock"   # mode 0660; nobody is more than a reader on it
//! read_gid = 990                                 # the group that may open it; else the daemon's
//!
//! [listen.tcp]                                   # without it, nothing listens on the network
//! address = "0.0.0.0:7443"
//! certificate_file = "/etc/regtrust/tls/tls.crt"
//! key_file = "/etc/regtrust/tls/tls.key"
//! client_ca_file = "/etc/regtrust/tls/ca.crt"
//! crl_file = "/etc/regtrust/tls/crl.pem"
//!
//! [[access]]                                     # who may call, and what
//! role = "admin"                                 # "reader", "operator" or "admin"
//! san = "spiffe://corp.example/zadig"            # or uid = 990, gid = 990, socket = "read"
//!
//! [[owner]]                                      # who may want something, and who comes first
//! name = "zadig"
//! priority = 10
//! san = "spiffe://corp.example/zadig"
//! hosts = ["*.corp", "harbor.corp:8443"]
//!
//! [fleet_lock]                                   # without it, no other node is asked
//! engine = "etcd"                                # or "fleetlock", with `url` in place of `endpoints`
//! endpoints = ["https://etcd-1.corp:2379", "https://etcd-2.corp:2379"]
//! ca_file = "/etc/regtrust/tls/etcd-ca.crt"
//! group = "ci-runners"
//! slots = 2                                      # so many nodes may restart at once
//!
//! [[window]]                                     # when runtimes may be restarted; else at any time
//! days = ["mon", "tue", "wed", "thu"]            # the night belongs to the day that it begins on
//! start = "22:00"
//! end = "05:00"
//! timezone = "Europe/Berlin"                     # else UTC
//! not_dates = ["2026-12-20..2027-01-06"]
//! ```
//!
//! A mistake anywhere makes the whole file unusable: half of an access list is another access list.

use std::net::SocketAddr;

use crate::gate::Rules;
use crate::identity::{Principal, Role};
use crate::node_path;
use crate::owners::Owners;
use crate::path::NodePath;
use crate::trust::problem::Problem;
use crate::window::Windows;

mod fleet;
mod listen;
mod parse;
mod people;
mod restart;
mod windows;

#[cfg(test)]
mod tests;

pub use fleet::{Address, ClientFiles, Credentials, Engine, Etcd, Fleet, NodeId};
pub use parse::parse_settings;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub drift: Drift,
    pub restarts: Restarts,
    /// `None`: restarts are this node's own affair.
    pub fleet: Option<Fleet>,
    pub listen: Listen,
    pub access: Vec<Grant>,
    pub owners: Owners,
    /// When runtimes may be restarted.
    pub windows: Windows,
    /// What a restart waits for, and how long.
    pub restart: Rules,
    /// What is understood and probably not meant.
    pub warnings: Vec<Problem>,
}

/// What becomes of a file of ours that somebody else has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drift {
    #[default]
    Repair,
    Report,
}

/// When a runtime may be restarted, as far as policy allows it at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restarts {
    /// By itself, when nothing would be interrupted.
    #[default]
    WhenIdle,
    /// Only when an operator asks.
    OnRequest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    pub admin_socket: NodePath,
    pub read_socket: NodePath,
    /// The group that may open the read socket. `None`: the daemon's own.
    pub read_gid: Option<u32>,
    pub tcp: Option<Tcp>,
}

/// Where to listen on the network, and the files that decide who is believed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcp {
    pub address: SocketAddr,
    pub certificate_file: NodePath,
    pub key_file: NodePath,
    pub client_ca_file: NodePath,
    pub crl_file: Option<NodePath>,
}

/// One `[[access]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub role: Role,
    pub to: Grantee,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    Principal(Principal),
    /// Whoever the file system lets open the read socket. The way to let a *group* read: the
    /// kernel does not tell a socket's owner which supplementary groups its peer has.
    ReadSocket,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            admin_socket: node_path!("run/regtrust/admin.sock"),
            read_socket: node_path!("run/regtrust-read/read.sock"),
            read_gid: None,
            tcp: None,
        }
    }
}

impl Default for Settings {
    /// For a node without the file, and for nothing else.
    fn default() -> Self {
        Self {
            drift: Drift::default(),
            restarts: Restarts::default(),
            fleet: None,
            listen: Listen::default(),
            access: Vec::new(),
            owners: Owners::default(),
            windows: Windows::default(),
            restart: Rules::default(),
            warnings: Vec::new(),
        }
    }
}
