//! How the node keeps the CAs that every program trusts.

use super::{any, text};
use crate::node::parse::os_release;
use crate::node::root::{NodeRoot, RootError};
use crate::node_path;
use crate::observed::CaLayout;

/// What each layout needs: any of the places of its tool, and something that no other layout has.
struct Signs {
    layout: CaLayout,
    tool: &'static [&'static str],
    own: &'static [&'static str],
}

const UPDATE_CA_CERTIFICATES: &[&str] =
    &["usr/sbin/update-ca-certificates", "usr/bin/update-ca-certificates"];
const UPDATE_CA_TRUST: &[&str] = &["usr/bin/update-ca-trust", "usr/sbin/update-ca-trust"];

const ALL: [Signs; 5] = [
    Signs { layout: CaLayout::Redhat, tool: UPDATE_CA_TRUST, own: &["etc/pki/ca-trust/source"] },
    Signs {
        layout: CaLayout::Arch,
        tool: UPDATE_CA_TRUST,
        own: &["etc/ca-certificates/trust-source"],
    },
    Signs { layout: CaLayout::Suse, tool: UPDATE_CA_CERTIFICATES, own: &["etc/pki/trust/anchors"] },
    Signs {
        layout: CaLayout::Alpine,
        tool: UPDATE_CA_CERTIFICATES,
        own: &["lib/apk/db", "usr/lib/apk/db"],
    },
    Signs { layout: CaLayout::Debian, tool: UPDATE_CA_CERTIFICATES, own: &["var/lib/dpkg/status"] },
];

/// The layout of the distribution's family, if its tool is installed; else the one whose tool and
/// own directories are here. `None`: no way is known to add a CA so that it stays.
pub(super) fn layout(root: &NodeRoot) -> Result<Option<CaLayout>, RootError> {
    let family = family(root)?;
    for signs in &ALL {
        if family == Some(signs.layout) && any(root, signs.tool)? {
            return Ok(family);
        }
    }
    for signs in &ALL {
        if any(root, signs.tool)? && any(root, signs.own)? {
            return Ok(Some(signs.layout));
        }
    }
    Ok(None)
}

fn family(root: &NodeRoot) -> Result<Option<CaLayout>, RootError> {
    for path in [node_path!("etc/os-release"), node_path!("usr/lib/os-release")] {
        if let Some(text) = text(root, &path)? {
            return Ok(os_release::family(&text));
        }
    }
    Ok(None)
}
