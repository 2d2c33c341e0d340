//! What containerd's config.toml says about where else to look. Pure.
//!
//! A file that is no TOML says nothing here; containerd does not start with it, and the target that
//! would edit it is the one to say so.

use std::collections::BTreeSet;

use toml_edit::{Document, Item, TableLike};

use crate::path::NodePath;

/// What observation needs to know from one configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// As written, in the order written.
    pub imports: Vec<String>,
    /// The directories in every `config_path` of every plugin's `registry` table.
    pub host_directories: BTreeSet<NodePath>,
    /// `disabled_plugins` names CRI, as docker.com's package does.
    pub cri_is_disabled: bool,
}

impl Config {
    pub fn read(text: &str) -> Self {
        let Ok(document) = Document::parse(text) else { return Self::default() };
        let plugins = document.get("plugins").and_then(Item::as_table_like);
        let config_paths = plugins.into_iter().flat_map(TableLike::iter).filter_map(config_path);
        let disabled = strings(document.get("disabled_plugins"));
        Self {
            imports: strings(document.get("imports")),
            host_directories: config_paths
                .flat_map(|list| list.split(':'))
                .filter_map(|path| clean(path, None))
                .collect(),
            cri_is_disabled: disabled.iter().any(|id| {
                matches!(id.as_str(), "cri" | "io.containerd.grpc.v1.cri")
                    || id.starts_with("io.containerd.cri.v1.")
            }),
        }
    }
}

fn config_path<'a>((_id, plugin): (&str, &'a Item)) -> Option<&'a str> {
    let registry = plugin.as_table_like()?.get("registry")?;
    registry.as_table_like()?.get("config_path")?.as_str()
}

fn strings(item: Option<&Item>) -> Vec<String> {
    let elements = item.and_then(Item::as_array).into_iter().flatten();
    elements.filter_map(|element| element.as_str().map(str::to_owned)).collect()
}

/// A path by its text alone, as Go's `filepath.Clean` leaves it; a relative one is taken from
/// `directory`, or else from the root, where systemd starts containerd. `None`: the root itself.
pub fn clean(path: &str, directory: Option<&NodePath>) -> Option<NodePath> {
    let mut parts: Vec<&str> = Vec::new();
    let from = directory.filter(|_| !path.starts_with('/')).map_or("", NodePath::as_str);
    for part in from.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    NodePath::new(&parts.join("/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node_path;

    #[test]
    fn every_registry_table_is_found_whatever_version_the_file_has() {
        let text = r#"
version = 3
imports = ["/etc/containerd/conf.d/*.toml", "local.toml"]
[plugins."io.containerd.cri.v1.images".registry]
config_path = "/etc/containerd/certs.d:/etc/docker/certs.d"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "pause"
registry = { config_path = "/opt/./x/../hosts/" }
[plugins."io.containerd.transfer.v1.local"]
config_path = "/not/a/registry/table"
[plugins.cri.registry]
config_path = ""
"#;
        let expected = Config {
            imports: vec!["/etc/containerd/conf.d/*.toml".to_owned(), "local.toml".to_owned()],
            host_directories: BTreeSet::from([
                node_path!("etc/containerd/certs.d"),
                node_path!("etc/docker/certs.d"),
                node_path!("opt/hosts"),
            ]),
            cri_is_disabled: false,
        };
        assert_eq!(Config::read(text), expected);
    }

    #[test]
    fn what_is_absent_or_broken_says_nothing() {
        for text in [
            "",
            "version = 2\n",
            "not toml",
            "plugins = 1\n",
            "imports = \"x\"\n[plugins]\na = 1\n",
        ] {
            assert_eq!(Config::read(text), Config::default(), "{text}");
        }
    }

    #[test]
    fn cri_is_disabled_by_any_of_its_names() {
        for (text, disabled) in [
            ("disabled_plugins = [\"cri\"]", true),
            ("disabled_plugins = [\"io.containerd.grpc.v1.cri\"]", true),
            ("disabled_plugins = [\"aufs\", \"io.containerd.cri.v1.images\"]", true),
            ("disabled_plugins = [\"io.containerd.internal.v1.opt\"]", false),
            ("disabled_plugins = []", false),
        ] {
            assert_eq!(Config::read(text).cri_is_disabled, disabled, "{text}");
        }
    }

    #[test]
    fn paths_are_cleaned_by_their_text() {
        let directory = node_path!("etc/containerd");
        for (path, expected) in [
            ("/a/b", Some("a/b")),
            ("a//./b/", Some("etc/containerd/a/b")),
            ("../x", Some("etc/x")),
            ("../../../../x", Some("x")),
            ("/", None),
            ("../..", None),
        ] {
            let expected = expected.map(|path| NodePath::new(path).unwrap());
            assert_eq!(clean(path, Some(&directory)), expected, "{path}");
        }
        assert_eq!(clean("a/b", None), Some(node_path!("a/b")));
        assert_eq!(clean("", None), None);
    }
}
