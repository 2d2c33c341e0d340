//! From entries to elements of daemon.json, and what is in their way.

use std::collections::BTreeSet;

use super::grammar::Grammar;
use super::mirrors::{Judged, Usable};
use super::{Cover, DaemonWants, Foreign, Key};
use crate::ledger::DaemonOwned;
use crate::observed::{Docker, Files};
use crate::target::{Believer, Conflict, Item, Note, Target, docker_certs};
use crate::trust::entry::{Entry, Runtime, Trust};
use crate::trust::host::RegistryHost;

/// What docker needs in daemon.json for these entries.
///
/// An element that somebody else's file already has is wanted all the same: `merge` leaves it
/// theirs. One that a flag of dockerd already sets is not, because the key must not be in the file.
pub fn want(
    entries: &[&Entry],
    docker: &Docker,
    files: &Files,
    owned: &DaemonOwned,
) -> DaemonWants {
    let foreign = Foreign::read(docker, files, owned);
    let ours = || entries.iter().filter(|entry| entry.is_for(Runtime::Docker));
    let insecure = ours().filter(|entry| entry.trust.is_unverified()).map(|entry| &entry.host);
    let insecure = insecure.collect();
    let mut wanting = Wanting { docker, files, foreign, insecure, wants: DaemonWants::default() };
    for entry in ours() {
        let item = Item { host: entry.host.clone(), on: Believer::Docker };
        // Skipping verification is what docker has no words for: `docker_certs` says so.
        if entry.trust == Trust::SkipVerify {
            continue;
        }
        if entry.trust.is_unverified() {
            wanting.unverified(entry, &item);
        }
        wanting.mirrors(entry, entries, &item);
    }
    wanting.obstacles();
    wanting.wants
}

struct Wanting<'a> {
    docker: &'a Docker,
    files: &'a Files,
    foreign: Foreign,
    /// What the entries themselves make insecure.
    insecure: BTreeSet<&'a RegistryHost>,
    wants: DaemonWants,
}

