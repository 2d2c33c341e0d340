//! What is interrupted: a change of declarations on a node, with the trees before and after it.

use std::ffi::OsStr;
use std::path::Path;

use crate::node;
use crate::tree::{self, Tree};

const FIRST: &str = r#"
[[registry]]
host = "harbor.corp:8443"
trust = "ca"
ca_file = "ca.pem"
client_cert_file = "client.pem"
client_key_file = "client.key"

[[registry]]
host = "plain.corp:5000"
trust = "http"

[[registry]]
host = "quay.corp"
trust = "ca"
ca_file = "ca-b.pem"
system_store = true

[[registry.mirror]]
url = "https://mirror.corp/v2/proxy"
trust = "ca"
ca_file = "ca.pem"
"#;

type Certificates = &'static [(&'static str, &'static str)];

const CERTIFICATES: Certificates = &[
    ("ca.pem", "ca.pem"),
    ("ca-b.pem", "ca-b.pem"),
    ("client.pem", "client.pem"),
    ("client.key", "client.key"),
];

pub(crate) const STATE: &str = "var/lib/regtrust";

/// The same names with other authorities and another key pair.
const ROTATED: Certificates = &[
    ("ca.pem", "ca-p384.pem"),
    ("ca-b.pem", "ca-p256.pem"),
    ("client.pem", "client-ed25519.pem"),
    ("client.key", "client-ed25519.key"),
];

const BETWEEN: Certificates = &[
    ("ca.pem", "ca.pem"),
    ("ca-b.pem", "ca-b.pem"),
    ("client.pem", "client-ec.pem"),
    ("client.key", "client-ec.key"),
];

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Declared, but not applied.
    pub(crate) before: Tree,
    pub(crate) after: Tree,
    /// After that, everything withdrawn again.
    pub(crate) withdrawn: Tree,
}

impl Scenario {
    fn of(name: &'static str, root: &Path) -> Self {
        let before = tree::read(root);
        apply(root);
        let after = tree::read(root);
        node::withdraw(root);
        apply(root);
        Self { name, before, after, withdrawn: tree::read(root) }
    }
}

pub(crate) fn all(root: &Path) -> Vec<Scenario> {
    vec![first_apply(root), rotation(root), withdrawal(root), on_a_bare_node(root)]
}

/// Among what others have put there.
pub(crate) fn first_apply(root: &Path) -> Scenario {
    fresh(root, node::lived_in);
    let pristine = tree::read(root);
    node::declare(root, FIRST, CERTIFICATES);
    let scenario = Scenario::of("first apply", root);
    // What the sweep compares with is made by the program itself, so it is checked once, here.
    assert!(without_state(&scenario.withdrawn) == without_state(&pristine));
    scenario
}

/// On a node so old that the first key is forgotten, and erased, with this change.
fn rotation(root: &Path) -> Scenario {
    fresh(root, node::lived_in);
    node::declare(root, FIRST, CERTIFICATES);
    apply(root);
    for generation in 2..=20 {
        let more =
            format!("{FIRST}\n[[registry]]\nhost = \"r{generation}.corp\"\ntrust = \"http\"\n");
        node::declare(root, &more, BETWEEN);
        apply(root);
    }
    node::declare(root, FIRST, ROTATED);
    let scenario = Scenario::of("rotation", root);
    let blobs = |tree: &Tree| tree.keys().filter(|path| is_blob(path)).cloned().collect::<Vec<_>>();
    let (before, after) = (blobs(&scenario.before), blobs(&scenario.after));
    assert!(before.iter().any(|blob| !after.contains(blob)), "a key is erased");
    assert!(after.iter().any(|blob| !before.contains(blob)), "a key is new");
    scenario
}

pub(crate) fn withdrawal(root: &Path) -> Scenario {
    fresh(root, node::lived_in);
    node::declare(root, FIRST, CERTIFICATES);
    apply(root);
    node::withdraw(root);
    Scenario::of("withdrawal", root)
}

/// Where every file and directory is made by us.
pub(crate) fn on_a_bare_node(root: &Path) -> Scenario {
    fresh(root, node::bare);
    node::declare(root, FIRST, CERTIFICATES);
    Scenario::of("bare node", root)
}

fn fresh(root: &Path, make: fn(&Path)) {
    tree::write(&Tree::new(), root);
    make(root);
}

fn apply(root: &Path) {
    let output = node::run(root, &["apply"]);
    assert!(output.status.success(), "{output:?}");
}

fn without_state(tree: &Tree) -> Tree {
    let is_node = |path: &Path| !path.starts_with(STATE) && !path.starts_with(node::DECLARATIONS);
    tree.iter().filter(|(path, _)| is_node(path)).map(|(p, e)| (p.clone(), e.clone())).collect()
}

pub(crate) fn is_blob(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default();
    path.parent() == Some(&Path::new(STATE).join("blobs"))
        && name.len() == 64
        && name.iter().all(u8::is_ascii_hexdigit)
}

/// What a run may leave that never took effect: the directory that it locks, and keys that nothing
/// refers to.
pub(crate) fn is_harmless(path: &Path) -> bool {
    let own = ["", "lock", "blobs"].map(|name| Path::new(STATE).join(name));
    own.contains(&path.to_owned()) || is_blob(path)
}
