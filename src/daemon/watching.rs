//! Keeps looking at what the agent depends on, and tells it when something changed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::Place;
use crate::agent::{Handle, Request, Unavailable};
use crate::blocking::blocking;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::source::watch::Watch;

/// Until the agent is gone.
pub(super) async fn watch(
    place: Arc<Place>,
    agent: Handle,
    mut wanted: watch::Receiver<BTreeSet<NodePath>>,
) {
    let mut node = Watch::new(&place.base);
    let mut container = container(&place);
    loop {
        let directories = wanted.borrow_and_update().clone();
        let mut is_more;
        (node, is_more) = over(node, Arc::clone(&place.root), directories).await;
        if let Some((watch, root, directories)) = container {
            let (watch, more) = over(watch, Arc::clone(&root), directories.clone()).await;
            container = Some((watch, root, directories));
            is_more |= more;
        }
        // What was written between the look and the watch has made no event.
        if !is_more {
            tokio::select! {
                () = node.changed() => {}
                () = changed(&mut container) => {}
                more = wanted.changed() => match more {
                    // Other directories matter now, and that is all.
                    Ok(()) => continue,
                    Err(_) => return,
                },
            }
        }
        match agent.tell(Request::Look) {
            // With so many waiting, one of them looks.
            Ok(()) | Err(Unavailable::Full) => {}
            Err(Unavailable::Ended) => return,
        }
    }
}

/// Beside the loop: every directory is a word with another thread and back, and with a hundred
/// registries whoever waits for an answer would wait for three hundred of them first.
async fn over(
    mut watch: Watch,
    root: Arc<NodeRoot>,
    directories: BTreeSet<NodePath>,
) -> (Watch, bool) {
    blocking(move || {
        let is_more = watch.over(&root, &directories);
        (watch, is_more)
    })
    .await
}

type Container = (Watch, Arc<NodeRoot>, BTreeSet<NodePath>);

/// Declarations that are mounted into our own container.
fn container(place: &Place) -> Option<Container> {
    let outside = |directory: &crate::source::dropin::Directory| {
        Some((Arc::clone(directory.outside.as_ref()?), directory.path.clone()))
    };
    let found: Vec<_> = place.declarations.iter().filter_map(outside).collect();
    let root = found.first().map(|(root, _)| Arc::clone(root))?;
    let directories = found.into_iter().map(|(_, path)| path).collect();
    Some((Watch::new(Path::new("/")), root, directories))
}

async fn changed(container: &mut Option<Container>) {
    match container {
        Some((watch, ..)) => watch.changed().await,
        None => std::future::pending().await,
    }
}
