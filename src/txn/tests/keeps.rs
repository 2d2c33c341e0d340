//! What a change must keep: other people's files, and what is not content.

use rustix::fs::XattrFlags;

use super::*;

const HOST: &str = "etc/docker/certs.d/a.corp";

fn in_host(name: &str) -> String {
    format!("{HOST}/{name}")
}

fn set_attribute(path: &Path, value: &str) {
    rustix::fs::setxattr(path, "user.label", value.as_bytes(), XattrFlags::empty()).unwrap();
}

fn attribute(path: &Path) -> String {
    let mut value = vec![0; 64];
    let size = rustix::fs::getxattr(path, "user.label", value.as_mut_slice()).unwrap();
    value.truncate(size);
    String::from_utf8(value).unwrap()
}

#[test]
fn foreign_files_survive_the_exchange_of_their_directory_as_they_are() {
    let node = Node::on_disk();
    for name in ["client.cert", "client.key"] {
        node.put(&in_host(name), "old", 0o600);
    }
    node.put(&in_host("theirs.crt"), "T", 0o604);
    set_attribute(&node.at(&in_host("theirs.crt")), "theirs");
    set_attribute(&node.at(HOST), "directory");
    fs::set_permissions(node.at(HOST), fs::Permissions::from_mode(0o751)).unwrap();
    std::os::unix::fs::symlink("theirs.crt", node.at(&in_host("link"))).unwrap();
    let before = fs::symlink_metadata(node.at(&in_host("theirs.crt"))).unwrap();
    let pair =
        [("client.cert", Some("old"), Some("new")), ("client.key", Some("old"), Some("new"))];

    node.commit(&changes([registry(HOST, &pair)])).unwrap();

    let after = fs::symlink_metadata(node.at(&in_host("theirs.crt"))).unwrap();
    assert_eq!((after.ino(), after.mode(), after.nlink()), (before.ino(), before.mode(), 1));
    assert_eq!(attribute(&node.at(&in_host("theirs.crt"))), "theirs");
    assert_eq!(attribute(&node.at(HOST)), "directory");
    assert_eq!(fs::metadata(node.at(HOST)).unwrap().mode() & 0o7777, 0o751);
    assert_eq!(fs::read_link(node.at(&in_host("link"))).unwrap(), Path::new("theirs.crt"));
    assert_eq!(node.has(&in_host("client.key")).unwrap(), "new");
    node.assert_clean("after the exchange");
}

#[test]
fn a_file_keeps_its_mode_its_owner_and_its_attributes() {
    let node = Node::on_disk();
    node.put("etc/docker/daemon.json", "{}", 0o640);
    set_attribute(&node.at("etc/docker/daemon.json"), "label");
    let own = fs::metadata(node.at("etc/docker/daemon.json")).unwrap();
    let owner = if own.uid() == 0 { (4321, 8765) } else { (own.uid(), own.gid()) };
    std::os::unix::fs::chown(node.at("etc/docker/daemon.json"), Some(owner.0), Some(owner.1))
        .unwrap();

    node.commit(&changes([file(edit("etc/docker/daemon.json", Some("{}"), Some("{ }")))])).unwrap();

    let after = fs::metadata(node.at("etc/docker/daemon.json")).unwrap();
    assert_eq!((after.uid(), after.gid(), after.mode() & 0o7777), (owner.0, owner.1, 0o640));
    assert_eq!(attribute(&node.at("etc/docker/daemon.json")), "label");
}

#[test]
fn a_new_file_is_readable_by_all_unless_the_plan_says_otherwise() {
    let node = Node::new();
    let key = with_mode(0o600, edit("etc/a.key", None, Some("k")));
    let mut unit = registry(HOST, &[("ca.crt", None, Some("CA"))]);
    unit.edits.push(with_mode(0o600, edit(&in_host("client.key"), None, Some("k"))));

    node.put("etc/there", "", 0o644);
    fs::create_dir_all(node.at("etc/docker/certs.d")).unwrap();
    node.commit(&changes([file(key), file(edit("etc/b", None, Some("b"))), unit])).unwrap();

    let mode = |name: &str| node.tree().get(name).unwrap().mode & 0o7777;
    let modes = ["etc/a.key", "etc/b", HOST, &in_host("ca.crt"), &in_host("client.key")].map(mode);
    assert_eq!(modes, [0o600, 0o644, 0o755, 0o644, 0o600]);
}

#[test]
fn only_the_mode_may_change_and_a_crash_does_not_lose_that() {
    let node = Node::new();
    node.put("etc/a", "a", 0o644);
    let changes = changes([file(with_mode(0o600, edit("etc/a", Some("a"), Some("a"))))]);
    let mode = || node.tree().get("etc/a").unwrap().mode & 0o7777;

    let mut journal = node.journal(&changes);
    let mut txn =
        crate::txn::steps::Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    for step in txn.forward() {
        txn.perform(step).unwrap();
    }
    assert_eq!(mode(), 0o600);
    for step in txn.backward() {
        txn.perform(step).unwrap();
    }
    assert_eq!(mode(), 0o644);

    let mut txn =
        crate::txn::steps::Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    for step in txn.forward().take(3) {
        txn.perform(step).unwrap();
    }
    node.recover().unwrap();
    assert_eq!(mode(), 0o600);
}

