//! Full, read-only and mounted-over targets, in a mount namespace of the test's own.

use std::process::Command;

use super::*;
use crate::txn::TxnError;
use crate::txn::steps::Transaction;

const INSIDE: &str = "REGTRUST_TEST_MOUNTS";

/// Runs this test again as root in a private mount namespace, where a tmpfs of so many MiB is
/// mounted on the directory that is returned. `None`: that was done, or cannot be done here.
pub(super) fn inside(test: &str, size: usize) -> Option<PathBuf> {
    inside_if("true", test, size)
}

/// The same where the script `possible` succeeds in such a namespace; `$1` is an empty directory.
pub(super) fn inside_if(possible: &str, test: &str, size: usize) -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os(INSIDE) {
        return Some(directory.into());
    }
    let here = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size={size}M,mode=755 regtrust \"$1\" && exec \"$2\" --exact \"$3\" \
         --nocapture"
    );
    let run = |command: &str, arguments: &[&std::ffi::OsStr]| {
        Command::new(command).args(arguments).env(INSIDE, here.path()).output()
    };
    let probe = ["--mount", "sh", "-c", possible, "sh"].map(std::ffi::OsStr::new);
    let probe: Vec<_> = probe.into_iter().chain([here.path().as_ref()]).collect();
    if !run("unshare", &probe).is_ok_and(|output| output.status.success()) {
        skipped(test);
        return None;
    }
    let exe = std::env::current_exe().unwrap();
    let name = format!("txn::tests::{test}");
    let arguments: [&std::ffi::OsStr; 7] = [
        "--mount".as_ref(),
        "sh".as_ref(),
        "-c".as_ref(),
        script.as_ref(),
        "sh".as_ref(),
        here.path().as_ref(),
        exe.as_ref(),
    ];
    let arguments: Vec<_> = arguments.into_iter().chain([name.as_ref()]).collect();
    let output = run("unshare", &arguments).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
    None
}

#[expect(clippy::print_stderr, reason = "whoever reads a green run must see what it left out")]
fn skipped(test: &str) {
    eprintln!("SKIPPED {test}: no right to mount what it needs");
}

pub(super) fn mount(arguments: &[&str]) {
    assert!(Command::new("mount").args(arguments).status().unwrap().success(), "{arguments:?}");
}

/// Fills the file system but for so many pages.
fn fill(node: &Node, pages_left: u64) {
    let free = rustix::fs::statvfs(node.directory.path()).unwrap().f_bavail;
    let bytes = usize::try_from(free.saturating_sub(pages_left) * 4096).unwrap();
    fs::write(node.at("filler"), vec![0; bytes]).unwrap();
}

fn scenario(node: &Node) -> Changes {
    node.put("etc/a", &"a".repeat(5000), 0o644);
    node.put("etc/certs.d/h/client.cert", "c", 0o644);
    node.put("etc/certs.d/h/client.key", "k", 0o600);
    node.put("etc/certs.d/h/theirs", "t", 0o600);
    let big = "b".repeat(9000);
    let pair = [("client.cert", Some("c"), Some(&*big)), ("client.key", Some("k"), Some("l"))];
    changes([
        file(edit("etc/a", Some(&"a".repeat(5000)), Some(&big))),
        registry("etc/certs.d/h", &pair),
        registry("etc/certs.d/n", &[("ca.crt", None, Some(&big))]),
    ])
}

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    let name = "mounts::a_full_disk_leaves_everything_as_it_was";
    let Some(mounted) = inside(name, 2) else { return };
    let mut outcomes = [0, 0];
    for pages_left in 0..40 {
        let node = Node::over(tempfile::tempdir_in(&mounted).unwrap());
        let changes = scenario(&node);
        let (old, before) = (node.contents(), node.tree());
        let new = applied(old.clone(), &changes);
        let mut journal = node.journal(&changes);
        fill(&node, pages_left);

        let refused = node.commit(&changes).unwrap_err();
        assert!(matches!(&refused, TxnError::Refused(all) if all[0].cure == "free some space"));

        // Somebody else may fill the disk after the preflight, so: on without it.
        let outcome =
            Transaction::begin(&node.root, &node.lock, &mut journal).map(Transaction::run);
        fs::remove_file(node.at("filler")).unwrap();
        match outcome.unwrap() {
            Ok(()) => assert_eq!(node.contents(), new, "{pages_left} pages left"),
            Err(_) => assert_eq!(node.tree(), before, "{pages_left} pages left"),
        }
        node.assert_clean(&format!("{pages_left} pages left"));
        outcomes[usize::from(node.contents() == new)] += 1;
    }
    assert!(outcomes.iter().all(|count| *count > 5), "{outcomes:?}: nothing was tried");
}

#[test]
fn targets_that_are_read_only_or_mounted_over_are_refused() {
    let name = "mounts::targets_that_are_read_only_or_mounted_over_are_refused";
    let Some(mounted) = inside(name, 2) else { return };
    let node = Node::over(tempfile::tempdir_in(&mounted).unwrap());
    let changes = scenario(&node);
    let at = |name: &str| node.at(name).display().to_string();
    mount(&["--bind", &at("etc/a"), &at("etc/a")]);
    mount(&["--bind", &at("etc/certs.d"), &at("etc/certs.d")]);
    mount(&["-o", "remount,ro,bind", &at("etc/certs.d")]);

    let refusals = crate::txn::preflight(&node.root, &changes).unwrap();

    let said: Vec<_> =
        refusals.iter().map(|is| format!("{} {}; {}", is.path, is.reason, is.cure)).collect();
    let expected = [
        "/etc/a is a mount point, so nothing can take its place; mount the directory that holds \
         it instead",
        "/etc/certs.d lies on a file system that is read-only here; remount it writable, or add it \
         to the service's `ReadWritePaths=`",
        "/etc/certs.d/h lies on a file system that is read-only here; remount it writable, or add \
         it to the service's `ReadWritePaths=`",
    ];
    assert_eq!(said, expected);
}
