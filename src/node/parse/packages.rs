//! Versions from the package managers' databases. Pure.
//!
//! Debian's, Alpine's and Arch's are text or names of directories. RPM's are binary;
//! the version of a package there is unknown, and is not guessed from anything else.

use crate::observed::Version;

/// One of several packages that can provide a program, as its manager calls it.
pub type Names<'a> = &'a [&'a str];

/// From `/var/lib/dpkg/status`. What is not `installed` (removed with its configuration left, half
/// configured) does not count.
pub fn dpkg(status: &str, names: Names<'_>) -> Option<Version> {
    let installed = |stanza: &&str| {
        let state = field(stanza, "Status: ");
        state.is_some_and(|state| state.ends_with(" installed"))
    };
    only(stanzas(status).filter(|s| named(s, "Package: ", names)).filter(installed), "Version: ")
}

/// From the files in `/var/lib/dpkg/status.d`, which images without dpkg have: what is listed there
/// is installed.
pub fn dpkg_status_d(text: &str, names: Names<'_>) -> Option<Version> {
    only(stanzas(text).filter(|stanza| named(stanza, "Package: ", names)), "Version: ")
}

/// From `/lib/apk/db/installed`.
pub fn apk(installed: &str, names: Names<'_>) -> Option<Version> {
    only(stanzas(installed).filter(|stanza| named(stanza, "P:", names)), "V:")
}

/// From the directories `NAME-VERSION-RELEASE` in `/var/lib/pacman/local`.
pub fn pacman<'a>(directories: impl Iterator<Item = &'a str>, names: Names<'_>) -> Option<Version> {
    agreed(directories.filter_map(|directory| {
        let (rest, _release) = directory.rsplit_once('-')?;
        let (name, version) = rest.rsplit_once('-')?;
        names.contains(&name).then(|| version.parse().ok())
    }))
}

fn stanzas(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(|stanza| stanza.trim_start_matches('\n'))
}

fn named(stanza: &str, key: &str, names: Names<'_>) -> bool {
    // The name comes first but for what precedes it in an apk stanza (`C:`), so this is cheap.
    field(stanza, key).is_some_and(|name| names.contains(&name))
}

fn field<'a>(stanza: &'a str, key: &str) -> Option<&'a str> {
    stanza.lines().find_map(|line| line.strip_prefix(key)).map(str::trim_end)
}

fn only<'a>(stanzas: impl Iterator<Item = &'a str>, version: &str) -> Option<Version> {
    agreed(stanzas.map(|stanza| field(stanza, version)?.parse().ok()))
}

/// The version, if all packages that were found have the same one.
fn agreed(mut versions: impl Iterator<Item = Option<Version>>) -> Option<Version> {
    let first = versions.next()??;
    versions.all(|version| version == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKER: Names<'_> = &["docker.io", "docker-ce", "moby-engine"];

    const DPKG: &str = "\
Package: docker-cli
Status: install ok installed
Priority: optional
Version: 27.0.0

Package: docker.io
Status: install ok installed
Priority: optional
Section: admin
Installed-Size: 95580
Maintainer: Debian Go Packaging Team <team+pkg-go@tracker.debian.org>
Architecture: amd64
Version: 26.1.5+dfsg1-9+b7
Depends: adduser, containerd (>= 1.7~), iptables, runc (>= 1.1.7~), tini
Conffiles:
 /etc/default/docker 6f4a1e2b5c
 /etc/init.d/docker 9a8c
Description: Linux container runtime
 Version: 1.0.0

Package: containerd
Status: deinstall ok config-files
Version: 1.6.20~ds1-1+deb12u1

Package: docker-ce
Status: deinstall ok config-files
Version: 5:24.0.7-1~debian.12~bookworm
";

    #[test]
    fn dpkg_counts_what_is_installed_and_nothing_else() {
        assert_eq!(dpkg(DPKG, DOCKER), Some(Version::new(26, 1, 5)));
        assert_eq!(dpkg(DPKG, &["containerd"]), None, "removed, configuration left");
        assert_eq!(dpkg(DPKG, &["docker"]), None);
        assert_eq!(dpkg("", DOCKER), None);
    }

    #[test]
    fn two_packages_that_disagree_tell_nothing() {
        let stanza = |name: &str, version: &str| {
            format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n")
        };
        let same = stanza("docker.io", "26.1.5-1") + &stanza("docker-ce", "5:26.1.5-2");
        assert_eq!(dpkg(&same, DOCKER), Some(Version::new(26, 1, 5)));
        let differ = stanza("docker.io", "26.1.5-1") + &stanza("docker-ce", "5:28.0.0-1");
        assert_eq!(dpkg(&differ, DOCKER), None);
        assert_eq!(dpkg(&stanza("docker.io", "unknown"), DOCKER), None);
    }

    #[test]
    fn status_d_has_no_status() {
        let text = "Package: containerd\nVersion: 1.7.24~ds1-6+b4\nArchitecture: amd64\n";
        assert_eq!(dpkg_status_d(text, &["containerd"]), Some(Version::new(1, 7, 24)));
        assert_eq!(dpkg(text, &["containerd"]), None);
    }

    #[test]
    fn apk_stanzas_begin_with_a_checksum() {
        let installed = "\
C:Q1lFbUrAC6jFyBlgrTPWRbh5T1rkM=
P:docker-cli
V:28.3.3-r2

C:Q1Xo4fVnXQpWjYk2mLqRoH9bGq8gE=
P:docker-engine
V:28.3.3-r1
A:x86_64
S:24011023
F:usr/bin
R:dockerd
a:0:0:755

C:Q1yBT9hQ3z1U=
P:containerd
V:2.1.4-r0
";
        assert_eq!(apk(installed, &["docker-engine"]), Some(Version::new(28, 3, 3)));
        assert_eq!(apk(installed, &["containerd"]), Some(Version::new(2, 1, 4)));
        assert_eq!(apk(installed, &["docker"]), None);
    }

    #[test]
    fn pacman_names_its_directories_after_name_and_version() {
        let local = ["docker-1:28.5.1-1", "docker-compose-2.40.0-1", "containerd-2.1.4-2"];
        assert_eq!(pacman(local.into_iter(), &["docker"]), Some(Version::new(28, 5, 1)));
        assert_eq!(pacman(local.into_iter(), &["containerd"]), Some(Version::new(2, 1, 4)));
        assert_eq!(pacman(local.into_iter(), &["podman"]), None);
        assert_eq!(pacman(["ALPM_DB_VERSION"].into_iter(), &["docker"]), None);
    }
}
