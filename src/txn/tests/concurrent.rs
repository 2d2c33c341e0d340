//! A reader that never stops, beside a writer that never stops.

use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::*;

const HOST: &str = "etc/docker/certs.d/a.corp";
const SWAPS: usize = 500;

/// The names in the directory at one instant. `None`: there is no directory, or it stopped being
/// the one at its path while it was listed, so that what was listed is no instant's state.
fn listed(path: &Path) -> Option<Vec<String>> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let open = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let here = rustix::fs::fstat(&open).unwrap().st_ino;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(open.as_fd()).unwrap() {
        names.push(entry.unwrap().file_name().to_string_lossy().into_owned());
    }
    let now = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::empty()).ok()?.st_ino;
    (here == now).then(|| {
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    })
}

/// dockerd fails every pull from a registry with half a pair, and an empty directory hides
/// containerd's `_default`.
#[test]
fn a_client_pair_is_never_seen_by_halves_nor_its_directory_empty() {
    let node = Node::new();
    fs::create_dir_all(node.at("etc/docker/certs.d")).unwrap();
    let (done, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    let directory = node.at(HOST);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let Some(names) = listed(&directory) else { continue };
                let complete = [vec!["client.cert", "client.key"], vec!["ca.crt"]];
                assert!(complete.iter().any(|complete| *complete == names), "saw {names:?}");
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        let written = write_and_write_again(&node);
        done.store(true, Ordering::Relaxed);
        written.unwrap();
    });
    assert!(seen.load(Ordering::Relaxed) > 100, "the reader hardly looked");
}

/// Nothing -> a pair -> another pair -> a CA instead -> nothing.
fn write_and_write_again(node: &Node) -> Result<(), crate::txn::TxnError> {
    let pair = |before, after| [("client.cert", before, after), ("client.key", before, after)];
    let ca = |before, after| ("ca.crt", before, after);
    let [cert, key] = pair(Some("2"), None);
    let rounds = [
        registry(HOST, &pair(None, Some("1"))),
        registry(HOST, &pair(Some("1"), Some("2"))),
        registry(HOST, &[cert, key, ca(None, Some("CA"))]),
        registry(HOST, &[ca(Some("CA"), None)]),
    ];
    for round in rounds.iter().cycle().take(SWAPS) {
        node.commit(&changes([round.clone()]))?;
    }
    Ok(())
}
