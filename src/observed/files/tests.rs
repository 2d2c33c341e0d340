use super::*;
use crate::node_path;

fn file(text: &str) -> Found {
    Found::File { content: Content::plain(text), mode: 0o644, immutable: false }
}

#[test]
fn what_was_looked_at_by_its_path_is_no_name_in_a_listing() {
    let mut files = Files::default();
    let directory = node_path!("etc/docker");
    files.insert(&directory.join("daemon.json"), file("{}"));
    assert_eq!((files.is_listed(&directory), files.names(&directory).count()), (false, 0));
    files.list(&directory, ["b", "a"]);
    assert_eq!(files.names(&directory).collect::<Vec<_>>(), ["a", "b"]);
    assert!(files.lists(&directory, "a") && !files.lists(&directory, "daemon.json"));
    assert_eq!(files.get(&directory.join("daemon.json")), Some(&file("{}")));
    assert_eq!(files.get(&directory.join("a")), None, "listed, and nobody looked");
    assert_eq!(files.get(&directory), None, "that it is a directory nobody said");
}

#[test]
fn a_path_is_what_was_found_there_last() {
    let mut files = Files::default();
    let (directory, inside) = (node_path!("etc/a"), node_path!("etc/a/b"));
    files.insert(&inside, file("x"));
    for found in [Found::Directory, Found::Other, Found::Directory] {
        files.insert(&directory, found.clone());
        assert_eq!(files.get(&directory), Some(&found));
    }
    assert_eq!(files.get(&inside), Some(&file("x")));
    assert_eq!(files.get(&node_path!("etc")), None);
}

#[test]
fn a_whole_directory_is_the_same_as_its_parts() {
    let directory = node_path!("etc/a");
    let mut parts = Files::default();
    parts.insert(&directory, Found::Directory);
    parts.list(&directory, ["z", "k"]);
    parts.insert(&directory.join("z"), file("z"));
    let mut whole = Files::default();
    whole.insert_whole(&directory, vec![("z".into(), Some(file("z"))), ("k".into(), None)]);
    assert_eq!(whole, parts);
}