#[test]
fn a_single_change_keeps_the_directory_and_the_last_removal_takes_it() {
    let node = Node::new();
    node.put(&in_host("ca.crt"), "1", 0o644);
    let inode = node.tree().get(HOST).unwrap().inode;

    node.commit(&changes([registry(HOST, &[("ca.crt", Some("1"), Some("2"))])])).unwrap();
    assert_eq!(node.tree().get(HOST).unwrap().inode, inode);
    node.commit(&changes([registry(HOST, &[("b.crt", None, Some("b"))])])).unwrap();
    assert_eq!(node.tree().get(HOST).unwrap().inode, inode);
    node.commit(&changes([registry(HOST, &[("b.crt", Some("b"), None)])])).unwrap();
    assert_eq!(node.tree().get(HOST).unwrap().inode, inode);
    node.commit(&changes([registry(HOST, &[("ca.crt", Some("2"), None)])])).unwrap();
    assert!(!node.at(HOST).exists());
    node.assert_clean("after the last removal");
}

#[test]
fn an_empty_directory_of_somebody_else_is_theirs_again_when_ours_leaves_it() {
    for edits in [
        &[("ca.crt", Some("CA"), None)][..],
        &[("client.cert", Some("C"), None), ("client.key", Some("K"), None)],
    ] {
        let node = Node::new();
        for (name, before, _) in edits {
            node.put(&format!("certs.d/a.corp/{name}"), before.unwrap(), 0o644);
        }
        let unit = Unit { keep: true, ..registry("certs.d/a.corp", edits) };
        node.commit(&Changes { units: vec![unit], ..Changes::default() }).unwrap();
        assert_eq!(fs::read_dir(node.at("certs.d/a.corp")).unwrap().count(), 0, "{edits:?}");
    }
}

#[test]
fn a_directory_that_somebody_nested_does_not_keep_trust_from_being_taken_away() {
    let node = Node::new();
    let two = [("a.crt", Some("a"), None), ("b.crt", Some("b"), None)];
    node.put(&in_host("a.crt"), "a", 0o644);
    node.put(&in_host("b.crt"), "b", 0o644);
    node.put(&in_host("theirs/x"), "x", 0o644);

    node.commit(&changes([registry(HOST, &two)])).unwrap();

    assert_eq!(node.contents(), Contents::from([(in_host("theirs/x"), "x".to_owned())]));
    node.assert_clean("after the removal");
}

#[test]
fn directories_of_others_are_not_removed_and_links_to_directories_are_used() {
    let node = Node::new();
    node.put("etc/full/theirs", "x", 0o644);
    node.put("data/docker/there", "x", 0o644);
    std::os::unix::fs::symlink("/data/docker", node.at("etc/docker")).unwrap();
    let changes = Changes {
        make_directories: vec![path("etc/docker")],
        units: vec![file(edit("etc/docker/daemon.json", None, Some("{}")))],
        remove_directories: vec![path("etc/full"), path("etc/absent"), path("etc/docker")],
    };

    node.commit(&changes).unwrap();

    assert_eq!(node.has("data/docker/daemon.json").unwrap(), "{}");
    assert_eq!(node.has("etc/full/theirs").unwrap(), "x");
    assert_eq!(fs::read_link(node.at("etc/docker")).unwrap(), Path::new("/data/docker"));
}

#[test]
fn file_systems_without_exchange_get_the_same_by_links() {
    use std::os::fd::AsFd as _;
    let node = Node::new();
    let directory = node.root.directory(&path("var/lib")).unwrap().unwrap();
    for (name, content) in [("staged", "new"), ("target", "old"), ("aside", "crash")] {
        node.put(&format!("var/lib/{name}"), content, 0o644);
    }
    let has = |name: &str| node.has(&format!("var/lib/{name}"));
    crate::txn::disk::exchange_by_links(directory.as_fd(), "staged", "target", "aside").unwrap();
    assert_eq!(has("target").unwrap(), "new");
    assert_eq!(has("staged").unwrap(), "old");
    assert_eq!(has("aside"), None);

    let rename = crate::txn::disk::rename_by_link;
    assert_eq!(rename(directory.as_fd(), "staged", "target"), Err(rustix::io::Errno::EXIST));
    rename(directory.as_fd(), "staged", "fresh").unwrap();
    assert_eq!((has("fresh").as_deref(), has("staged")), (Some("old"), None));
    fs::create_dir(node.at("var/lib/a")).unwrap();
    fs::create_dir(node.at("var/lib/b")).unwrap();
    assert_eq!(rename(directory.as_fd(), "a", "b"), Err(rustix::io::Errno::EXIST));
    rename(directory.as_fd(), "a", "c").unwrap();
    assert!(node.at("var/lib/c").exists());
}
