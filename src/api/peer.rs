//! Who is at the other end of a Unix socket.

use std::io;
use std::path::Path;

use tokio::net::UnixStream;

use crate::identity::{Identity, OVERFLOW_ID};
use crate::node::root::NodeRoot;
use crate::node_path;

#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("the kernel does not say who connected")]
    Unknown(#[source] io::Error),
    /// Behind this number may be anybody.
    #[error("whoever connected is hidden by a user namespace (uid {OVERFLOW_ID})")]
    Hidden,
}

/// What a uid that the kernel reports is worth here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Some users have no number in our user namespace, and the kernel shows one number for all.
    hides_users: bool,
}

impl Credentials {
    /// Looks at this process's own user namespace. In case of doubt it is one that hides users.
    pub fn observe() -> Self {
        let map = NodeRoot::open(Path::new("/"))
            .and_then(|root| root.read(&node_path!("proc/self/uid_map")));
        let map = map.ok().flatten().unwrap_or_default();
        Self { hides_users: !shows_every_user(&String::from_utf8_lossy(&map)) }
    }

    /// The kernel's word, as it was when the peer connected: numbers, never text.
    pub fn identify(self, stream: &UnixStream) -> Result<Identity, PeerError> {
        let peer = stream.peer_cred().map_err(PeerError::Unknown)?;
        self.judge(peer.uid(), peer.gid(), peer.pid())
    }

    fn judge(self, uid: u32, gid: u32, pid: Option<i32>) -> Result<Identity, PeerError> {
        if uid == OVERFLOW_ID && self.hides_users {
            return Err(PeerError::Hidden);
        }
        Ok(Identity::Unix { uid, gid, pid })
    }
}

/// Whether `/proc/self/uid_map` maps all users to themselves.
fn shows_every_user(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_hides_users_is_recognised() {
        for (map, shows) in [
            ("         0          0 4294967295\n", true),
            ("         0     100000      65536\n", false),
            ("0 0 1\n", false),
            ("0 0 65536\n65536 65536 4294901759\n", false),
            ("", false),
        ] {
            assert_eq!(shows_every_user(map), shows, "{map}");
        }
    }

    #[test]
    fn the_number_for_everybody_is_believed_only_where_it_is_somebody() {
        let nobody = |hides_users| Credentials { hides_users }.judge(OVERFLOW_ID, 0, None);
        assert!(matches!(nobody(true), Err(PeerError::Hidden)));
        assert!(nobody(false).is_ok());
        assert!(Credentials { hides_users: true }.judge(0, OVERFLOW_ID, None).is_ok());
    }
}
