//! What an operator should know about the effects of a plan, and about there being none.

use std::collections::BTreeSet;

use super::change::{Changes, FileEdit};
use super::effect::{Due, Effect};
use crate::content::Content;
use crate::ledger::Loads;
use crate::observed::Observed;
use crate::target::{Note, Target, docker_certs, docker_daemon};

/// Trust that is taken from a running dockerd, be it a certificate or an element of a list. Without
/// the note "nothing is due" would read as "nobody trusts it any more".
pub(super) fn remembered_by_builds(changes: &Changes, observed: &Observed) -> Option<Note> {
    let takes_away = |edit: &FileEdit| match edit.target {
        Some(Target::DockerCerts) => edit.before.is_some() && edit.before != edit.after,
        Some(Target::DockerDaemon) => loses_an_element(edit),
        _ => false,
    };
    let is_running = Loads::DockerDaemon.has_listener(observed);
    let message = docker_certs::BUILDKIT_CACHE.to_owned();
    (is_running && changes.edits().any(takes_away))
        .then(|| Note { items: BTreeSet::new(), message })
}

/// dockerd asks its plugins whenever it reads its configuration, and ends if one does not answer. So
/// a harmless reload is the end of every container where a plugin has gone away, or where somebody
/// wrote one down that was not there yet.
pub(super) fn authorization_plugins(due: &[Due], observed: &Observed) -> Option<Note> {
    let reads = |due: &Due| matches!(due.effect, Effect::ReloadDocker | Effect::RestartDocker);
    if !due.iter().any(reads) {
        return None;
    }
    let file = observed.files.content(&docker_daemon::path()).map(Content::bytes);
    let mut plugins = docker_daemon::authorization_plugins(file.unwrap_or_default());
    let flags = observed.docker.iter().flat_map(|docker| docker.flag("authorization-plugin"));
    plugins.extend(flags.map(|flag| flag.value.clone()));
    let names: Vec<_> = plugins.iter().map(|plugin| format!("`{plugin}`")).collect();
    let message = format!(
        "dockerd ends at a reload or a start if an authorization plugin does not answer: see first \
         that {} does",
        names.join(" and ")
    );
    (!names.is_empty()).then(|| Note { items: BTreeSet::new(), message })
}

fn loses_an_element(edit: &FileEdit) -> bool {
    let lists = |content: &Option<Content>| {
        let bytes = content.as_ref().map(Content::bytes);
        docker_daemon::lists(bytes.and_then(|bytes| str::from_utf8(bytes).ok()))
    };
    let (before, after) = (lists(&edit.before), lists(&edit.after));
    before.iter().any(|(key, list)| {
        let rest = after.get(key).map_or(&[][..], Vec::as_slice);
        list.iter().any(|element| !rest.contains(element))
    })
}
