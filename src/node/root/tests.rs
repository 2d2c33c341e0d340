#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "makes trees to read")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, FileType, RenameFlags};
use tempfile::TempDir;

use super::*;
use crate::content::Content;
use crate::node_path;

const READ: OFlags = OFlags::RDONLY;

fn tree() -> (TempDir, NodeRoot) {
    let tree = tempfile::tempdir().unwrap();
    let root = NodeRoot::open(tree.path()).unwrap();
    (tree, root)
}

fn path(path: &str) -> NodePath {
    NodePath::new(path).unwrap()
}

/// What the walk reads at a path.
fn walked(root: &NodeRoot, path: &str) -> Result<String, Errno> {
    let file = walk::walk(root.as_fd(), path, READ)?;
    let bytes = look::read_regular(file.as_fd(), &self::path(path));
    Ok(String::from_utf8(bytes.unwrap()).unwrap())
}

/// What openat2 reads at a path, with no walk to fall back on.
fn opened(root: &NodeRoot, path: &str) -> Result<String, Errno> {
    let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    // A rename anywhere on the machine, such as another test's, makes the kernel give up on `..`.
    let file = loop {
        match rustix::fs::openat2(root, path, READ, Mode::empty(), within) {
            Err(Errno::AGAIN) => {}
            opened => break opened?,
        }
    };
    let bytes = look::read_regular(file.as_fd(), &self::path(path));
    Ok(String::from_utf8(bytes.unwrap()).unwrap())
}

#[test]
fn links_are_resolved_within_the_root_alike_by_the_kernel_and_by_the_walk() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "outside").unwrap();
    let (tree, root) = tree();
    fs::create_dir_all(tree.path().join("data/inner")).unwrap();
    fs::create_dir(tree.path().join("etc")).unwrap();
    fs::write(tree.path().join("data/inner/file"), "inside").unwrap();
    let climb = format!("{}{}", "../".repeat(20), outside.path().display());
    for (link, target) in [
        ("absolute", "/data/inner"),
        ("relative", "../data/./inner/"),
        ("too-far-up", "../../../../../data/inner"),
        ("to-the-root", "/"),
        ("dots", ".."),
        ("twice", "absolute"),
        ("to-a-file", "twice/file"),
        ("outside", outside.path().to_str().unwrap()),
        ("climbs-outside", &climb),
        ("itself", "itself"),
        ("dangling", "/nowhere"),
        ("through-a-file", "absolute/file/.."),
    ] {
        symlink(target, tree.path().join("etc").join(link)).unwrap();
    }

    let inside = || Ok("inside".to_owned());
    for (path, read) in [
        ("data/inner/file", inside()),
        ("etc/absolute/file", inside()),
        ("etc/relative/file", inside()),
        ("etc/too-far-up/file", inside()),
        ("etc/to-the-root/data/inner/file", inside()),
        ("etc/dots/data/inner/file", inside()),
        ("etc/twice/file", inside()),
        ("etc/to-a-file", inside()),
        ("etc/outside/file", Err(Errno::NOENT)),
        ("etc/climbs-outside/file", Err(Errno::NOENT)),
        ("etc/itself", Err(Errno::LOOP)),
        ("etc/itself/file", Err(Errno::LOOP)),
        ("etc/dangling", Err(Errno::NOENT)),
        ("etc/through-a-file/file", Err(Errno::NOTDIR)),
        ("data/inner/file/x", Err(Errno::NOTDIR)),
    ] {
        assert_eq!(walked(&root, path), read, "walk to {path}");
        assert_eq!(opened(&root, path), read, "openat2 of {path}");
    }
}

