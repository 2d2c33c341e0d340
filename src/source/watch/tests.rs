#![expect(clippy::disallowed_methods, reason = "makes trees to watch")]

use std::fs;
use std::os::unix::fs::symlink;

use tokio::time::timeout;

use super::*;
use crate::node_path;

struct Tree {
    directory: tempfile::TempDir,
    watch: Watch,
    wanted: BTreeSet<NodePath>,
}

impl Tree {
    fn new(wanted: &[NodePath]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let watch = Watch::new(directory.path());
        Self { directory, watch, wanted: wanted.iter().cloned().collect() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn begin(&mut self) {
        let root = NodeRoot::open(self.directory.path()).unwrap();
        self.watch.over(&root, &self.wanted);
    }

    async fn notices(&mut self) -> bool {
        let noticed = timeout(Duration::from_secs(5), self.watch.changed()).await.is_ok();
        self.begin();
        noticed
    }

    async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_millis(400), self.watch.changed()).await.is_err()
    }
}

#[tokio::test]
async fn what_people_and_tools_do_to_a_file_is_noticed() {
    let mut tree = Tree::new(&[node_path!("etc/d")]);
    fs::create_dir_all(tree.path("etc/d")).unwrap();
    tree.begin();
    assert!(tree.is_quiet().await);
    fs::write(tree.path("etc/d/a"), "1").unwrap();
    assert!(tree.notices().await, "made");
    fs::write(tree.path("etc/d/.a.swp"), "2").unwrap();
    fs::rename(tree.path("etc/d/.a.swp"), tree.path("etc/d/a")).unwrap();
    assert!(tree.notices().await, "replaced as an editor does");
    fs::remove_file(tree.path("etc/d/a")).unwrap();
    assert!(tree.notices().await, "removed");
}

#[tokio::test]
async fn reading_is_no_news() {
    let mut tree = Tree::new(&[node_path!("d")]);
    fs::create_dir_all(tree.path("d")).unwrap();
    fs::write(tree.path("d/a"), "1").unwrap();
    tree.begin();
    for _ in 0..100 {
        fs::read(tree.path("d/a")).unwrap();
        fs::read_dir(tree.path("d")).unwrap().count();
    }
    assert!(tree.is_quiet().await);
}

#[tokio::test]
async fn a_directory_that_comes_later_is_noticed_and_then_watched() {
    let mut tree = Tree::new(&[node_path!("etc/regtrust/registries.d")]);
    fs::create_dir(tree.path("etc")).unwrap();
    tree.begin();
    fs::create_dir_all(tree.path("etc/regtrust/registries.d")).unwrap();
    assert!(tree.notices().await, "it is there");
    // The directories above it were made one after another.
    while !tree.is_quiet().await {}
    fs::write(tree.path("etc/regtrust/registries.d/a.toml"), "").unwrap();
    assert!(tree.notices().await, "something is in it");
    fs::remove_dir_all(tree.path("etc/regtrust")).unwrap();
    assert!(tree.notices().await, "it is gone");
    while !tree.is_quiet().await {}
    fs::create_dir_all(tree.path("etc/regtrust/registries.d")).unwrap();
    assert!(tree.notices().await, "it is back");
}

/// As kubelet updates a mounted ConfigMap.
#[tokio::test]
async fn the_swap_of_a_config_map_is_noticed() {
    let mut tree = Tree::new(&[node_path!("cm")]);
    fs::create_dir_all(tree.path("cm/..1")).unwrap();
    fs::write(tree.path("cm/..1/a.toml"), "1").unwrap();
    symlink("..1", tree.path("cm/..data")).unwrap();
    symlink("..data/a.toml", tree.path("cm/a.toml")).unwrap();
    tree.begin();
    fs::create_dir_all(tree.path("cm/..2")).unwrap();
    fs::write(tree.path("cm/..2/a.toml"), "2").unwrap();
    symlink("..2", tree.path("cm/..data_tmp")).unwrap();
    fs::rename(tree.path("cm/..data_tmp"), tree.path("cm/..data")).unwrap();
    assert!(tree.notices().await);
    while !tree.is_quiet().await {}
}

#[tokio::test]
async fn somebody_who_never_stops_writing_holds_nobody_up() {
    let mut tree = Tree::new(&[node_path!("d")]);
    fs::create_dir_all(tree.path("d")).unwrap();
    tree.begin();
    let path = tree.path("d/a");
    let writing = tokio::spawn(async move {
        loop {
            fs::write(&path, "x").unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    });
    let noticed = timeout(Duration::from_secs(3), tree.watch.changed()).await;
    writing.abort();
    assert!(noticed.is_ok());
}

/// The daemon waits for other things as well, and then comes back.
#[tokio::test]
async fn a_change_is_not_forgotten_when_a_wait_is_given_up() {
    let mut tree = Tree::new(&[node_path!("etc/d")]);
    fs::create_dir_all(tree.path("etc/d")).unwrap();
    tree.begin();
    fs::write(tree.path("etc/d/a"), "1").unwrap();
    // Long enough to hear of it, and too short for it to come to rest.
    let given_up = timeout(Duration::from_millis(60), tree.watch.changed()).await;
    assert!(given_up.is_err());
    assert!(tree.notices().await);
    assert!(tree.is_quiet().await);
}

#[tokio::test]
async fn what_happens_beside_a_missing_directory_is_no_news() {
    let mut tree = Tree::new(&[node_path!("etc/regtrust/registries.d")]);
    fs::create_dir(tree.path("etc")).unwrap();
    tree.begin();
    fs::write(tree.path("etc/hosts"), "1").unwrap();
    fs::create_dir(tree.path("etc/regtrust.d")).unwrap();
    assert!(tree.is_quiet().await);
    fs::create_dir(tree.path("etc/regtrust")).unwrap();
    assert!(tree.notices().await);
}

#[tokio::test]
async fn a_directory_that_is_replaced_again_and_again_stays_watched() {
    let mut tree = Tree::new(&[node_path!("etc/d")]);
    fs::create_dir_all(tree.path("etc/d")).unwrap();
    tree.begin();
    for _ in 0..50 {
        fs::remove_dir(tree.path("etc/d")).unwrap();
        // Whoever is told looks at once, while the rest is still going on.
        tree.begin();
        fs::create_dir(tree.path("etc/d")).unwrap();
    }
    assert!(tree.notices().await, "replaced");
    while !tree.is_quiet().await {
        tree.begin();
    }
    fs::write(tree.path("etc/d/a"), "1").unwrap();
    assert!(tree.notices().await, "written");
}
