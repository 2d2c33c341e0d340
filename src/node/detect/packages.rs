//! The package managers' databases, beneath the root.

use super::text;
use crate::node::parse::packages::{Names, apk, dpkg, dpkg_status_d, pacman};
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::Version;

/// What the packages that can provide a program are called.
pub(super) struct Package<'a> {
    pub(super) debian: Names<'a>,
    pub(super) alpine: Names<'a>,
    pub(super) arch: Names<'a>,
}

/// The installed version. `None`: no database that can be read knows it. An RPM database cannot.
pub(super) fn version(
    root: &NodeRoot,
    package: &Package<'_>,
) -> Result<Option<Version>, RootError> {
    if let Some(status) = text(root, &node_path!("var/lib/dpkg/status"))?
        && let Some(version) = dpkg(&status, package.debian)
    {
        return Ok(Some(version));
    }
    let status_d = node_path!("var/lib/dpkg/status.d");
    for name in root.listing(&status_d)?.unwrap_or_default().names {
        // Beside each package's stanza lies the list of its files.
        if package.debian.contains(&&*name)
            && let Some(stanza) = text(root, &status_d.join(&name))?
        {
            return Ok(dpkg_status_d(&stanza, package.debian));
        }
    }
    for database in [node_path!("lib/apk/db/installed"), node_path!("usr/lib/apk/db/installed")] {
        if let Some(installed) = text(root, &database)? {
            return Ok(apk(&installed, package.alpine));
        }
    }
    let local = root.listing(&node_path!("var/lib/pacman/local"))?.unwrap_or_default();
    Ok(pacman(local.names.iter().map(|name| &**name), package.arch))
}