#[test]
fn existence_and_directories_are_seen_through_links_by_the_walk_too() {
    let (tree, root) = tree();
    fs::create_dir(tree.path().join("real")).unwrap();
    fs::write(tree.path().join("file"), "").unwrap();
    symlink("/real", tree.path().join("link")).unwrap();
    symlink("/gone", tree.path().join("dangling")).unwrap();
    let walks = |path, flags| walk::walk(root.as_fd(), path, flags).map(drop);
    let directory = OFlags::PATH | OFlags::DIRECTORY;

    for (name, exists, is_directory) in [
        ("real", Ok(()), Ok(())),
        ("link", Ok(()), Ok(())),
        ("file", Ok(()), Err(Errno::NOTDIR)),
        ("dangling", Err(Errno::NOENT), Err(Errno::NOENT)),
    ] {
        assert_eq!(walks(name, OFlags::PATH), exists, "{name}");
        assert_eq!(walks(name, directory), is_directory, "{name}");
        assert_eq!(root.exists(&path(name)).unwrap(), exists.is_ok(), "{name}");
        assert_eq!(root.is_directory(&path(name)).unwrap(), is_directory.is_ok(), "{name}");
    }
}

#[test]
fn magic_links_are_refused() {
    let root = NodeRoot::open(Path::new("/")).unwrap();
    for path in ["proc/self/root/etc/passwd", "proc/self/cwd/Cargo.toml", "proc/self/exe"] {
        assert_eq!(opened(&root, path), Err(Errno::LOOP), "{path}");
        assert_eq!(walked(&root, path), Err(Errno::LOOP), "{path}");
        assert!(root.read(&self::path(path)).is_err(), "{path}");
    }
}

/// Ends the other thread also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A thread turns the directory on the way into a link that leads out, and back, all the time.
#[test]
fn a_swapped_directory_never_leads_out() {
    const TRIES: usize = 20_000;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "outside").unwrap();
    let (tree, root) = tree();
    fs::create_dir_all(tree.path().join("etc/docker")).unwrap();
    fs::write(tree.path().join("etc/docker/file"), "inside").unwrap();
    let climb = format!("{}{}", "../".repeat(20), outside.path().display());
    symlink(climb, tree.path().join("etc/spare")).unwrap();
    let (one, other) = (tree.path().join("etc/docker"), tree.path().join("etc/spare"));

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _stop = Stop(&done);
        let mut inside = 0;
        for _ in 0..TRIES {
            let read = root.read(&node_path!("etc/docker/file")).unwrap();
            assert_ne!(read.as_deref(), Some(&b"outside"[..]), "escaped");
            inside += usize::from(read.is_some());
            match walked(&root, "etc/docker/file") {
                Ok(read) => assert_eq!(read, "inside", "the walk escaped"),
                Err(errno) => assert!(matches!(errno, Errno::NOENT | Errno::NOTDIR), "{errno}"),
            }
            let found = root.look(&node_path!("etc/docker/file")).unwrap();
            let content = found.map(|found| matches!(found, Found::File { content, .. } if content == Content::plain("inside")));
            assert_ne!(content, Some(false), "look escaped");
        }
        assert!(inside > 0 && inside < TRIES, "no race took place: {inside} of {TRIES}");
    });
}

#[test]
fn what_is_no_regular_file_neither_blocks_nor_is_read() {
    let (tree, root) = tree();
    let fifo = tree.path().join("pipe");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::os::unix::net::UnixListener::bind(tree.path().join("socket")).unwrap();
    fs::create_dir(tree.path().join("directory")).unwrap();
    symlink("/pipe", tree.path().join("link")).unwrap();

    for (name, found) in [
        ("pipe", Some(Found::Other)),
        ("socket", Some(Found::Other)),
        ("directory", Some(Found::Directory)),
        ("link", Some(Found::Symlink { to: "/pipe".to_owned() })),
        ("nothing", None),
    ] {
        assert_eq!(root.look(&path(name)).unwrap(), found, "{name}");
    }
    for name in ["pipe", "link", "directory"] {
        let error = root.read(&path(name)).unwrap_err();
        assert!(matches!(error, RootError::NotAFile { .. }), "{name}: {error}");
    }
    let host = NodeRoot::open(Path::new("/")).unwrap();
    assert_eq!(host.look(&node_path!("dev/zero")).unwrap(), Some(Found::Other));
    assert!(matches!(host.read(&node_path!("dev/zero")), Err(RootError::NotAFile { .. })));
}

