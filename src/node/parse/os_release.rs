//! Which family a distribution belongs to, from `/etc/os-release`. Pure.

use super::environment;
use crate::observed::CaLayout;

/// The family whose way of keeping CAs `ID` uses, or else the first of `ID_LIKE` that is known.
pub fn family(os_release: &str) -> Option<CaLayout> {
    let settings = environment::from_shell(os_release);
    let words = |key| settings.get(key).map(String::as_str).unwrap_or_default().split_whitespace();
    words("ID").chain(words("ID_LIKE")).find_map(known)
}

/// Most derivatives name their parent in `ID_LIKE`; those that do not are listed.
fn known(id: &str) -> Option<CaLayout> {
    match id {
        "debian" | "ubuntu" | "raspbian" | "deepin" | "uos" => Some(CaLayout::Debian),
        "alpine" | "postmarketos" => Some(CaLayout::Alpine),
        "rhel" | "fedora" | "centos" | "rocky" | "almalinux" | "ol" | "amzn" | "azurelinux"
        | "mariner" | "openEuler" | "openeuler" | "anolis" | "alinux" | "kylin" | "tencentos"
        | "opencloudos" | "photon" => Some(CaLayout::Redhat),
        "suse" | "opensuse" | "sles" | "sle-micro" => Some(CaLayout::Suse),
        "arch" | "archarm" => Some(CaLayout::Arch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_known_by_id_and_by_what_it_is_like() {
        for (text, expected) in [
            ("PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n", Some(CaLayout::Debian)),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(CaLayout::Debian)),
            ("NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.22.1\n", Some(CaLayout::Alpine)),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Some(CaLayout::Redhat)),
            ("ID=\"amzn\"\nID_LIKE=\"fedora\"\n", Some(CaLayout::Redhat)),
            ("ID=\"openEuler\"\n", Some(CaLayout::Redhat)),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Some(CaLayout::Suse)),
            ("ID=manjaro\nID_LIKE=arch\n", Some(CaLayout::Arch)),
            ("ID='arch'\n", Some(CaLayout::Arch)),
            ("# ID=debian\nID=nixos\n", None),
            ("", None),
        ] {
            assert_eq!(family(text), expected, "{text}");
        }
    }
}
