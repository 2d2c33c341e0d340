#![expect(clippy::disallowed_methods, reason = "makes trees and looks at them from outside")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

fn tree() -> (tempfile::TempDir, NodeRoot) {
    let directory = tempfile::tempdir().unwrap();
    let root = NodeRoot::open(directory.path()).unwrap();
    (directory, root)
}

#[test]
fn the_state_directory_is_made_for_its_owner_alone() {
    let (directory, root) = tree();
    let _lock = StateLock::exclusive(&root, Duration::ZERO).unwrap();
    let mode = |path: &str| fs::metadata(directory.path().join(path)).unwrap().mode() & 0o7777;
    let paths = ["var", "var/lib", "var/lib/regtrust", "var/lib/regtrust/lock"];
    assert_eq!(paths.map(mode), [0o755, 0o755, 0o700, 0o600]);
}

#[test]
fn a_state_directory_that_others_could_read_is_closed_to_them() {
    let (directory, root) = tree();
    let state = directory.path().join("var/lib/regtrust");
    fs::create_dir_all(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let _lock = StateLock::exclusive(&root, Duration::ZERO).unwrap();
    assert_eq!(fs::metadata(&state).unwrap().mode() & 0o7777, 0o700);
}

#[test]
fn only_one_process_owns_the_state_directory_and_the_other_is_told_which() {
    let (directory, root) = tree();
    let lock = StateLock::exclusive(&root, Duration::ZERO).unwrap();
    let stat = fs::metadata(directory.path().join("var/lib/regtrust/lock")).unwrap();
    let (major, minor) = (rustix::fs::major(stat.dev()), rustix::fs::minor(stat.dev()));
    let inode = stat.ino();
    let table = format!(
        "1: POSIX  ADVISORY  WRITE 7 {major:02x}:{minor:02x}:{inode} 0 EOF\n\
         2: FLOCK  ADVISORY  WRITE 8 {major:02x}:{minor:02x}:1{inode} 0 EOF\n\
         3: FLOCK  ADVISORY  WRITE 812 {major:02x}:{minor:02x}:{inode} 0 EOF\n"
    );
    let message = |error: LockError| format!("{error}; {}", error.hint().unwrap_or_default());

    let unnamed = message(StateLock::exclusive(&root, Duration::ZERO).unwrap_err());
    fs::create_dir(directory.path().join("proc")).unwrap();
    fs::write(directory.path().join("proc/locks"), table).unwrap();
    let named = message(StateLock::shared(&root, Duration::from_millis(30)).unwrap_err());
    drop(lock);

    assert_eq!(
        unnamed,
        "another regtrust process owns `/var/lib/regtrust`; wait until it is done; \
         `fuser /var/lib/regtrust/lock` shows which one it is"
    );
    assert_eq!(
        named,
        "another regtrust process (pid 812) owns `/var/lib/regtrust`; \
         wait until process 812 is done, or stop it"
    );
    StateLock::exclusive(&root, Duration::ZERO).unwrap();
}

#[test]
fn reading_makes_nothing_and_lets_others_read() {
    let (directory, root) = tree();
    assert!(StateLock::shared(&root, Duration::ZERO).unwrap().is_none());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    drop(StateLock::exclusive(&root, Duration::ZERO).unwrap());
    let first = StateLock::shared(&root, Duration::ZERO).unwrap().unwrap();
    let second = StateLock::shared(&root, Duration::ZERO).unwrap().unwrap();
    StateLock::exclusive(&root, Duration::ZERO).unwrap_err();
    drop((first, second));
    StateLock::exclusive(&root, Duration::ZERO).unwrap();
}

#[test]
fn taking_it_again_writes_nothing() {
    let (directory, root) = tree();
    drop(StateLock::exclusive(&root, Duration::ZERO).unwrap());
    let stamps = || {
        ["var/lib/regtrust", "var/lib/regtrust/lock"].map(|path| {
            let stat = fs::metadata(directory.path().join(path)).unwrap();
            (stat.ctime(), stat.ctime_nsec(), stat.mtime_nsec())
        })
    };
    let before = stamps();
    drop(StateLock::exclusive(&root, Duration::ZERO).unwrap());
    assert_eq!(stamps(), before);
}

#[test]
fn whoever_waits_gets_it_when_it_is_free() {
    let (_directory, root) = tree();
    let lock = StateLock::exclusive(&root, Duration::ZERO).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(Duration::from_millis(100));
            drop(lock);
        });
        StateLock::exclusive(&root, Duration::from_secs(30)).unwrap();
    });
}

#[test]
fn a_daemon_at_work_is_seen_without_a_trace_and_stands_in_no_readers_way() {
    let (directory, root) = tree();
    DaemonLock::none(&root).unwrap();
    assert!(!directory.path().join("var").exists(), "asking makes nothing");
    let daemon = DaemonLock::take(&root).unwrap();
    assert!(matches!(DaemonLock::none(&root), Err(LockError::Daemon { .. })));
    assert!(matches!(DaemonLock::take(&root), Err(LockError::Daemon { .. })));
    assert!(StateLock::shared(&root, Duration::ZERO).unwrap().is_some());
    StateLock::exclusive(&root, Duration::ZERO).unwrap();
    drop(daemon);
    DaemonLock::none(&root).unwrap();
    DaemonLock::take(&root).unwrap();
}
