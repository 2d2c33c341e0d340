//! What the present configuration means: where CRI reads registry settings from, if anywhere.

use super::registry::{Obstacle, Registry, Source};
use super::{DEFAULT_LIST, config_file, config_path_key, default_hosts_dir, is_a_default};
use super::{LEGACY_VERSION, newest_version, plugin};
use crate::ledger::ConfigOwned;
use crate::node_path;
use crate::observed::{Containerd, Files, Found, Version};
use crate::path::NodePath;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigState {
    pub hosts: HostsDir,
    pub notes: Vec<String>,
}

impl ConfigState {
    /// Where registry settings are written.
    pub fn directory(&self) -> NodePath {
        match &self.hosts {
            HostsDir::Theirs { directory, .. } | HostsDir::Ours { directory } => directory.clone(),
            _ => default_hosts_dir(),
        }
    }
}

/// Where CRI reads registry settings from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostsDir {
    /// An administrator has set it. It is used as it is, and nothing is edited.
    Theirs {
        directory: NodePath,
        source: NodePath,
    },
    /// The value that we put there stands.
    Ours {
        directory: NodePath,
    },
    /// Nothing is set, and [`super::merge()`] may set it.
    Unset,
    /// It is not set and not ours to set; a note says what to add by hand. Registry settings are
    /// written nevertheless, to be found once it is.
    ByHand,
    /// The CRI plugin is disabled, so nothing would ever read it.
    Off,
    Conflict {
        path: NodePath,
        message: String,
        cure: String,
    },
}

/// Says what `files` mean to this containerd.
pub fn examine(containerd: &Containerd, files: &Files, owned: Option<&ConfigOwned>) -> ConfigState {
    let mut notes = Vec::new();
    let hosts = match look(containerd, files, owned, &mut notes) {
        Ok(hosts) => hosts,
        Err(Obstacle { path, message, cure }) => HostsDir::Conflict { path, message, cure },
    };
    ConfigState { hosts, notes }
}

fn look(
    containerd: &Containerd,
    files: &Files,
    owned: Option<&ConfigOwned>,
    notes: &mut Vec<String>,
) -> Result<HostsDir, Obstacle> {
    let main = config_file();
    if files.get(&main).is_none() {
        return Ok(unset(containerd, LEGACY_VERSION, notes));
    }
    let paths = std::iter::once(&main).chain(&containerd.imports);
    let sources: Vec<_> =
        paths.map(|path| Source::read(path, files.get(path))).collect::<Result<_, _>>()?;
    if let Some(source) = sources.iter().find(|source| source.disables_cri()) {
        notes.push(format!(
            "containerd's CRI plugin is disabled in `{}`, so nothing on this node pulls through it",
            source.path
        ));
        return Ok(HostsDir::Off);
    }
    check_versions(&sources, containerd.version)?;
    let registry = Registry::merged(&sources, containerd.version);
    check_old_settings(&registry, containerd.version, notes)?;
    if let Some((value, source)) = registry.config_path {
        let is_main = *source == main;
        if is_main && owned.is_some_and(|owned| owned.config_path == value) {
            return directory(value, source).map(|directory| HostsDir::Ours { directory });
        }
        if !is_main || !is_a_default(value, containerd.version) {
            let source = source.clone();
            return directory(value, &source)
                .map(|directory| HostsDir::Theirs { directory, source });
        }
    }
    check_imports(&sources, containerd.version)?;
    check_lost_list(&registry, containerd.version, files)?;
    let Some(file) = sources.first() else { return Ok(HostsDir::Unset) };
    check_editable(file, files)?;
    Ok(unset(containerd, file.version(), notes))
}

fn unset(containerd: &Containerd, version: i64, notes: &mut Vec<String>) -> HostsDir {
    if containerd.version.is_some() {
        return HostsDir::Unset;
    }
    let [plugins, plugin, registry, key] = config_path_key(version);
    notes.push(format!(
        "the version of containerd is not known, so `{}` is left alone; add by hand, in a file \
         with `version = {}`: [{plugins}.\"{plugin}\".{registry}] {key} = \"{}\", and restart \
         containerd",
        config_file(),
        version.max(2),
        default_hosts_dir(),
    ));
    HostsDir::ByHand
}

fn directory(value: &str, source: &NodePath) -> Result<NodePath, Obstacle> {
    let cure = format!("set `config_path` to one directory, such as `{}`", default_hosts_dir());
    if value.contains(':') {
        let message = format!(
            "`config_path` in `{source}` lists several directories, `{value}`, which containerd \
             2.1 and later take as the name of one"
        );
        return Err(Obstacle::new(source, message, cure));
    }
    let absolute = value.starts_with('/').then(|| NodePath::new(value).ok()).flatten();
    absolute.ok_or_else(|| {
        let message = format!("`config_path` in `{source}` is `{value}`, not an absolute path");
        Obstacle::new(source, message, cure)
    })
}

