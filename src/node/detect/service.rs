//! A systemd service's unit file, drop-ins and environment files, beneath the root.

use std::collections::BTreeMap;

use super::expand::expand;
use super::text;
use crate::node::parse::containerd::clean;
use crate::node::parse::unit::{Fragment, Service};
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::Found;
use crate::path::NodePath;

/// Where units lie; what comes first wins. What generators and `systemctl set-property` make is left
/// out: it sets no command line of a container engine.
const DIRECTORIES: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Absent,
    /// A link to `/dev/null`, or an empty file: systemd refuses to start it.
    Masked,
    Service(Service),
}

/// Reads a service as systemd would after a `daemon-reload`.
pub(super) fn unit(root: &NodeRoot, name: &str) -> Result<Unit, RootError> {
    for directory in DIRECTORIES.map(NodePath::constant) {
        match fragment(root, &directory.join(name))? {
            None => {}
            Some(unit) if unit.text.is_empty() => return Ok(Unit::Masked),
            Some(unit) => return with_drop_ins(root, name, unit).map(Unit::Service),
        }
    }
    Ok(Unit::Absent)
}

fn with_drop_ins(root: &NodeRoot, name: &str, unit: Fragment) -> Result<Service, RootError> {
    let mut fragments = vec![unit];
    for path in drop_ins(root, name)?.into_values() {
        fragments.extend(fragment(root, &path)?);
    }
    let mut service = Service::read(&fragments);
    for file in service.environment_files.clone() {
        let Some(pattern) = clean(&file.path, None) else { continue };
        for path in expand(root, &pattern)? {
            if let Some(text) = text(root, &path)? {
                service.load(&Fragment { source: path.to_string(), text });
            }
        }
    }
    Ok(service)
}

/// The drop-ins by file name. One in `/etc` hides one of the same name in `/usr/lib`, and those for
/// this service hide those for every service; the order in which they count is that of the names.
fn drop_ins(root: &NodeRoot, name: &str) -> Result<BTreeMap<String, NodePath>, RootError> {
    let mut found = BTreeMap::new();
    for of in [&format!("{name}.d"), "service.d"] {
        for directory in DIRECTORIES.map(|directory| NodePath::constant(directory).join(of)) {
            for file in root.names(&directory)?.unwrap_or_default() {
                if file.strip_suffix(".conf").is_some() {
                    let path = directory.join(&file);
                    found.entry(file).or_insert(path);
                }
            }
        }
    }
    Ok(found)
}

/// One file, through links. A link to `/dev/null` is an empty file, also where the tree has no such
/// device.
fn fragment(root: &NodeRoot, path: &NodePath) -> Result<Option<Fragment>, RootError> {
    let null = match root.look(path)? {
        None => return Ok(None),
        Some(Found::Symlink { to }) => {
            clean(&to, path.parent().as_ref()) == Some(node_path!("dev/null"))
        }
        Some(_) => false,
    };
    let text = if null { Some(String::new()) } else { text(root, path)? };
    Ok(text.map(|text| Fragment { source: path.to_string(), text }))
}
