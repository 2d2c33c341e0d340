//! The distribution's CA tool: run by systemd, kept from running beside others, and checked.
//!
//! Debian's tool writes under a fixed temporary name. Two runs at once leave a bundle of a few
//! certificates instead of 150, and both exit with 0; dpkg's triggers, cloud-init and other agents
//! run it too, and nobody has a lock. So the bundle itself is looked at afterwards, and the tool run
//! again if anything is missing from it.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::bus::{Bus, BusError, JobEnd};
use super::one_shot::{self, OneShot};
use super::packages;
use super::systemd::Systemd;
use super::{Outcome, chain};
use crate::blocking::blocking;
use crate::content::Sha256Hex;
use crate::node::root::{Handle, NodeRoot, RootError};
use crate::plan::work::CaToolRun;
use crate::target::system_ca;

/// Runs until one leaves a good bundle. Each costs a second; other runs beside it last one, too.
const RUNS: u32 = 3;

/// A second is usual, ten with the hooks of Java and Mono.
const RUN: Duration = Duration::from_mins(3);

/// For systemd, to end one that takes too long.
const GRACE: Duration = Duration::from_secs(100);

/// How long a package manager at work is waited for: its triggers may run the same tool. Later is
/// early enough for an upgrade of the whole system.
const PACKAGES: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(500);

/// All runs have this one, so a run that outlives a regtrustd that was killed is waited for: beside it
/// ours would leave the bundle that nobody looks at any more.
const UNIT: &str = "regtrust-ca-tool.service";

/// What systemd says where the program is not there.
const NO_PROGRAM: i32 = 203;

#[derive(Debug, thiserror::Error)]
enum OutputError {
    #[error(transparent)]
    Root(#[from] RootError),
    #[error("cannot sync `{path}`")]
    Sync { path: String, source: std::io::Error },
}

impl Systemd {
    pub(super) async fn run_ca_tool(
        &self,
        bus: &Bus,
        run: &CaToolRun,
    ) -> Result<Outcome, BusError> {
        let tool = run.argv.join(" ");
        if timeout(PACKAGES, packages_are_idle(&self.root)).await.is_err() {
            return Ok(Outcome::impossible(format!(
                "packages are being installed, which may run `{tool}` as well"
            )));
        }
        let before = match Bundle::read(&self.root, run).await {
            Ok(before) => before,
            Err(error) => return Ok(Outcome::impossible(chain(&error))),
        };
        let (mut fault, mut previous) = (String::new(), None);
        for _ in 0..RUNS {
            // Another run beside it can make it fail as well.
            match execute(bus, run).await? {
                Ended::Well => {}
                Ended::Badly(why) => {
                    fault = why;
                    continue;
                }
                Ended::Never(why) => return Ok(Outcome::failed(why, true)),
                Ended::NotBegun(why) => return Ok(Outcome::impossible(why)),
            }
            let after = match Bundle::read(&self.root, run).await {
                Ok(after) => after,
                Err(error) => return Ok(Outcome::failed(chain(&error), true)),
            };
            match judge(run, &before, previous.as_ref(), &after) {
                None => return Ok(self.synced(run).await),
                Some(found) => fault = found,
            }
            previous = Some(after);
        }
        Ok(Outcome::failed(format!("`{tool}` ran {RUNS} times: {fault}"), true))
    }

    /// The tool syncs nothing, so an acknowledged CA could be gone after a power cut.
    async fn synced(&self, run: &CaToolRun) -> Outcome {
        let (root, bundle) = (Arc::clone(&self.root), run.bundle.clone());
        let sync = blocking(move || -> Result<(), OutputError> {
            for path in [Some(bundle.clone()), bundle.parent()].into_iter().flatten() {
                let sync = |file: OwnedFd| {
                    rustix::fs::fsync(file).map_err(|errno| OutputError::Sync {
                        path: path.to_string(),
                        source: errno.into(),
                    })
                };
                root.handle(&path, Handle::Content)?.map(sync).transpose()?;
            }
            Ok(())
        });
        match sync.await {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::failed(chain(&error), true),
        }
    }
}

/// How often the bundle has each certificate, by the start of its fingerprint.
#[derive(Debug, PartialEq, Eq)]
struct Bundle(BTreeMap<String, usize>);

impl Bundle {
    async fn read(root: &Arc<NodeRoot>, run: &CaToolRun) -> Result<Self, OutputError> {
        let (root, path) = (Arc::clone(root), run.bundle.clone());
        blocking(move || {
            let bytes = root.read(&path)?.unwrap_or_default();
            Ok(system_ca::each_fingerprint(&bytes).map(|one| Sha256Hex::short(&one)).collect())
        })
        .await
    }

    fn has(&self, certificate: &str) -> bool {
        self.times(certificate) > 0
    }

    fn times(&self, certificate: &str) -> usize {
        self.0.get(certificate).copied().unwrap_or_default()
    }