fn check_versions(sources: &[Source], containerd: Option<Version>) -> Result<(), Obstacle> {
    let Some((main, imports)) = sources.split_first() else { return Ok(()) };
    let newest = newest_version(containerd);
    let version = main.version();
    if version > newest {
        let message = format!("`{}` is of version {version}; {newest} is known here", main.path);
        return Err(Obstacle::new(
            &main.path,
            message,
            format!("write it as version {newest}, or upgrade containerd"),
        ));
    }
    // Without a single setting there is none that a version of ours could change the meaning of.
    let is_legacy = version <= LEGACY_VERSION && !main.tree.is_empty();
    if is_legacy {
        let message = format!(
            "`{}` has settings but no `version = 2`: containerd then ignores plugins by their full \
             names, and `config_path` with them",
            main.path
        );
        return Err(Obstacle::new(
            &main.path,
            message,
            "migrate it (`containerd config migrate`), check the result, and restart containerd",
        ));
    }
    // A newer import wins over a main file's whole CRI settings (2.0 to 2.2), or stops containerd
    // from starting (2.3). On 1.x it is too new in any case.
    let newer = imports.iter().find(|import| import.version() > version);
    newer.map_or(Ok(()), |import| {
        let message = format!(
            "`{}` is of version {} and imported by `{}` of version {version}, whose CRI settings \
             are then dropped",
            import.path,
            import.version(),
            main.path
        );
        Err(Obstacle::new(&import.path, message, "give both files the same version"))
    })
}

fn check_old_settings(
    registry: &Registry<'_>,
    containerd: Option<Version>,
    notes: &mut Vec<String>,
) -> Result<(), Obstacle> {
    let cure = "declare what they say as registries and mirrors, and remove them";
    if let Some(path) = registry.mirrors {
        let message = format!(
            "`registry.mirrors` is set in `{path}`; beside `config_path` it stops CRI from loading"
        );
        return Err(Obstacle::new(path, message, cure));
    }
    let ignores_tls = containerd.is_some_and(|version| version >= Version::new(2, 0, 0));
    match registry.tls {
        Some(path) if ignores_tls => notes.push(format!(
            "`registry.configs.*.tls` in `{path}` is ignored by containerd 2.0 and later"
        )),
        Some(path) => {
            let message = format!(
                "`registry.configs.*.tls` is set in `{path}`; beside `config_path` it stops CRI \
                 from loading"
            );
            return Err(Obstacle::new(path, message, cure));
        }
        None => {}
    }
    let may_transfer = containerd.is_none_or(|version| version >= Version::new(2, 1, 0));
    if let Some(path) = registry.credentials.filter(|_| may_transfer) {
        notes.push(format!(
            "`registry.configs.*.auth` or `registry.auths` in `{path}` makes containerd 2.1 and \
             later pull without the transfer service"
        ));
    }
    Ok(())
}

/// On 1.x an import's table for a plugin replaces the main file's, so our key would vanish in it.
fn check_imports(sources: &[Source], containerd: Option<Version>) -> Result<(), Obstacle> {
    let replaces = containerd.is_none_or(|version| version < Version::new(2, 0, 0));
    let replacing = sources.iter().skip(1).find(|import| replaces && import.cri().is_some());
    replacing.map_or(Ok(()), |import| {
        let message = format!(
            "`{}` is imported and has a table for CRI, which replaces the main file's as a whole \
             on containerd 1.x",
            import.path
        );
        let cure = format!(
            "add `config_path = \"/{}\"` under [plugins.\"{}\".registry] there",
            default_hosts_dir().as_str(),
            plugin(import.version()),
        );
        Err(Obstacle::new(&import.path, message, cure))
    })
}

/// Where pulls bypass the transfer service, the default list does work, and its second directory
/// would be lost with it.
fn check_lost_list(
    registry: &Registry<'_>,
    containerd: Option<Version>,
    files: &Files,
) -> Result<(), Obstacle> {
    let docker = node_path!("etc/docker/certs.d");
    let has_list = is_a_default(DEFAULT_LIST, containerd);
    if !has_list || !registry.pulls_locally || files.names(&docker).next().is_none() {
        return Ok(());
    }
    let names: Vec<_> = files.names(&docker).collect();
    let message = format!(
        "containerd also reads `{docker}` here, which has {}; it can read only one directory \
         reliably",
        names.join(", ")
    );
    let cure = format!(
        "declare these registries, then set `config_path` to one directory: \
                        \"{}\"",
        default_hosts_dir()
    );
    Err(Obstacle::new(&config_file(), message, cure))
}

fn check_editable(file: &Source, files: &Files) -> Result<(), Obstacle> {
    match files.get(&file.path) {
        Some(Found::File { immutable: true, .. }) => {
            let message = format!("`{}` is immutable, so `config_path` cannot be set", file.path);
            let cure = format!("chattr -i -a {}", file.path);
            Err(Obstacle::new(&file.path, message, cure))
        }
        _ => Ok(()),
    }
}
