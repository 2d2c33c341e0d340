//! What else lies in a registry's directory, and beside it, and what docker makes of it together
//! with ours.

use std::collections::BTreeSet;

use toml_edit::DocumentMut;

use super::{Wanting, directory, root};
use crate::ledger::Ledger;
use crate::observed::{Docker, Files, Found};
use crate::path::NodePath;
use crate::target::{Conflict, Item, Note, Target, WantedFile};
use crate::trust::host::RegistryHost;

/// A directory that we write to.
struct Place<'a> {
    path: NodePath,
    /// Ours, as they will be.
    ours: &'a [WantedFile],
    /// Names that stay and are not ours.
    foreign: BTreeSet<&'a str>,
}

impl Place<'_> {
    /// Who needs it.
    fn items(&self) -> BTreeSet<Item> {
        self.ours.iter().flat_map(|file| &file.items).cloned().collect()
    }

    fn is_ours(&self, name: &str) -> bool {
        self.ours.iter().any(|file| file.path.file_name() == name)
    }
}

impl Wanting<'_> {
    /// `wanted` is in the order of its paths, so what lies in one directory stands together.
    pub(super) fn inspect_directories(&mut self, wanted: &[WantedFile]) {
        for ours in wanted.chunk_by(|one, other| one.path.split().0 == other.path.split().0) {
            let Some(place) = place(ours, self.files, self.ledger) else { continue };
            self.report_unpaired(&place);
            self.report_other_certificates(&place);
            if self.docker.is_at_least(28, 0) {
                self.report_hosts_toml(&place);
                self.report_other_directories(&place);
            }
            self.report_frozen_map(&place);
        }
    }

    fn conflict(&mut self, place: &Place<'_>, name: &str, message: String, cure: String) {
        let path = place.path.join(name).to_string();
        let items = place.items();
        let target = Target::DockerCerts;
        self.wants.conflicts.push(Conflict { target, path, items, message, cure });
    }

    fn note(&mut self, place: &Place<'_>, message: String) {
        self.wants.notes.push(Note { items: place.items(), message });
    }

    fn report_unpaired(&mut self, place: &Place<'_>) {
        for name in &place.foreign {
            let partner = match name.rsplit_once('.') {
                Some((stem, "cert")) => format!("{stem}.key"),
                Some((stem, "key")) => format!("{stem}.cert"),
                _ => continue,
            };
            if place.foreign.contains(&*partner) || place.is_ours(&partner) {
                continue;
            }
            let message = format!(
                "`{name}` has no `{partner}` beside it, and docker fails every pull from this \
                 registry for that"
            );
            self.conflict(place, name, message, format!("add `{partner}`, or remove `{name}`"));
        }
    }

    fn report_other_certificates(&mut self, place: &Place<'_>) {
        let is_ca = |name: &&&str| name.rsplit_once('.').is_some_and(|(_, end)| end == "crt");
        for name in place.foreign.iter().filter(is_ca) {
            let path = place.path.join(name);
            match self.files.get(&path) {
                Some(Found::Directory) => {
                    let message = format!(
                        "`{name}` is a directory, and docker fails every pull from this registry \
                         for that"
                    );
                    self.conflict(place, name, message, "rename or remove it".into());
                }
                Some(Found::Symlink { to }) if self.dangles(place, to) => {
                    let message = format!(
                        "`{name}` is a link to `{to}`, which is not there, and docker fails every \
                         pull from this registry for that"
                    );
                    self.conflict(place, name, message, "remove the link".into());
                }
                Some(Found::Symlink { to }) => {
                    let message = format!(
                        "`{path}` is a link to `{to}`, which is believed as well if it is there; if \
                         not, docker fails every pull from this registry"
                    );
                    self.note(place, message);
                }
                _ => {
                    let host = place.path.file_name();
                    let message =
                        format!("`{path}` is believed for `{host}` as well and is not ours");
                    self.note(place, message);
                }
            }
        }
    }

    /// Only when that is certain: the directory of the target was listed without it.
    fn dangles(&self, place: &Place<'_>, to: &str) -> bool {
        let Some(target) = resolve(&place.path, to) else { return false };
        let Some(parent) = target.parent() else { return false };
        self.files.is_listed(&parent) && !self.files.lists(&parent, target.file_name())
    }

    fn report_hosts_toml(&mut self, place: &Place<'_>) {
        if place.foreign.contains("hosts.toml") {
            let message = "BuildKit and the containerd image store of docker 28 and later read \
                           this file and then no certificate beside it"
                .into();
            let cure = "name the certificates in that hosts.toml, or remove the file".into();
            self.conflict(place, "hosts.toml", message, cure);
        }
    }

    /// From 28 on: the first of `host_port_`, `host:port` and `_default` that exists is the one.
    fn report_other_directories(&mut self, place: &Place<'_>) {
        let host = place.path.file_name();
        let here = |name: &str| self.files.lists(&root(), name);
        // Containerd cuts at the last colon, whatever it divides.
        let alias = host.rsplit_once(':').map(|(name, port)| format!("{name}_{port}_"));
        if let Some(alias) = alias.filter(|alias| here(alias)) {
            self.wants.conflicts.push(Conflict {
                target: Target::DockerCerts,
                path: root().join(&alias).to_string(),
                items: place.items(),
                message: format!(
                    "BuildKit and the containerd image store of docker 28 and later look here \
                     before `{host}`, and then not there"
                ),
                cure: format!("move what it holds to `{}`, and remove it", place.path),
            });
        }
        if here("_default") {
            let message = format!(
                "`{}/_default` is not read for `{host}` by docker 28 and later, because that has a \
                 directory of its own",
                root()
            );
            self.note(place, message);
        }
    }

    /// BuildKit in dockerd before 25 keeps the list of directories that it saw at the start.
    fn report_frozen_map(&mut self, place: &Place<'_>) {
        let is_there = self.files.is_listed(&place.path) || self.files.get(&place.path).is_some();
        if self.docker.is_before(25, 0) && !is_there {
            let message = format!(
                "`docker build` with BuildKit sees `{}` only after a restart of dockerd, because \
                 the directory is new and docker is older than 25",
                place.path
            );
            self.note(place, message);
        }
    }
}

fn place<'a>(ours: &'a [WantedFile], files: &'a Files, ledger: &Ledger) -> Option<Place<'a>> {
    let path = ours.first()?.path.parent()?;
    let mut place = Place { ours, foreign: BTreeSet::new(), path };
    let names = files.names(&place.path).filter(|name| !place.is_ours(name));
    let is_foreign = |name: &&str| !ledger.files.contains_key(&place.path.join(name));
    place.foreign = names.filter(is_foreign).collect();
    Some(place)
}

/// Where a link in a directory leads, by its text.
fn resolve(directory: &NodePath, to: &str) -> Option<NodePath> {
    let base = if to.starts_with('/') { "" } else { directory.as_str() };
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    NodePath::new(&parts.join("/")).ok()
}

/// A hosts.toml that names hosts takes daemon.json's part for its registry, from docker 28 on.
pub(in crate::target) fn hosts_toml_with_mirrors(
    host: &RegistryHost,
    docker: &Docker,
    files: &Files,
) -> Option<NodePath> {
    let path = directory(host).join("hosts.toml");
    let content = files.content(&path).filter(|_| docker.is_at_least(28, 0))?;
    let document: DocumentMut = str::from_utf8(content.bytes()).ok()?.parse().ok()?;
    let hosts = document.get("host")?.as_table_like()?;
    (!hosts.is_empty()).then_some(path)
}
