#![expect(clippy::disallowed_methods, reason = "makes trees to read")]

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::*;
use crate::node_path;
use crate::trust::desired::Keep;
use crate::trust::entry::{Entry, Trust};
use crate::trust::host::RegistryHost;
use crate::trust::policy::RestartLimit;
use crate::trust::problem::Severity;

mod outside;

const USR: &str = "usr/lib/regtrust/registries.d";
const RUN: &str = "run/regtrust/registries.d";
const ETC: &str = "etc/regtrust/registries.d";
const CA: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/ca.pem"));
const OTHER_CA: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/certs/ca-b.pem"));

struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.mode(&path, 0o644);
    }

    fn mode(&self, path: impl AsRef<Path>, mode: u32) {
        let path = self.0.path().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn link(&self, path: &str, to: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    fn root(&self) -> NodeRoot {
        NodeRoot::open(self.0.path()).unwrap()
    }

    fn read(&self, extra: &[NodePath]) -> DesiredState {
        let extra: Vec<Directory> = extra.iter().cloned().map(Directory::from).collect();
        read_declarations(&self.root(), &extra, now())
    }
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn system(host: &str) -> String {
    format!("[[registry]]\nhost = \"{host}\"\ntrust = \"system\"\n")
}

fn origins(state: &DesiredState) -> Vec<String> {
    let origin = |entry: &Arc<Entry>| format!("{} {}", entry.host, entry.origin);
    state.entries.values().map(origin).collect()
}

fn messages(state: &DesiredState) -> Vec<String> {
    state.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_node_without_files_wants_nothing_and_allows_everything() {
    let tree = Tree::new();
    let sources = read(&tree.root(), &[], now());
    let expected = Sources { desired: DesiredState::default(), policy: Policy::without_file() };
    assert_eq!(sources, expected);
}

#[test]
fn files_are_sorted_by_name_across_the_directories() {
    let tree = Tree::new();
    tree.write(&format!("{USR}/90-vendor.toml"), system("a.corp"));
    tree.write(&format!("{ETC}/10-admin.toml"), system("a.corp"));
    tree.write("mnt/cm/50-fleet.toml", system("b.corp"));
    tree.write(&format!("{RUN}/40-run.toml"), system("b.corp"));
    let state = tree.read(&[node_path!("mnt/cm")]);
    assert_eq!(
        origins(&state),
        [
            "a.corp /usr/lib/regtrust/registries.d/90-vendor.toml:1",
            "b.corp /mnt/cm/50-fleet.toml:1"
        ]
    );
    assert_eq!(state.problems.len(), 2, "both say who lost: {:?}", messages(&state));
}

#[test]
fn a_file_masks_those_of_its_name_in_weaker_directories() {
    let tree = Tree::new();
    for (name, directories) in [
        ("etc-wins.toml", &[USR, RUN, ETC][..]),
        ("run-wins.toml", &[USR, RUN]),
        ("null.toml", &[USR]),
        ("empty.toml", &[USR]),
    ] {
        for directory in directories {
            let host = format!("{}.corp", name.trim_end_matches(".toml"));
            tree.write(&format!("{directory}/{name}"), system(&host));
        }
    }
    tree.link(&format!("{ETC}/null.toml"), "/dev/null");
    tree.write(&format!("{RUN}/empty.toml"), "");
    // Another mount may use any name without hiding the node's own file.
    tree.write("mnt/cm/etc-wins.toml", system("other.corp"));
    let state = tree.read(&[node_path!("mnt/cm")]);
    assert_eq!(
        origins(&state),
        [
            "etc-wins.corp /etc/regtrust/registries.d/etc-wins.toml:1",
            "other.corp /mnt/cm/etc-wins.toml:1",
            "run-wins.corp /run/regtrust/registries.d/run-wins.toml:1",
        ]
    );
    assert_eq!(messages(&state), [""; 0]);
}

#[test]
fn only_toml_files_that_are_not_hidden_count() {
    let tree = Tree::new();
    for name in ["a.toml~", "b.toml.bak", ".c.toml", "d.TOML", "README", ".toml", "ca.pem"] {
        tree.write(&format!("{ETC}/{name}"), "no toml");
    }
    assert_eq!(tree.read(&[]), DesiredState::default());
}

/// As a kubelet lays it out: the files are links through `..data`, and the directories of the
/// volume are open to everybody behind a path that is not.
fn config_map(tree: &Tree, version: &str, ca: &[u8]) {
    let text = "[[registry]]\nhost = \"a.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n";
    tree.write(&format!("mnt/cm/..{version}/x.toml"), text);
    tree.write(&format!("mnt/cm/..{version}/ca.pem"), ca);
    tree.link("mnt/cm/..data_tmp", &format!("..{version}"));
    fs::rename(tree.path("mnt/cm/..data_tmp"), tree.path("mnt/cm/..data")).unwrap();
    tree.mode("mnt/cm", 0o777);
}

#[test]
fn a_config_map_is_read_through_its_links() {
    let tree = Tree::new();
    config_map(&tree, "2026_06_01", CA);
    tree.link("mnt/cm/x.toml", "..data/x.toml");
    tree.link("mnt/cm/ca.pem", "..data/ca.pem");
    for ca in [CA, OTHER_CA] {
        config_map(&tree, if ca == CA { "2026_06_02" } else { "2026_06_03" }, ca);
        let state = tree.read(&[node_path!("mnt/cm")]);
        assert_eq!(messages(&state), [""; 0]);
        assert_eq!(origins(&state), ["a.corp /mnt/cm/x.toml:1"]);
        let entry = state.entries.values().next().unwrap();
        assert_eq!(entry.trust.ca().unwrap().content().bytes(), ca);
    }
}

#[test]
fn a_swap_while_reading_starts_the_reading_anew() {
    let tree = Tree::new();
    config_map(&tree, "1", CA);
    tree.link("mnt/cm/x.toml", "..data/x.toml");
    tree.link("mnt/cm/ca.pem", "..data/ca.pem");
    let (root, directory) = (tree.root(), [Directory::from(node_path!("mnt/cm"))]);
    let scans = std::cell::Cell::new(0);
    let scan = |swaps: u32| {
        let scan = directory::scan(super::tree::Tree::node(&root), &[], &directory);
        scans.set(scans.get() + 1);
        if scans.get() <= swaps {
            config_map(&tree, &format!("v{}", scans.get()), OTHER_CA);
        }
        scan
    };
    let state = DesiredState::merge(steadily(&|| scan(1), now()), now());
    assert_eq!((scans.get(), messages(&state)), (2, vec![]));
    let state = DesiredState::merge(steadily(&|| scan(u32::MAX), now()), now());
    assert_eq!(state.broken_files, ["/mnt/cm".to_owned()].into(), "it never comes to rest");
}

#[test]
fn what_cannot_be_read_is_not_taken_for_what_is_not_there() {
    let tree = Tree::new();
    tree.write(&format!("{ETC}/10-good.toml"), system("good.corp"));
    tree.write(&format!("{ETC}/20-latin.toml"), b"# ok\n# caf\xe9\n");
    tree.write(&format!("{ETC}/30-syntax.toml"), "[[registry]\n");
    tree.link(&format!("{ETC}/40-dangling.toml"), "nowhere.toml");
    fs::create_dir(tree.path(&format!("{ETC}/50-directory.toml"))).unwrap();
    tree.link("run/regtrust", "/mnt/not-mounted");
    tree.write("usr/lib/regtrust", "a file");
    let state = tree.read(&[node_path!("mnt/none")]);
    assert_eq!(origins(&state), ["good.corp /etc/regtrust/registries.d/10-good.toml:1"]);
    let broken = [
        "/usr/lib/regtrust/registries.d: `/usr/lib/regtrust` leads nowhere, or is no directory",
        "/run/regtrust/registries.d: `/run/regtrust` leads nowhere, or is no directory",
        "/mnt/none: is not there",
        "/etc/regtrust/registries.d/20-latin.toml:2:6: is not UTF-8 (save it as UTF-8)",
        "/etc/regtrust/registries.d/30-syntax.toml:1:",
        "/etc/regtrust/registries.d/40-dangling.toml: is not there, or is a link to nothing",
        "/etc/regtrust/registries.d/50-directory.toml: cannot be read: not a regular file",
    ];
    let found = messages(&state);
    assert_eq!(found.len(), broken.len(), "{found:#?}");
    for (found, broken) in found.iter().zip(broken) {
        assert!(found.starts_with(broken), "{found}");
    }
    assert_eq!(state.broken_files.len(), broken.len());
}

#[test]
fn a_name_that_cannot_be_said_hides_no_other_file() {
    let tree = Tree::new();
    tree.write(&format!("{ETC}/x.toml"), system("a.corp"));
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.toml");
    fs::write(tree.path(ETC).join(name), system("b.corp")).unwrap();
    let state = tree.read(&[]);
    assert_eq!(origins(&state), ["a.corp /etc/regtrust/registries.d/x.toml:1"]);
    assert_eq!(
        messages(&state),
        ["/etc/regtrust/registries.d/caf\\xe9.toml: has a name that is not UTF-8 (rename it)"]
    );
}

#[test]
fn a_broken_mask_keeps_what_it_masks_in_force() {
    let tree = Tree::new();
    tree.write(&format!("{USR}/x.toml"), system("a.corp"));
    let in_force = tree.read(&[]).entries.into_values().next().unwrap();
    tree.write(&format!("{ETC}/x.toml"), "typo");
    let state = tree.read(&[]);
    let file = "/usr/lib/regtrust/registries.d/x.toml";
    assert_eq!(state.keeps(&in_force, now()), Some(Keep::Broken(file)));
    assert_eq!(state.entries.len(), 0);
}

#[test]
fn certificates_are_found_beside_the_file_and_beneath_the_root() {
    let tree = Tree::new();
    let entry = |host: &str, file: &str| {
        format!("[[registry]]\nhost = \"{host}\"\ntrust = \"ca\"\nca_file = \"{file}\"\n")
    };
    tree.write("pki/ca.pem", CA);
    tree.write(&format!("{ETC}/ca.pem"), CA);
    tree.link(&format!("{ETC}/link.pem"), "/pki/ca.pem");
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), CA).unwrap();
    tree.link(&format!("{ETC}/outside.pem"), outside.path().to_str().unwrap());
    let text = [("a", "ca.pem"), ("b", "/pki/ca.pem"), ("c", "link.pem"), ("d", "outside.pem")]
        .map(|(host, file)| entry(&format!("{host}.corp"), file));
    tree.write(&format!("{ETC}/x.toml"), text.concat());
    let state = tree.read(&[]);
    let hosts: Vec<&str> = state.entries.keys().map(RegistryHost::as_str).collect();
    assert_eq!(hosts, ["a.corp", "b.corp", "c.corp"]);
    assert_eq!(
        messages(&state),
        ["/etc/regtrust/registries.d/x.toml:16:11: ca_file: cannot read \
          `/etc/regtrust/registries.d/outside.pem`: it is not there"]
    );
    assert_eq!(state.unusable.len(), 1);
}

#[test]
fn files_that_others_can_change_are_named() {
    let tree = Tree::new();
    tree.write(
        &format!("{ETC}/x.toml"),
        "[[registry]]\nhost = \"a.corp\"\ntrust = \"ca\"\nca_file = \"ca.pem\"\n",
    );
    tree.write(&format!("{ETC}/ca.pem"), CA);
    for path in [ETC, &format!("{ETC}/x.toml"), &format!("{ETC}/ca.pem")] {
        tree.mode(path, 0o777);
    }
    let state = tree.read(&[]);
    let warning = |path: &str| {
        format!("{path}: can be changed by everybody (`chown root {path}` and `chmod go-w {path}`)")
    };
    let directory = "/etc/regtrust/registries.d";
    let paths = [directory, &format!("{directory}/ca.pem"), &format!("{directory}/x.toml")];
    assert_eq!(messages(&state), paths.map(warning));
    assert!(state.problems.iter().all(|problem| problem.severity == Severity::Warning));
    assert_eq!((state.entries.len(), state.broken_files.len()), (1, 0));
}

#[test]
fn one_path_can_be_read_alone() {
    let tree = Tree::new();
    tree.write("work/any.name", system("a.corp"));
    tree.write("work/b.toml", system("b.corp"));
    let read = |path: &str| read_path(&tree.root(), &NodePath::new(path).unwrap(), now());
    assert_eq!(origins(&read("work/any.name")), ["a.corp /work/any.name:1"]);
    assert_eq!(origins(&read("work")), ["b.corp /work/b.toml:1"]);
    assert_eq!(read("work/none").broken_files, ["/work/none".to_owned()].into());
}

/// What the message holds, and what makes the tree.
type Case<'a> = (&'a str, &'a dyn Fn(&Tree));

#[test]
fn a_policy_is_obeyed_or_refuses_everything() {
    let policy = |prepare: &dyn Fn(&Tree)| {
        let tree = Tree::new();
        prepare(&tree);
        read_policy(&tree.root())
    };
    let file = "etc/regtrust/policy.toml";
    let good = "restart = \"reload-only\"\n";
    let obeyed = policy(&|tree| tree.write(file, good));
    assert_eq!((obeyed.is_broken(), obeyed.restart()), (false, RestartLimit::ReloadOnly));
    assert_eq!(policy(&|tree| tree.write("etc/other", "")), Policy::without_file());

    let broken: [Case; 8] = [
        ("unknown key `restrat`", &|tree| tree.write(file, "restrat = \"never\"")),
        ("is not UTF-8", &|tree| tree.write(file, b"\xff\xfe")),
        ("cannot be read: not a regular file", &|tree| {
            fs::create_dir_all(tree.path(file)).unwrap();
        }),
        ("leads nowhere", &|tree| tree.link(file, "/gone")),
        ("cannot be read: Too many levels", &|tree| tree.link(file, "policy.toml")),
        ("`/etc/regtrust` leads nowhere", &|tree| tree.link("etc/regtrust", "/not-mounted")),
        ("`/etc/regtrust/policy.toml` can be changed by everybody", &|tree| {
            tree.write(file, good);
            tree.mode(file, 0o666);
        }),
        ("`/etc/regtrust` can be changed by everybody", &|tree| {
            tree.write(file, good);
            tree.mode("etc/regtrust", 0o777);
        }),
    ];
    for (message, prepare) in broken {
        let policy = policy(prepare);
        let found = policy.problems().iter().map(ToString::to_string).collect::<String>();
        assert!(policy.is_broken() && found.contains(message), "{message}: {found}");
    }
}

#[test]
fn what_belongs_to_nobody_here_is_named() {
    let tree = Tree::new();
    tree.write(&format!("{ETC}/x.toml"), system("a.corp"));
    let path = tree.path(&format!("{ETC}/x.toml"));
    // Only root can give files away; elsewhere there is nothing to test.
    if std::os::unix::fs::chown(&path, Some(4242), Some(4343)).is_ok() {
        let state = tree.read(&[]);
        let found = messages(&state);
        assert!(found[0].contains("x.toml: belongs to the user 4242, who can change"), "{found:?}");
        std::os::unix::fs::chown(&path, Some(0), Some(4343)).unwrap();
        tree.mode(&path, 0o664);
        let found = messages(&tree.read(&[]));
        assert!(found[0].contains("x.toml: can be changed by the group 4343"), "{found:?}");
    }
    assert!(matches!(
        tree.read(&[]).entries.values().next().map(|entry| &entry.trust),
        Some(Trust::System)
    ));
}
