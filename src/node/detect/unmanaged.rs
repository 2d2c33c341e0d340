//! Engines that are here and read none of the files that are managed.

use super::any;
use super::processes::Processes;
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::Unmanaged;
use crate::path::NodePath;

/// The homes say who has a rootless docker. Confined as the daemon is it sees none of them, and then the
/// processes say who runs one.
pub(super) fn find(
    root: &NodeRoot,
    processes: Option<&Processes>,
) -> Result<Vec<Unmanaged>, RootError> {
    let mut found = Vec::new();
    found.extend(snap(root)?);
    for distribution in ["k3s", "rke2"] {
        found.extend(rancher(root, distribution)?);
    }
    rootless(root, "root", &node_path!("root"), &mut found);
    let homes = node_path!("home");
    match root.listing(&homes) {
        Ok(listing) => {
            for user in listing.unwrap_or_default().names {
                rootless(root, &user, &homes.join(&user), &mut found);
            }
        }
        Err(error) => found.push(hidden("somebody", &homes, &error)),
    }
    if found.iter().all(|one| !one.what.starts_with(ROOTLESS)) {
        let users = processes.map(Processes::rootless).unwrap_or_default();
        found.extend(users.into_iter().map(|user| {
            rootless_of(&format!("user {user}"), &node_path!("run/user").join(&user.to_string()))
        }));
    }
    found.sort();
    Ok(found)
}

const SNAP: [&str; 2] = ["snap/docker/current", "var/snap/docker"];

pub(super) fn has_snap(root: &NodeRoot) -> Result<bool, RootError> {
    any(root, &SNAP)
}

fn snap(root: &NodeRoot) -> Result<Option<Unmanaged>, RootError> {
    first(root, &SNAP.map(NodePath::constant)).map(|path| {
        path.map(|path| Unmanaged {
            what: "docker from a snap".to_owned(),
            path: path.to_string(),
            cure:
                "it reads /var/snap/docker/current/config/daemon.json only; set that by hand, or \
                   install docker from a package"
                    .to_owned(),
        })
    })
}

/// k3s and RKE2 write their containerd's hosts.toml anew at every start.
fn rancher(root: &NodeRoot, name: &str) -> Result<Option<Unmanaged>, RootError> {
    let places = ["etc/rancher", "var/lib/rancher"];
    let found = first(root, &places.map(|place| NodePath::constant(place).join(name)))?;
    Ok(found.map(|path| Unmanaged {
        what: format!("containerd of {name}"),
        path: path.to_string(),
        cure: format!(
            "it is configured by /etc/rancher/{name}/registries.yaml; put the registry there and \
             restart {name}"
        ),
    }))
}

/// A home that cannot be looked into (a network filesystem that does not trust root) is told, and
/// keeps nothing else from being managed.
fn rootless(root: &NodeRoot, user: &str, home: &NodePath, found: &mut Vec<Unmanaged>) {
    let places =
        [".config/systemd/user/docker.service", ".config/docker/daemon.json"].map(|p| home.join(p));
    match first(root, &places) {
        Ok(None) => {}
        Ok(Some(path)) => found.push(rootless_of(&format!("`{user}`"), &path)),
        Err(error) => found.push(hidden(user, home, &error)),
    }
}

const ROOTLESS: &str = "rootless docker of";

fn rootless_of(user: &str, path: &NodePath) -> Unmanaged {
    Unmanaged {
        what: format!("{ROOTLESS} {user}"),
        path: path.to_string(),
        cure: format!(
            "it reads ~/.config/docker/daemon.json and ~/.config/docker/certs.d only; {user} has to \
             set them"
        ),
    }
}

fn hidden(user: &str, place: &NodePath, error: &RootError) -> Unmanaged {
    Unmanaged {
        what: format!("{ROOTLESS} `{user}`, perhaps ({})", error.reason()),
        path: place.to_string(),
        cure: "look there as that user; if there is none, nothing is missing".to_owned(),
    }
}

/// The first path that exists.
fn first(root: &NodeRoot, paths: &[NodePath]) -> Result<Option<NodePath>, RootError> {
    for path in paths {
        if root.exists(path)? {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}
