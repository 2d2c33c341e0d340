//! `live-restore`: dockerd leaves its containers running when it is restarted.
//!
//! It is written only where an administrator wants it from us and nobody has said anything about it:
//! a value that is there is somebody's decision. Taking it out has the trap of the lists: to a
//! missing key dockerd says "no change", so it is first written as `false`, and taken out once
//! dockerd has read that.
//!
//! A dockerd in swarm mode does not start with it, and one that has it makes no swarm.

use serde_json::Value;

use super::json_edit::Document;
use super::merge_error::MergeError;
use super::moved_config;
use crate::content::Content;
use crate::ledger::DaemonOwned;
use crate::node_path;
use crate::observed::{Docker, Files, Found, Running};
use crate::path::NodePath;

pub(super) const NAME: &str = "live-restore";

/// What is to become of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// It is to be on, if nobody says otherwise.
    On,
    /// None of ours.
    #[default]
    Gone,
    /// None of ours, once dockerd has read that it is off.
    Off,
}

impl Goal {
    /// `is_wanted`: by the administrator. `is_read`: the running dockerd has loaded the file.
    pub fn of(
        is_wanted: bool,
        docker: Option<&Docker>,
        files: &Files,
        owned: &DaemonOwned,
        is_read: bool,
    ) -> Self {
        let Some(docker) = docker else { return Self::Gone };
        // With the flag and the key dockerd would not start again.
        let is_flagged = docker.flag(NAME).next().is_some();
        let is_ours_to_write = moved_config(docker).is_none() && !is_flagged;
        if is_wanted && is_ours_to_write && may_be(docker, files) {
            return Self::On;
        }
        let is_off = owned.live_restore == Some(false) && is_read;
        let is_over = docker.running == Running::No || is_flagged || is_off;
        if is_over { Self::Gone } else { Self::Off }
    }
}

/// Where dockerd keeps everything, unless it is told otherwise.
pub fn data_root() -> NodePath {
    node_path!("var/lib/docker")
}

/// And that it is in a swarm.
pub fn swarm_state() -> NodePath {
    data_root().join("swarm/docker-state.json")
}

/// Whether dockerd would start with it: it is in no swarm, and keeps its state where that is seen. In
/// a container that sees only `/etc` of its host a swarm would look like none.
fn may_be(docker: &Docker, files: &Files) -> bool {
    const MOVES: [&str; 2] = ["data-root", "graph"];
    let text = files.content(&super::path()).map(Content::bytes);
    let text = text.and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default();
    let file: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap_or_default();
    let is_moved =
        MOVES.iter().any(|key| docker.flag(key).next().is_some() || file.get(key).is_some());
    let is_seen = files.get(&data_root()) == Some(&Found::Directory);
    !is_moved && is_seen && files.get(&swarm_state()).is_none()
}

/// What a daemon.json says of it. `None`: nothing, and dockerd keeps what it has.
pub fn says(text: Option<&str>) -> Option<bool> {
    let text = text.unwrap_or_default().trim_start_matches('\u{feff}');
    serde_json::from_str::<Value>(text).ok()?.get(NAME)?.as_bool()
}

/// The text with it as it is to be, and what of that is ours.
pub(super) fn bring(
    document: &Document<'_>,
    owned: Option<bool>,
    goal: Goal,
    opened: bool,
) -> Result<(String, Option<bool>), MergeError> {
    let unchanged = || document.text.to_owned();
    let value = document.value(NAME);
    let is_ours = value.is_some_and(|value| value.as_bool().is_some() && value.as_bool() == owned);
    let (text, owned) = match (goal, value) {
        (Goal::On, None) => (document.insert_member(NAME, |_| "true".to_owned()), Some(true)),
        (Goal::On, Some(_)) if is_ours => (document.set_value(NAME, "true"), Some(true)),
        (Goal::Off, None) if owned.is_some() => {
            (document.insert_member(NAME, |_| "false".to_owned()), Some(false))
        }
        (Goal::Off, Some(_)) if is_ours => (document.set_value(NAME, "false"), Some(false)),
        (Goal::Gone, Some(_)) if is_ours => (document.remove_member(NAME, opened), None),
        // Somebody else has said something about it, or took it out.
        _ => (unchanged(), None),
    };
    if text != document.text {
        verify(document, &text, owned)?;
    }
    Ok((text, owned))
}

