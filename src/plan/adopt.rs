//! Takes over what somebody configured by hand, on request and for declared registries only.

use std::borrow::Cow;
use std::sync::Arc;

use super::Situation;
use crate::ledger::{Ledger, OwnedFile};
use crate::observed::Found;
use crate::path::NodePath;
use crate::target::{Target, containerd_config, docker_certs, docker_daemon};

/// The ledger as if we had written what was there. The plan then changes it like the rest.
pub(super) fn adopted<'a>(situation: &Situation<'a>) -> Cow<'a, Ledger> {
    if situation.adopt.is_empty() {
        return Cow::Borrowed(situation.ledger);
    }
    let mut ledger = situation.ledger.clone();
    let files = &situation.observed.files;
    let hosts = situation.observed.containerd.as_ref().map(|containerd| {
        let owned = ledger.containerd_config.as_ref();
        containerd_config::examine(containerd, files, owned).directory()
    });
    for host in situation.adopt {
        let docker = docker_certs::directory(host);
        adopt_directory(&docker, Target::DockerCerts, situation, &mut ledger);
        if let Some(hosts) = &hosts {
            let directory = hosts.join(host.as_str());
            adopt_directory(&directory, Target::ContainerdHosts, situation, &mut ledger);
        }
    }
    adopt_elements(situation, &mut ledger);
    Cow::Owned(ledger)
}

/// What `adopted` has and the ledger has not, for people.
pub(super) fn taken_over(before: &Ledger, adopted: &Ledger) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    if !Arc::ptr_eq(&before.files, &adopted.files) {
        let files = adopted.files.keys().filter(|path| !before.files.contains_key(*path));
        taken.extend(files.map(ToString::to_string));
    }
    let arrays = &before.docker_daemon.arrays;
    for (key, array) in &adopted.docker_daemon.arrays {
        let is_new = |element: &&String| {
            !arrays.get(key).is_some_and(|before| before.elements.contains(*element))
        };
        let element = |element| format!("`{element}` in {key} of {}", docker_daemon::path());
        taken.extend(array.elements.iter().filter(is_new).map(element));
    }
    taken
}

/// Trust files only: a README beside them is none of our business.
fn adopt_directory(
    directory: &NodePath,
    target: Target,
    situation: &Situation<'_>,
    ledger: &mut Ledger,
) {
    let files = &situation.observed.files;
    for name in files.names(directory) {
        let is_trust = [".crt", ".cert", ".key"].iter().any(|end| name.ends_with(end))
            || (target == Target::ContainerdHosts && name == "hosts.toml");
        let path = directory.join(name);
        let Some(Found::File { content, mode, .. }) = files.get(&path) else { continue };
        if is_trust && !ledger.files.contains_key(&path) {
            let owned = OwnedFile { target, sha256: content.digest(), mode: *mode };
            Arc::make_mut(&mut ledger.files).insert(path, owned);
            Arc::make_mut(&mut ledger.directories).insert(directory.clone());
        }
    }
}

fn adopt_elements(situation: &Situation<'_>, ledger: &mut Ledger) {
    let path = docker_daemon::path();
    let Some(content) = situation.observed.files.content(&path) else { return };
    let Ok(text) = std::str::from_utf8(content.bytes()) else { return };
    for (key, elements) in docker_daemon::adoptable(text, situation.adopt) {
        let array = ledger.docker_daemon.arrays.entry(key.name().to_owned()).or_default();
        array.elements.extend(elements);
    }
}