impl Wanting<'_> {
    fn note(&mut self, item: &Item, message: impl Into<String>) {
        let items = BTreeSet::from([item.clone()]);
        self.wants.notes.push(Note { items, message: message.into() });
    }

    fn conflict(&mut self, items: BTreeSet<Item>, message: String, cure: String) {
        let path = super::path().to_string();
        let target = Target::DockerDaemon;
        self.wants.conflicts.push(Conflict { target, path, items, message, cure });
    }

    fn conflict_of(&mut self, item: &Item, message: String, cure: String) {
        self.conflict(BTreeSet::from([item.clone()]), message, cure);
    }

    fn inexpressible(&mut self, item: &Item, message: String) {
        self.wants.inexpressible.insert(item.clone());
        self.note(item, message);
    }

    /// `trust = "http"` and `"insecure"`.
    fn unverified(&mut self, entry: &Entry, item: &Item) {
        if let Some(reason) = self.why_not_insecure(&entry.host) {
            return self.inexpressible(item, reason);
        }
        self.report_hub_hole(entry, item);
        self.report_hosts_toml(&entry.host, item);
        if entry.trust == Trust::Http {
            self.note(item, "docker tries TLS without verification before plain HTTP");
        }
        if entry.client.is_some() {
            self.note(item, "docker presents no client certificate to an insecure registry");
        }
        if self.docker.is_before(25, 0) {
            self.note(
                item,
                "`docker build` with BuildKit does not see this before docker 25: there it needs \
                 a restart, and an element with a scheme",
            );
        }
        self.element(&entry.host, item);
    }

    fn why_not_insecure(&self, host: &RegistryHost) -> Option<String> {
        if host.is_docker_hub() {
            return Some(
                "docker always verifies Docker Hub, whatever insecure-registries says".into(),
            );
        }
        if let Some(reason) = docker_certs::why_no_reference(host, self.docker) {
            return Some(reason);
        }
        let fits = Grammar::default().accepts_insecure(host.as_str());
        (!fits).then(|| {
            format!(
                "not every docker starts with `{host}` in insecure-registries, so it is not written"
            )
        })
    }

    fn element(&mut self, host: &RegistryHost, item: &Item) {
        match self.foreign.insecure(host).cloned() {
            Some(saying) if saying.is_flag => {
                let source = saying.source;
                return self
                    .note(item, format!("`{host}` is already insecure by a flag in {source}"));
            }
            Some(saying) => self.note(item, stays(&saying.value)),
            None => {}
        }
        let items = self.wants.insecure.entry(host.as_str().to_owned()).or_default();
        items.insert(item.clone());
    }

    /// Somebody else's mirror would lose its verification, and Docker Hub with it.
    fn report_hub_hole(&mut self, entry: &Entry, item: &Item) {
        let mirror = self.foreign.mirror_at(&entry.host).filter(|_| shares_trust(self.docker));
        if let Some(saying) = mirror {
            let message = format!(
                "`{}` in {} is a mirror of Docker Hub, and docker 28 and later would stop \
                 verifying Docker Hub itself with it{}",
                saying.value,
                saying.source,
                doubt(self.docker)
            );
            let cure = format!("give `{}` a CA, or take the mirror out", entry.host);
            self.conflict_of(item, message, cure);
        }
    }

    fn report_hosts_toml(&mut self, host: &RegistryHost, item: &Item) {
        if let Some(path) = docker_certs::hosts_toml_with_mirrors(host, self.docker, self.files) {
            self.wants.conflicts.push(Conflict {
                target: Target::DockerDaemon,
                path: path.to_string(),
                items: BTreeSet::from([item.clone()]),
                message: format!(
                    "this hosts.toml names hosts, so docker 28 and later ignore daemon.json for \
                     `{host}`"
                ),
                cure: "say it in that hosts.toml, or remove the file".into(),
            });
        }
    }

    fn mirrors(&mut self, entry: &Entry, entries: &[&Entry], item: &Item) {
        let judged = Judged::of(entry, entries, self.docker);
        let all_fit = judged.conflicts.is_empty();
        for note in judged.notes {
            self.note(item, note);
        }
        for (message, cure) in judged.conflicts {
            self.conflict_of(item, message, cure);
        }
        if judged.usable.is_empty() {
            // Nothing in certs.d either: then there is nothing of it that docker can have.
            let bare = entry.host.is_docker_hub() && entry.trust == Trust::System;
            if bare && all_fit && !entry.mirrors.is_empty() && entry.client.is_none() {
                self.wants.inexpressible.insert(item.clone());
            }
            return;
        }
        self.report_hosts_toml(&entry.host, item);
        for usable in judged.usable {
            self.mirror(&usable, item);
        }
    }

    fn mirror(&mut self, usable: &Usable, item: &Item) {
        let Usable { mirror, url } = usable;
        let is_second_address = mirror.trust == Trust::Insecure && url.starts_with("http://");
        if !is_second_address {
            self.report_cover(usable, item);
        }
        // From 28 on an `http://` address is enough; an element would open Docker Hub as well.
        if mirror.trust.is_unverified() && !shares_trust(self.docker) {
            if Grammar::default().accepts_insecure(mirror.host.as_str()) {
                self.element(&mirror.host, item);
            } else {
                return self
                    .note(item, format!("docker cannot have the mirror `{url}` unverified"));
            }
        }
        match self.foreign.mirror(url).cloned() {
            Some(saying) if saying.is_flag => {
                let source = saying.source;
                return self
                    .note(item, format!("`{url}` is already a mirror by a flag in {source}"));
            }
            Some(saying) => self.note(item, stays(&saying.value)),
            None => {}
        }
        self.wants.mirrors.push((url.clone(), BTreeSet::from([item.clone()])));
    }

    /// Whether something else decides that this mirror is not verified.
    fn report_cover(&mut self, usable: &Usable, item: &Item) {
        let Usable { mirror, url } = usable;
        let shares = shares_trust(self.docker);
        let verified = !mirror.trust.is_unverified();
        let (why, cure) = match self.foreign.cover(&mirror.host) {
            _ if mirror.trust == Trust::Insecure => {
                ("it is declared `insecure`".to_owned(), "give it a CA".to_owned())
            }
            _ if self.insecure.contains(&mirror.host) => {
                ("its own entry makes it insecure".to_owned(), "give it a CA in both".to_owned())
            }
            Cover::Stated(saying) => (
                format!("`{}` in {} makes it insecure", saying.value, saying.source),
                format!("take `{}` out of {}", saying.value, saying.source),
            ),
            Cover::Loopback => (
                "docker takes loopback addresses for insecure".to_owned(),
                "reach it by another address".to_owned(),
            ),
            Cover::IfResolvedInto(ranges) => {
                let who = format!("`{}`", mirror.host);
                let message = resolves(&who, ranges.iter().map(|(_, saying)| &*saying.value));
                if verified || shares {
                    self.note(item, message);
                }
                return;
            }
            Cover::Nothing => return,
        };
        if shares {
            let message = format!(
                "docker 28 and later verify Docker Hub itself no better than its mirrors{}, and \
                 `{url}` is not verified: {why}",
                doubt(self.docker)
            );
            self.conflict_of(item, message, format!("{cure}, or use docker before 28"));
        } else if verified {
            let message = format!("docker does not verify the mirror `{url}`: {why}");
            self.conflict_of(item, message, cure);
        }
    }

    /// What keeps us from the file, whatever we want there.
    fn obstacles(&mut self) {
        let of_insecure: BTreeSet<_> = self.wants.insecure.values().flatten().cloned().collect();
        let of_mirrors: BTreeSet<_> =
            self.wants.mirrors.iter().flat_map(|(_, items)| items).cloned().collect();
        let all: BTreeSet<_> = of_insecure.union(&of_mirrors).cloned().collect();
        if all.is_empty() {
            return;
        }
        if let Some((moved, source)) = super::moved_config(self.docker) {
            let message = format!("dockerd reads `{moved}` instead, which is not managed");
            let cure = format!(
                "take `--config-file` out of {source}, or make the change in `{moved}` by hand"
            );
            return self.conflict(all, message, cure);
        }
        self.flagged(Key::InsecureRegistries, of_insecure.clone());
        self.flagged(Key::RegistryMirrors, of_mirrors.clone());
        self.refused_elements(&all);
        self.byte_order_mark(&all);
        self.lossy_reload(&all, of_insecure.is_empty(), of_mirrors.is_empty());
    }

    fn flagged(&mut self, key: Key, items: BTreeSet<Item>) {
        let Some(flag) = self.docker.flag(key.flag()).next() else { return };
        let (name, source) = (key.flag(), flag.source.clone());
        if items.is_empty() {
            return;
        }
        let message = format!(
            "dockerd is started with `--{name}`, and would not start with `{key}` in the file as well"
        );
        let cure = format!("move the values of `--{name}` from {source} to daemon.json");
        self.conflict(items, message, cure);
    }

    fn refused_elements(&mut self, items: &BTreeSet<Item>) {
        let grammar = Grammar::of(self.docker);
        let refused = |key: Key| {
            let accepts = move |value: &&str| match key {
                Key::InsecureRegistries => !grammar.accepts_insecure(value),
                Key::RegistryMirrors => !grammar.accepts_mirror(value),
            };
            self.foreign.in_file(key).filter(accepts).map(move |value| (key, value.to_owned()))
        };
        let refused: Vec<_> = Key::ALL.into_iter().flat_map(refused).collect();
        for (key, value) in refused {
            let message = format!(
                "docker does not accept `{value}` in `{key}`{}, and would reject ours with it",
                doubt(self.docker)
            );
            self.conflict(items.clone(), message, format!("correct or remove `{value}`"));
        }
    }

    fn byte_order_mark(&mut self, items: &BTreeSet<Item>) {
        let content = self.files.content(&super::path());
        let marked = content.is_some_and(|content| content.bytes().starts_with(b"\xef\xbb\xbf"));
        if marked && self.docker.is_before(23, 0) {
            let message = "the file begins with a byte order mark, which docker before 23 refuses";
            self.conflict(items.clone(), message.into(), "remove the mark".into());
        }
    }

    /// 23.0.0 to 23.0.6 and 24.0.0.
    fn lossy_reload(&mut self, items: &BTreeSet<Item>, no_insecure: bool, no_mirrors: bool) {
        let has = |key: Key| self.foreign.in_file(key).next().is_some();
        let both = (!no_insecure || has(Key::InsecureRegistries))
            && (!no_mirrors || has(Key::RegistryMirrors));
        let lossy = self.docker.version.is_some_and(|version| {
            matches!((version.major, version.minor, version.patch), (23, 0, 0..=6) | (24, 0, 0))
        });
        if both && lossy {
            let message = "this docker forgets insecure-registries at a reload when there are \
                           mirrors: it needs a restart, or 23.0.7 or 24.0.1"
                .to_owned();
            self.wants.notes.push(Note { items: items.clone(), message });
        }
    }
}

/// From 28 on, docker shares one TLS configuration between Docker Hub and its mirrors, so one
/// mirror that is not verified leaves Docker Hub unverified. An unknown version may be such a one.
fn shares_trust(docker: &Docker) -> bool {
    !docker.is_before(28, 0)
}

fn doubt(docker: &Docker) -> &'static str {
    if docker.version.is_none() { " (its version is unknown)" } else { "" }
}

fn stays(value: &str) -> String {
    format!("`{value}` is in daemon.json already and not ours; it stays when this entry goes")
}

pub(in crate::target) fn resolves<'a>(who: &str, ranges: impl Iterator<Item = &'a str>) -> String {
    let ranges: Vec<_> = ranges.map(|range| format!("`{range}`")).collect();
    format!(
        "docker does not verify {who} while its name resolves into {}, which somebody made \
         insecure",
        ranges.join(" or ")
    )
}
