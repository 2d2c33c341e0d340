//! Docker's certs.d: a directory per registry with its CA and a client pair.
//!
//! Docker reads it at every pull, push and login, so nothing needs a signal. It adds every `.crt`
//! there to the system's roots, and needs a `.key` beside every `.cert`: without it all pulls from
//! that registry fail. None of it is read for a registry that docker takes for insecure.

use crate::content::Content;
use crate::ledger::Ledger;
use crate::node_path;
use crate::observed::{Docker, Files};
use crate::path::NodePath;
use crate::target::docker_daemon::mirrors::Judged;
use crate::target::docker_daemon::{Cover, Foreign, resolves};
use crate::target::{Believer, Conflict, Item, Note, Target, WantedFile, Wants};
use crate::trust::certificate::CaBundle;
use crate::trust::entry::{Entry, Mirror, Runtime, Trust};
use crate::trust::host::RegistryHost;

mod directory;

pub(super) use directory::hosts_toml_with_mirrors;

const CA: &str = "ca.crt";
const CERTIFICATE: &str = "client.cert";
const KEY: &str = "client.key";

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// The directory of directories.
pub fn root() -> NodePath {
    node_path!("etc/docker/certs.d")
}

/// A registry's directory: the host exactly as image references spell it.
pub fn directory(host: &RegistryHost) -> NodePath {
    root().join(host.as_str())
}

/// What somebody should know when a CA is taken away or exchanged: BuildKit keeps what it resolved
/// for a repository, and nothing but a restart of dockerd makes it forget earlier.
pub const BUILDKIT_CACHE: &str = "`docker build` may go on with the old trust for a repository that \
                                  it used lately: about 5 minutes, 15 if the registry asks for a \
                                  login, or until dockerd restarts";

/// The files docker needs in certs.d for these entries.
pub fn want(entries: &[&Entry], docker: &Docker, files: &Files, ledger: &Ledger) -> Wants {
    let foreign = Foreign::read(docker, files, &ledger.docker_daemon);
    let mut wanting = Wanting {
        docker,
        files,
        ledger,
        foreign,
        wants: Wants::default(),
        wanted: Vec::new(),
        resolving: None,
    };
    let ours = || entries.iter().filter(|entry| entry.is_for(Runtime::Docker));
    for entry in ours() {
        wanting.entry(entry);
    }
    for entry in ours().filter(|entry| entry.trust != Trust::SkipVerify) {
        for usable in Judged::of(entry, entries, docker).usable {
            wanting.mirror(entry, usable.mirror);
        }
    }
    for entry in ours().filter(|entry| entry.host.is_docker_hub()) {
        wanting.hub(entry, entries);
    }
    wanting.finish()
}

/// Why an image reference cannot name this host on this docker at all.
pub(super) fn why_no_reference(host: &RegistryHost, docker: &Docker) -> Option<String> {
    let is_v6 = host.name().starts_with('[');
    (is_v6 && !docker.is_at_least(25, 0)).then(|| match docker.version {
        Some(version) => format!(
            "docker {version} cannot name an IPv6 address in an image reference; docker 25 and \
             later can"
        ),
        None => "docker before 25 cannot name an IPv6 address in an image reference, and this \
                 one's version is unknown"
            .into(),
    })
}

struct Wanting<'a> {
    docker: &'a Docker,
    files: &'a Files,
    ledger: &'a Ledger,
    foreign: Foreign,
    wants: Wants,
    wanted: Vec<WantedFile>,
    /// What holds for every registry with a name where somebody made ranges insecure, said once.
    resolving: Option<(String, Vec<Item>)>,
}