#[test]
fn a_huge_file_is_refused_and_not_read() {
    let (tree, root) = tree();
    let file = fs::File::create(tree.path().join("huge")).unwrap();
    file.set_len(LARGEST_FILE + 1).unwrap();

    assert!(matches!(root.read(&node_path!("huge")), Err(RootError::TooLarge { .. })));
    let found = root.look(&node_path!("huge")).unwrap();
    let error = "larger than 67108864 bytes".to_owned();
    assert_eq!(found, Some(Found::Unreadable { error }));
}

#[test]
fn files_are_read_whole_whatever_size_they_claim() {
    let (tree, root) = tree();
    for size in [0, 1, 4095, 4096, 4097, 300_000] {
        let bytes = vec![b'x'; size];
        fs::write(tree.path().join("file"), &bytes).unwrap();
        assert_eq!(root.read(&node_path!("file")).unwrap(), Some(bytes), "{size}");
    }
    let host = NodeRoot::open(Path::new("/")).unwrap();
    let status = host.read(&node_path!("proc/1/status")).unwrap().unwrap();
    assert!(status.starts_with(b"Name:"), "procfs claims that its files are empty");
}

#[test]
fn keys_are_secret_by_name_and_by_text() {
    let (tree, root) = tree();
    let pem = "-----BEGIN EC PRIVATE KEY-----\nhunter2\n";
    let binary = [&b"\xff\xfe"[..], pem.as_bytes()].concat();
    for (name, text, secret) in [
        ("client.key", &b"anything"[..], true),
        ("client.cert", pem.as_bytes(), true),
        ("client.bin", &binary, true),
        ("ca.crt", b"-----BEGIN CERTIFICATE-----", false),
    ] {
        fs::write(tree.path().join(name), text).unwrap();
        let found = root.look(&path(name)).unwrap().unwrap();
        assert_eq!(format!("{found:?}").contains("secret bytes"), secret, "{name}");
        let Found::File { content, .. } = found else { panic!("{name} is a file") };
        assert_eq!((content.bytes(), content.is_secret()), (text, secret), "{name}");
    }
}

#[test]
fn the_mode_is_seen_and_a_plain_file_is_not_immutable() {
    let (tree, root) = tree();
    let file = tree.path().join("file");
    fs::write(&file, "x").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4640)).unwrap();
    let found = root.look(&node_path!("file")).unwrap();
    let content = Content::plain("x");
    assert_eq!(found, Some(Found::File { content, mode: 0o4640, immutable: false }));
}

#[test]
fn a_name_that_is_not_utf8_is_told_apart_and_never_dropped_in_silence() {
    let (tree, root) = tree();
    fs::create_dir(tree.path().join("d")).unwrap();
    for name in [&b"b\xff"[..], "b\u{fffd}".as_bytes(), b"a"] {
        fs::write(tree.path().join("d").join(OsStr::from_bytes(name)), "").unwrap();
    }
    let listing = root.listing(&node_path!("d")).unwrap().unwrap();
    let names = vec!["a".into(), "b\u{fffd}".into()];
    assert_eq!(listing, Listing { names, not_utf8: vec![r"b\xff".to_owned()] });

    let error = root.names(&node_path!("d")).unwrap_err();
    assert_eq!(error.to_string(), r"`/d` holds `b\xff`, whose name is not UTF-8; rename it");
    let directory = root.directory(&node_path!("d")).unwrap().unwrap();
    assert!(names_in(directory.as_fd(), &node_path!("d")).is_err());
}

#[test]
fn a_shared_handle_can_be_listed_again() {
    let (tree, root) = tree();
    fs::write(tree.path().join("a"), "").unwrap();
    for _ in 0..2 {
        assert_eq!(names_in(root.as_fd(), &node_path!("x")).unwrap(), ["a"]);
    }
}