/// The spans came from another parser than the values: see `merge`.
fn verify(before: &Document<'_>, after: &str, meant: Option<bool>) -> Result<(), MergeError> {
    let unsound = MergeError::UnsoundSwitch;
    let after = Document::parse(after).map_err(|_| unsound.clone())?;
    let says = after.value(NAME).and_then(Value::as_bool);
    if says == meant && before.beside(NAME).eq(after.beside(NAME)) { Ok(()) } else { Err(unsound) }
}

#[cfg(test)]
mod tests {
    use super::super::{Goals, merge};
    use super::*;
    use crate::target::docker_daemon::fixtures::*;

    fn goals(live_restore: Goal) -> Goals {
        Goals { live_restore, ..Goals::default() }
    }

    fn brought(
        text: Option<&str>,
        owned: &DaemonOwned,
        goal: Goal,
    ) -> (Option<String>, DaemonOwned) {
        let merged = merge(text, owned, &goals(goal)).unwrap();
        let again = merge(merged.text.as_deref(), &merged.owned, &goals(goal)).unwrap();
        assert_eq!(again, merged, "a second time there is nothing to do");
        (merged.text, merged.owned)
    }

    #[test]
    fn it_is_taken_back_to_the_last_byte() {
        for text in [
            None,
            Some(""),
            Some("{}"),
            Some("{}\n"),
            Some("{\n}\n"),
            Some("{\"debug\":true}"),
            Some("{\n    \"debug\": true,\n    \"labels\": [\"a\"]\n}\n"),
            Some("{\"insecure-registries\": [\"a.corp\"], \"debug\": true }"),
        ] {
            let (on, owned) = brought(text, &DaemonOwned::default(), Goal::On);
            assert_eq!(
                (says(on.as_deref()), owned.live_restore),
                (Some(true), Some(true)),
                "{on:?}"
            );
            let (off, owned) = brought(on.as_deref(), &owned, Goal::Off);
            assert_eq!((says(off.as_deref()), owned.live_restore), (Some(false), Some(false)));
            let (gone, owned) = brought(off.as_deref(), &owned, Goal::Gone);
            assert_eq!((gone.as_deref(), owned), (text, DaemonOwned::default()));
        }
    }

    #[test]
    fn what_somebody_has_said_about_it_stays() {
        for text in ["{\"live-restore\": false}", "{\"live-restore\": true}"] {
            for goal in [Goal::On, Goal::Off, Goal::Gone] {
                let (after, owned) = brought(Some(text), &DaemonOwned::default(), goal);
                assert_eq!((after.as_deref(), owned.live_restore), (Some(text), None));
            }
        }
        let (_, ours) = brought(Some("{}"), &DaemonOwned::default(), Goal::On);
        for goal in [Goal::On, Goal::Off, Goal::Gone] {
            let theirs = "{\"live-restore\": false}";
            let (after, owned) = brought(Some(theirs), &ours, goal);
            assert_eq!((after.as_deref(), owned.live_restore), (Some(theirs), None));
        }
    }

    #[test]
    fn where_it_would_keep_docker_from_starting_it_is_not_written() {
        let none = DaemonOwned::default();
        let goal = |docker: &Docker, files: &Files, owned: &DaemonOwned, is_read| {
            Goal::of(true, Some(docker), files, owned, is_read)
        };
        let seen = |mut files: Files| {
            put(&mut files, "var/lib/docker", Found::Directory);
            files
        };
        let plain = seen(Files::default());
        let swarm = seen(files(&[("var/lib/docker/swarm/docker-state.json", "{}")]));
        assert_eq!(goal(&docker("26.1.5"), &plain, &none, false), Goal::On);
        assert_eq!(goal(&docker("26.1.5"), &swarm, &none, false), Goal::Off);
        assert_eq!(
            goal(&docker("26.1.5"), &Files::default(), &none, false),
            Goal::Off,
            "nobody sees"
        );
        let moved = seen(daemon_json("{\"data-root\": \"/srv/docker\"}"));
        assert_eq!(goal(&docker("26.1.5"), &moved, &none, false), Goal::Off);
        let flagged = flagged("26.1.5", "live-restore", "true");
        assert_eq!(goal(&flagged, &plain, &none, false), Goal::Gone);
        let going = DaemonOwned { live_restore: Some(false), ..none };
        assert_eq!(goal(&docker("26.1.5"), &swarm, &going, false), Goal::Off, "it has not read it");
        assert_eq!(goal(&docker("26.1.5"), &swarm, &going, true), Goal::Gone);
        assert_eq!(Goal::of(true, None, &plain, &going, false), Goal::Gone);
    }
}
