//! The nodes' file systems: one Debian per generation of runtimes, built once and never written again.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use regtrust::content::Sha256Hex;
use rustix::fs::{FlockOperation, flock};

/// Raised when [`furnish`] changes, because the key of a cached image must name all that made it.
const EDITION: u32 = 4;

const PACKAGES: &[&str] = &[
    "apache2-utils",
    "apparmor",
    "busybox-static",
    "ca-certificates",
    "containerd",
    "curl",
    "dbus",
    "docker-registry",
    "docker.io",
    "iproute2",
    "iptables",
    "openssl",
    "podman",
    "procps",
    "skopeo",
    "strace",
    "systemd",
    "systemd-sysv",
];

/// Where docker's client and BuildKit's are packages of their own.
const SPLIT_DOCKER: &[&str] = &["docker-buildx", "docker-cli"];

/// What the packages start by themselves and no case wants: the registry would take port 5000, and
/// timers would run in the middle of a pull.
const MASKED: &[&str] = &[
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "docker-registry.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "podman-auto-update.timer",
    "podman-restart.service",
    "systemd-firstboot.service",
];

/// A generation of runtimes, by the Debian release that packages it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suite {
    /// docker 20.10, containerd 1.6, podman 4.3
    Bookworm,
    /// docker 26.1, containerd 1.7, podman 5.4
    Trixie,
    /// docker 28.5, containerd 2.1, podman 5.8
    Forky,
}

impl Suite {
    pub(crate) const ALL: [Self; 3] = [Self::Bookworm, Self::Trixie, Self::Forky];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }

    fn recipe(self) -> Vec<String> {
        let split = if self == Self::Bookworm { &[] } else { SPLIT_DOCKER };
        let packages: Vec<&str> = PACKAGES.iter().chain(split).copied().collect();
        vec![
            "--variant=minbase".to_owned(),
            // A testing suite's Release file expires when the mirror is a snapshot.
            "--aptopt=Acquire::Check-Valid-Until \"false\"".to_owned(),
            format!("--include={}", packages.join(",")),
            self.name().to_owned(),
        ]
    }

    fn key(self) -> String {
        let recipe = format!("{EDITION}\n{}\n{}", self.recipe().join("\n"), MASKED.join("\n"));
        let digest = Sha256Hex::of(recipe.as_bytes()).to_string();
        format!("{}-{}", self.name(), &digest[..16])
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Images outlive `cargo clean`: they take minutes and a mirror to make, and depend on nothing here.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("REGTRUST_LAB_CACHE")
        .map_or_else(|| PathBuf::from("/var/cache/regtrust-lab"), PathBuf::from)
}

/// The image of a suite, built when it is not there.
///
/// A directory under the final name is whole: it is built beside it and renamed. The lock is per
/// image, so that of two test runs one builds and the other waits for it.
pub(crate) fn of(suite: Suite) -> PathBuf {
    let image = cache().join(suite.key());
    if image.is_dir() {
        return image;
    }
    fs::create_dir_all(cache()).expect("the image cache can be made");
    let lock = File::create(cache().join(format!("{}.lock", suite.key()))).expect("lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("the image can be locked");
    if !image.is_dir() {
        build(suite, &image);
    }
    image
}

fn build(suite: Suite, image: &Path) {
    let started = std::time::Instant::now();
    eprintln!("building the image of a {suite} node, once; it is kept in {}", image.display());
    let partial = image.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).expect("the rest of a build that was cut short goes away");
    }
    let output = Command::new("mmdebstrap")
        .args(suite.recipe())
        .arg(&partial)
        .output()
        .expect("mmdebstrap starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "mmdebstrap made no {suite} image:\n{words}");
    furnish(&partial);
    fs::rename(&partial, image).expect("the finished image gets its name");
    eprintln!("built it in {} s", started.elapsed().as_secs());
}

/// Makes the tree fit for nodes that boot from it again and again.
fn furnish(image: &Path) {
    for unit in MASKED {
        let link = image.join("etc/systemd/system").join(unit);
        std::os::unix::fs::symlink("/dev/null", link).expect("a unit is masked");
    }
    // The package's own registry configuration lies in a directory that every case looks at.
    fs::remove_dir_all(image.join("etc/docker/registry")).expect("the package's registry goes");
    keep_few_roots(image);
    leave_the_firewall_alone(image);
    mask_generators(image);
    // What mmdebstrap copies from the machine that builds. A name that is not in the node's hosts
    // file must fail at once and everywhere alike, and a node has a name of its own.
    fs::write(image.join("etc/resolv.conf"), "").expect("the resolver is emptied");
    fs::remove_file(image.join("etc/hostname")).expect("the host's name goes");
}

/// The distribution's own tool starts half a dozen programs for every root that it knows. With the 150 of
/// Mozilla's that was half of all processes of a run of the tests, and what is tested needs some of them.
fn keep_few_roots(image: &Path) {
    const FEW: usize = 6;
    let path = image.join("etc/ca-certificates.conf");
    let all = fs::read_to_string(&path).expect("the distribution's roots");
    let few = all.lines().filter(|line| !line.starts_with(['#', '!'])).take(FEW);
    let few: Vec<&str> = few.collect();
    fs::write(&path, few.join("\n") + "\n").expect("the roots are named");
    let made =
        Command::new("chroot").arg(image).args(["update-ca-certificates", "--fresh"]).output();
    let made = made.expect("the tool starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// dockerd starts `iptables` a hundred times before it is ready, which on nodes that boot by the hundred was
/// most of what it did. Nothing here leaves its node.
fn leave_the_firewall_alone(image: &Path) {
    let options = "DOCKER_OPTS=\"--iptables=false --ip6tables=false\"\n";
    fs::write(image.join("etc/default/docker"), options).expect("docker gets its options");
}

/// systemd starts all of them at every boot and at every `daemon-reload`. A node has no disks that one of
/// them could find, and no consoles.
fn mask_generators(image: &Path) {
    let masks = image.join("etc/systemd/system-generators");
    fs::create_dir_all(&masks).expect("generators can be masked");
    let generators = fs::read_dir(image.join("usr/lib/systemd/system-generators"));
    for generator in generators.expect("systemd's generators") {
        let name = generator.expect("a directory can be read").file_name();
        std::os::unix::fs::symlink("/dev/null", masks.join(name)).expect("a generator is masked");
    }
}