impl Wanting<'_> {
    fn finish(mut self) -> Wants {
        if let Some((message, items)) = self.resolving.take() {
            self.wants.notes.push(Note { items: items.into_iter().collect(), message });
        }
        let files = self.united();
        self.inspect_directories(&files);
        self.wants.files = files;
        self.wants
    }

    fn inexpressible(&mut self, item: &Item, message: impl Into<String>) {
        self.wants.inexpressible.insert(item.clone());
        self.wants.note(item, message);
    }

    fn entry(&mut self, entry: &Entry) {
        let item = item_of(entry);
        if entry.trust == Trust::SkipVerify {
            return self.inexpressible(
                &item,
                "docker cannot skip verification without also falling back to HTTP; use trust = \
                 \"insecure\" if that is acceptable",
            );
        }
        // Insecure registries are daemon.json's, and docker reads no certs.d for them.
        if entry.host.is_docker_hub() || entry.trust.is_unverified() {
            return;
        }
        if let Some(reason) = why_no_reference(&entry.host, self.docker) {
            return self.inexpressible(&item, reason);
        }
        self.report_cover(&entry.host, &item);
        let directory = directory(&entry.host);
        if let Some(ca) = entry.trust.ca() {
            self.add(directory.join(CA), ca.content(), PUBLIC, &item);
        }
        self.client(&directory, entry, &item);
    }

    fn client(&mut self, directory: &NodePath, entry: &Entry, item: &Item) {
        if let Some(client) = &entry.client {
            self.add(directory.join(CERTIFICATE), &client.certificate, PUBLIC, item);
            self.add(directory.join(KEY), &client.key, PRIVATE, item);
        }
    }

    /// The classic pull path, and everything before 28, looks for a mirror's CA under the mirror's
    /// own name. `daemon.json`'s part of a mirror says what is in its way.
    fn mirror(&mut self, entry: &Entry, mirror: &Mirror) {
        if let Some(ca) = mirror.trust.ca() {
            let path = directory(&mirror.host).join(CA);
            self.add(path, ca.content(), PUBLIC, &item_of(entry));
        }
    }

    /// Docker Hub's own directory. The classic pull path never reads it; the containerd image store
    /// and BuildKit do, from 28 on, for Docker Hub and all its mirrors alike.
    fn hub(&mut self, entry: &Entry, entries: &[&Entry]) {
        if entry.trust.is_unverified() {
            return;
        }
        let item = item_of(entry);
        let usable = Judged::of(entry, entries, self.docker).usable;
        let own = entry.trust.ca();
        let of_mirrors: Vec<_> = usable.iter().filter_map(|one| one.mirror.trust.ca()).collect();
        let has_own = own.is_some() || entry.client.is_some();
        if self.docker.is_before(28, 0) {
            let message = "docker before 28 reads no certificates for Docker Hub";
            match (has_own, usable.is_empty()) {
                (true, true) => self.inexpressible(&item, message),
                (true, false) => self.wants.note(&item, message),
                (false, _) => {}
            }
            return;
        }
        if has_own {
            self.wants.note(
                &item,
                "only BuildKit and the containerd image store of docker 28 and later read \
                 certificates for Docker Hub; the classic pull path does not",
            );
        }
        if !of_mirrors.is_empty() {
            self.wants.note(
                &item,
                "BuildKit and the containerd image store of docker 28 and later keep one set of \
                 CAs for Docker Hub and its mirrors, so the mirrors' CAs are believed for Docker \
                 Hub as well",
            );
        }
        let directory = directory(&entry.host);
        if let Some(content) = joined(own.into_iter().chain(of_mirrors)) {
            self.add(directory.join(CA), &content, PUBLIC, &item);
        }
        self.client(&directory, entry, &item);
    }

    fn report_cover(&mut self, host: &RegistryHost, item: &Item) {
        match self.foreign.cover(host) {
            Cover::Nothing => {}
            Cover::Stated(saying) => self.wants.conflict(
                Target::DockerCerts,
                &directory(host),
                item,
                format!(
                    "`{}` in {} makes `{host}` insecure: docker verifies nothing and reads no \
                     certificates for it",
                    saying.value, saying.source
                ),
                format!("take `{}` out of {}", saying.value, saying.source),
            ),
            Cover::Loopback => self.wants.note(
                item,
                "docker takes loopback addresses for insecure: it verifies nothing and reads no \
                 certificates for them",
            ),
            Cover::IfResolvedInto(ranges) => {
                let ranges = ranges.iter().map(|(_, saying)| &*saying.value);
                let message = || (resolves("this registry", ranges), Vec::new());
                self.resolving.get_or_insert_with(message).1.push(item.clone());
            }
        }
    }

    fn add(&mut self, path: NodePath, content: &Content, mode: u32, item: &Item) {
        self.wanted.push(WantedFile {
            target: Target::DockerCerts,
            path,
            content: content.clone(),
            mode,
            items: item.clone().into(),
        });
    }

    /// Several items may need one file. Where they disagree, the first one has it.
    fn united(&mut self) -> Vec<WantedFile> {
        let mut all = std::mem::take(&mut self.wanted);
        all.sort_by(|one, other| one.path.cmp(&other.path));
        let mut united: Vec<WantedFile> = Vec::with_capacity(all.len());
        for file in all {
            match united.last_mut() {
                Some(known) if known.path == file.path && known.content == file.content => {
                    known.items.extend(file.items);
                }
                Some(known) if known.path == file.path => {
                    self.wants.conflicts.extend(file.items.into_iter().map(|item| Conflict {
                        target: Target::DockerCerts,
                        path: file.path.to_string(),
                        items: [item].into(),
                        message: "another entry needs other bytes in this file".to_owned(),
                        cure: "declare the host with the same certificates in both".to_owned(),
                    }));
                }
                _ => united.push(file),
            }
        }
        united
    }
}

fn item_of(entry: &Entry) -> Item {
    Item { host: entry.host.clone(), on: Believer::Docker }
}

/// One file from several bundles, each certificate once.
fn joined<'a>(bundles: impl Iterator<Item = &'a CaBundle>) -> Option<Content> {
    let mut seen = std::collections::BTreeSet::new();
    let mut text = String::new();
    for certificate in bundles.flat_map(CaBundle::certificates) {
        if seen.insert(certificate.fingerprint) {
            text.push_str(&certificate.pem);
        }
    }
    (!text.is_empty()).then(|| Content::plain(text))
}

#[cfg(test)]
mod tests;
