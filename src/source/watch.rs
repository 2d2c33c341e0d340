//! Notices that something may have changed. Says "look again", never what.
//!
//! Every directory that matters is watched, or, where it is not there yet, the nearest one above it
//! that is. What is to be watched is found again after every look, because directories come and go.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, Event, EventKind, INotifyWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::node::root::NodeRoot;
use crate::node_path;
use crate::path::NodePath;

/// An editor writes, renames and sets modes; a swapped ConfigMap is a dozen events.
const CALM: Duration = Duration::from_millis(100);
/// Somebody who never stops writing must not keep everybody from looking.
const LONGEST: Duration = Duration::from_millis(500);
/// Where the kernel lends no (more) watches.
const POLL: Duration = Duration::from_secs(30);
/// How often a directory may vanish while its watch is begun.
const TRIES: usize = 4;

/// Directories beneath one tree, as the process itself finds them.
#[derive(Debug)]
pub struct Watch {
    base: PathBuf,
    watcher: Option<INotifyWatcher>,
    events: mpsc::Receiver<()>,
    watched: BTreeSet<PathBuf>,
    wanted: Wanted,
    /// Something has happened that nobody has been told yet.
    is_news: bool,
    /// Not everything can be watched, so it is looked at from time to time as well.
    is_blind: bool,
}

impl Watch {
    /// `base` is where the tree's root is for this process.
    pub fn new(base: &Path) -> Self {
        // One event says all there is to say, and more would only wait behind it.
        let (sender, events) = mpsc::channel(1);
        let wanted = Wanted::default();
        let heard = wanted.clone();
        let told = move |event: notify::Result<Event>| {
            if event.as_ref().is_ok_and(|event| !is_change(event) || !heard.concerns(event)) {
                return;
            }
            // An error may be an overflow: something happened, and nobody knows what.
            _ = sender.try_send(());
        };
        let watcher = INotifyWatcher::new(told, notify::Config::default());
        let watcher =
            watcher.inspect_err(|error| tracing::warn!(%error, "cannot watch files")).ok();
        Self {
            base: base.to_owned(),
            is_blind: watcher.is_none(),
            watcher,
            events,
            watched: BTreeSet::new(),
            wanted,
            is_news: false,
        }
    }

    /// Watches these directories and no others. `true`: some of them only from now on, so whoever
    /// looked before must look again.
    pub fn over(&mut self, root: &NodeRoot, directories: &BTreeSet<NodePath>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let here = |path: &NodePath| self.base.join(path.as_str());
        // First, or what happens from now on is not taken for news.
        self.wanted.set(directories.iter().map(here).collect());
        let mut begun = BTreeSet::new();
        let mut trouble = None;
        for path in directories.iter().flat_map(|path| [Some(path.clone()), teller(path)]).flatten()
        {
            match begin(watcher, root, &self.base, &path) {
                Ok(path) => _ = begun.insert(path),
                Err(error) => trouble = Some((path, error)),
            }
        }
        for gone in self.watched.difference(&begun) {
            // It may be gone altogether, and its watch with it.
            _ = watcher.unwatch(gone);
        }
        if let (false, Some((path, error))) = (self.is_blind, &trouble) {
            tracing::warn!(%path, %error, "cannot watch, so I look every {POLL:?}");
        }
        self.is_blind = trouble.is_some();
        let is_more = !begun.is_subset(&self.watched);
        self.watched = begun;
        is_more
    }

    /// Waits until something may have changed and has come to rest. Who gives up waiting is told the
    /// next time.
    pub async fn changed(&mut self) {
        if self.is_news {
            // Left from a wait that was given up.
        } else if self.is_blind {
            tokio::select! {
                () = sleep(POLL) => return,
                _ = self.events.recv() => {}
            }
        } else if self.events.recv().await.is_none() {
            // The watcher is gone; without it only looking helps.
            return sleep(POLL).await;
        }
        self.is_news = true;
        let last = Instant::now() + LONGEST;
        loop {
            let calm = (Instant::now() + CALM).min(last);
            match timeout_at(calm, self.events.recv()).await {
                Ok(Some(())) if calm < last => {}
                _ => break,
            }
        }
        self.is_news = false;
    }
}

/// Directories in which a change is news. Above one that is missing, and above a control group, much
/// happens that concerns nobody here.
#[derive(Clone, Debug, Default)]
struct Wanted(Arc<Mutex<BTreeSet<PathBuf>>>);

impl Wanted {
    fn set(&self, wanted: BTreeSet<PathBuf>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    }

    /// Whether it is about one of them, something in it, or something above it. What names nothing,
    /// such as that events were lost, may be about anything.
    fn concerns(&self, event: &Event) -> bool {
        let wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in = |path: &Path| path.parent().is_some_and(|parent| wanted.contains(parent));
        let is_above = |path: &PathBuf| {
            wanted.range(path.clone()..).next().is_some_and(|one| one.starts_with(path))
        };
        event.paths.is_empty() || event.paths.iter().any(|path| is_in(path) || is_above(path))
    }
}

/// Watches the directory, or the nearest one above it that is there, and says which.
///
/// One that was replaced has the same name and another watch, so it is begun anew each time; for one
/// that is still the same the kernel changes nothing.
fn begin(
    watcher: &mut INotifyWatcher,
    root: &NodeRoot,
    base: &Path,
    directory: &NodePath,
) -> notify::Result<PathBuf> {
    let mut tries = 0;
    loop {
        tries += 1;
        let nearest = nearest(root, directory);
        let path = base.join(nearest.as_ref().map_or("", NodePath::as_str));
        match watcher.watch(&path, RecursiveMode::NonRecursive) {
            Ok(()) => return Ok(path),
            // It went away in between, and the next one above it is told what comes.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

/// What has to be watched as well to hear of the directory's end: the kernel's control groups go
/// without a word of their own.
fn teller(directory: &NodePath) -> Option<NodePath> {
    let is_silent = directory.is_beneath(&node_path!("sys/fs/cgroup"));
    is_silent.then(|| directory.parent()).flatten()
}

/// That somebody read a file is no news: we do so all the time.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// The directory itself, or the nearest one above it that is there. `None`: the root.
fn nearest(root: &NodeRoot, path: &NodePath) -> Option<NodePath> {
    std::iter::successors(Some(path.clone()), NodePath::parent)
        .find(|path| matches!(root.directory(path), Ok(Some(_))))
}

#[cfg(test)]
mod tests;
