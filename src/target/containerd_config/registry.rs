//! What config.toml and its imports say together about registries, as containerd merges them.

use super::tree::Tree;
use super::{LEGACY_VERSION, plugin, version_of};
use crate::observed::{Found, Version};
use crate::path::NodePath;

/// Something in the way of setting `config_path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) path: NodePath,
    pub(super) message: String,
    pub(super) cure: String,
}

impl Obstacle {
    pub(super) fn new(
        path: &NodePath,
        message: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { path: path.clone(), message: message.into(), cure: cure.into() }
    }
}

/// One file of the configuration.
pub(super) struct Source {
    pub(super) path: NodePath,
    pub(super) tree: Tree,
}

impl Source {
    pub(super) fn read(path: &NodePath, found: Option<&Found>) -> Result<Self, Obstacle> {
        let obstacle = |message: String, cure: &str| Obstacle::new(path, message, cure);
        let content = match found {
            Some(Found::File { content, .. }) => content,
            Some(Found::Symlink { to }) => {
                let cure = "set `config_path` in the file that it points to, or make it a file";
                let message = format!("`{path}` is a symbolic link to `{to}`, which is not edited");
                return Err(obstacle(message, cure));
            }
            Some(Found::Unreadable { error }) => {
                let message = format!("`{path}` cannot be read: {error}");
                return Err(obstacle(message, "make it readable, then plan again"));
            }
            Some(Found::Directory | Found::Other) => {
                return Err(obstacle(format!("`{path}` is not a file"), "remove it"));
            }
            None => {
                let message = format!("`{path}` is imported and is not there");
                return Err(obstacle(message, "create it, or take it out of `imports`"));
            }
        };
        let text = std::str::from_utf8(content.bytes())
            .map_err(|_| obstacle(format!("`{path}` is not UTF-8"), "correct the file"))?;
        let tree = Tree::parse(text).map_err(|error| {
            let message = format!("`{path}` is not valid TOML: {}", error.message());
            obstacle(message, "correct it; containerd will not start with it")
        })?;
        let source = Self { path: path.clone(), tree };
        source.check_types()?;
        Ok(source)
    }

    pub(super) fn version(&self) -> i64 {
        version_of(&self.tree).unwrap_or(LEGACY_VERSION)
    }

    /// CRI's whole table, by the name it has in this version.
    pub(super) fn cri(&self) -> Option<&Tree> {
        self.tree.get(&["plugins", plugin(self.version())])
    }

    pub(super) fn disables_cri(&self) -> bool {
        let names = ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"];
        let disabled = self.tree.get(&["disabled_plugins"]);
        disabled.is_some_and(|plugins| plugins.texts().any(|plugin| names.contains(&plugin)))
    }

    fn check_types(&self) -> Result<(), Obstacle> {
        let wrong = |key: &str, expected: &str| {
            let message = format!("`{}`: `{key}` is not {expected}", self.path);
            Err(Obstacle::new(&self.path, message, format!("make `{key}` {expected}")))
        };
        let version = self.tree.get(&["version"]);
        if version.is_some_and(|version| version.integer().is_none()) {
            return wrong("version", "a number");
        }
        let tables = ["plugins", plugin(self.version()), "registry"];
        for depth in 1..=tables.len() {
            let path = tables.get(..depth).unwrap_or_default();
            if self.tree.get(path).is_some_and(|found| !found.is_table()) {
                return wrong(&path.join("."), "a table");
            }
        }
        let config_path = self.cri().and_then(|cri| cri.get(&["registry", "config_path"]));
        if config_path.is_some_and(|value| value.text().is_none()) {
            return wrong("registry.config_path", "a string");
        }
        Ok(())
    }
}

/// The registry settings in force, each with the file that sets it.
#[derive(Default)]
pub(super) struct Registry<'a> {
    pub(super) config_path: Option<(&'a str, &'a NodePath)>,
    pub(super) mirrors: Option<&'a NodePath>,
    pub(super) tls: Option<&'a NodePath>,
    pub(super) credentials: Option<&'a NodePath>,
    /// A setting that makes containerd 2.1 and later pull without its transfer service, and so
    /// split a list of directories as earlier ones did.
    pub(super) pulls_locally: bool,
}

impl<'a> Registry<'a> {
    pub(super) fn merged(sources: &'a [Source], containerd: Option<Version>) -> Self {
        let replaces = containerd.is_some_and(|version| version < Version::new(2, 0, 0));
        let mut merged = Self::default();
        for source in sources {
            let Some(cri) = source.cri() else { continue };
            if replaces {
                merged = Self::default();
            }
            merged.add(cri, &source.path);
        }
        merged
    }

    fn add(&mut self, cri: &'a Tree, path: &'a NodePath) {
        let registry = |name| cri.get(&["registry", name]);
        // An empty string does not override: that is what a dump of the defaults has.
        let value = registry("config_path").and_then(Tree::text).filter(|value| !value.is_empty());
        if let Some(value) = value {
            self.config_path = Some((value, path));
        }
        let has = |name| registry(name).is_some_and(|table| !table.is_empty());
        let hosts = || registry("configs").into_iter().flat_map(Tree::members);
        let configures = |what| hosts().any(|(_, host)| host.get(&[what]).is_some());
        if has("mirrors") {
            self.mirrors = Some(path);
        }
        if configures("tls") {
            self.tls = Some(path);
        }
        if configures("auth") || has("auths") {
            self.credentials = Some(path);
        }
        self.pulls_locally |= has("mirrors") || has("configs") || has("auths") || is_local(cri);
    }
}

fn is_local(cri: &Tree) -> bool {
    let yes = |path: &[&str]| cri.get(path) == Some(&Tree::Bool(true));
    let downloads = cri.get(&["max_concurrent_downloads"]).and_then(Tree::integer);
    yes(&["use_local_image_pull"])
        || yes(&["image_pull_with_sync_fs"])
        || yes(&["discard_unpacked_layers"])
        || yes(&["containerd", "discard_unpacked_layers"])
        || downloads.is_some_and(|downloads| downloads != 3)
}