    fn lacks<'a>(&self, before: &'a Self) -> impl Iterator<Item = &'a String> {
        before.0.keys().filter(|one| !self.has(one))
    }

    /// How many it has more often than before. One that an administrator has added as well is there
    /// twice.
    fn repeats(&self, before: &Self) -> usize {
        self.0.iter().filter(|(one, times)| **times > before.times(one).max(1)).count()
    }
}

impl FromIterator<String> for Bundle {
    fn from_iter<I: IntoIterator<Item = String>>(certificates: I) -> Self {
        let mut times = BTreeMap::new();
        for one in certificates {
            *times.entry(one).or_default() += 1;
        }
        Self(times)
    }
}

/// What is wrong with the bundle after a run. `previous` is what the run before it made: where two
/// agree, what both lack is no longer in what the bundle is made from, and what both repeat is there
/// twice.
fn judge(
    run: &CaToolRun,
    before: &Bundle,
    previous: Option<&Bundle>,
    after: &Bundle,
) -> Option<String> {
    let bundle = &run.bundle;
    if let Some(missing) = run.wanted.iter().find(|one| !after.has(one)) {
        return Some(format!("`{bundle}` still lacks the certificate {missing}"));
    }
    if let Some(lingering) = run.lingering.iter().find(|one| after.has(one)) {
        return Some(format!("`{bundle}` still has the certificate {lingering}"));
    }
    let lost = after.lacks(before).filter(|one| !run.lingering.contains(*one)).count();
    let repeats = after.repeats(before);
    if previous == Some(after) || (lost, repeats) == (0, 0) {
        return None;
    }
    Some(format!(
        "`{bundle}` has lost {lost} certificates that it had before, and has {repeats} more than once"
    ))
}

enum Ended {
    Well,
    Badly(String),
    /// And it would do so again.
    Never(String),
    /// Somebody else's takes too long.
    NotBegun(String),
}

async fn execute(bus: &Bus, run: &CaToolRun) -> Result<Ended, BusError> {
    let program = run.argv.first().map_or("", String::as_str);
    let shot = OneShot {
        operation: "run the CA tool",
        unit: UNIT,
        description: "Rebuild the system's CA bundle for regtrust".to_owned(),
        argv: run.argv.iter().map(String::as_str).collect(),
        environment: Vec::new(),
        is_quiet: false,
        limit: RUN,
        patience: RUN + GRACE,
    };
    let seconds = RUN.as_secs();
    let Some(one_shot::Ended { job, status, .. }) = bus.run_alone(&shot).await? else {
        return Ok(Ended::NotBegun(format!(
            "an earlier `{program}` has not ended within {seconds} s"
        )));
    };
    Ok(match job {
        JobEnd::Done => Ended::Well,
        JobEnd::Unfinished => Ended::Never(format!("`{program}` did not end within {seconds} s")),
        JobEnd::Not(_) if status == NO_PROGRAM => {
            Ended::Never(format!("`{program}` is not installed"))
        }
        JobEnd::Not(result) => Ended::Badly(format!(
            "it failed (`{result}`, exit code {status}); `journalctl -u {UNIT}` has its reason"
        )),
    })
}

/// Waits until no package manager is at work.
async fn packages_are_idle(root: &Arc<NodeRoot>) {
    loop {
        let root = Arc::clone(root);
        if !blocking(move || packages::is_at_work(&root)).await {
            return;
        }
        sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::CaLayout;

    #[test]
    fn a_bundle_is_good_when_it_has_ours_and_nothing_was_lost_or_repeated() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let run = CaToolRun {
            layout: CaLayout::Debian,
            argv: vec![],
            bundle: CaLayout::Debian.bundle(),
            wanted: set(&["ours"]),
            lingering: set(&["old"]),
        };
        let bundle = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let judge = |before: &[&str], previous: Option<&[&str]>, after: &[&str]| {
            judge(&run, &bundle(before), previous.map(bundle).as_ref(), &bundle(after))
        };
        assert_eq!(judge(&["a", "old"], None, &["a", "ours"]), None);
        assert!(judge(&["a"], None, &["a"]).unwrap().contains("lacks the certificate ours"));
        assert!(judge(&["a"], None, &["a", "ours", "old"]).unwrap().contains("still has"));
        let all = ["a", "b", "c"];
        assert!(judge(&all, None, &["a", "ours"]).unwrap().contains("lost 2"));
        let (half, other): (&[&str], &[&str]) = (&["a", "ours"], &["a", "b", "ours"]);
        assert!(judge(&all, Some(half), other).unwrap().contains("lost 1"), "two that differ");
        assert_eq!(judge(&all, Some(half), half), None, "two that agree");
        let doubled: &[&str] = &["a", "a", "ours", "ours"];
        assert!(judge(&["a"], None, doubled).unwrap().contains("has 2 more than once"));
        assert_eq!(judge(&["a"], Some(doubled), doubled), None, "they are made from two files");
        assert_eq!(judge(&["a", "a"], None, &["a", "a", "ours"]), None, "so it was before");
    }
}
