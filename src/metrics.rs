//! What Prometheus is told: how the node stands, as numbers. Pure.
//!
//! One list of families, in the order of the page. docs/metrics.md has the same list, and a test
//! compares the two. Names of registries are labels only where a person has to know which one it is:
//! what ends, and what is not trusted.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::observed::{CaLayout, Running};
use crate::plan::effect::Effect;
use crate::status::{Ended, NodeStatus, OwnerState, Phase, Registry, RuntimeState, State};
use crate::target::Believer;
use crate::trust::effective::Standing;
use crate::trust::problem::Severity;
use crate::verify::Proof;

mod restarts;
mod text;

pub use text::Kind;
use text::{Page, Sample};

/// A name, and everything that is said under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

/// How the API's own certificates stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Api {
    pub certificate_ends: Option<Timestamp>,
    /// When the first of the revocation lists has to have been renewed.
    pub list_ends: Option<Timestamp>,
    /// Whether the files cannot be used as they are now.
    pub in_trouble: bool,
}

type Samples = Vec<Sample>;

/// The whole page. `since`: when the daemon started.
pub fn page(status: &NodeStatus, api: Option<Api>, since: Timestamp) -> String {
    let mut page = Page::default();
    let restarts = restarts::families(&status.restarts);
    for (family, samples) in node(status, since).into_iter().chain(work(status)).chain(restarts) {
        page.family(&family, &samples);
    }
    for (family, samples) in registries(status).into_iter().chain(own(api)) {
        page.family(&family, &samples);
    }
    page.into_text()
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help }
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, help }
}

fn sample(labels: &[(&'static str, &str)], value: impl Into<i64>) -> Sample {
    let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Sample { labels, value: value.into() }
}

fn one(value: impl Into<i64>) -> Samples {
    vec![sample(&[], value)]
}

/// Nothing here comes near the limit.
fn number(all: impl TryInto<i64>) -> i64 {
    all.try_into().unwrap_or(i64::MAX)
}

fn node(status: &NodeStatus, since: Timestamp) -> Vec<(Family, Samples)> {
    let phases = [
        (Phase::Settled, "settled"),
        (Phase::Working, "working"),
        (Phase::Pending, "pending"),
        (Phase::Degraded, "degraded"),
    ];
    let phase = |(phase, word)| sample(&[("phase", word)], status.phase == phase);
    let severity = |severity, word| {
        let all = status.problems.iter().filter(|problem| problem.severity == severity);
        sample(&[("severity", word)], number(all.count()))
    };
    vec![
        (
            gauge("regtrust_build_info", "The version of the daemon that speaks."),
            vec![sample(&[("version", env!("CARGO_PKG_VERSION"))], 1)],
        ),
        (gauge("process_start_time_seconds", "When the daemon started."), one(since.as_second())),
        (
            gauge("regtrust_phase", "1 for how the node stands, 0 for how it does not."),
            phases.into_iter().map(phase).collect(),
        ),
        (gauge("regtrust_generation", "Counts what was in force."), one(number(status.generation))),
        (
            gauge("regtrust_conflicts", "What somebody else configured and is in the way."),
            one(number(status.conflicts.len())),
        ),
        (
            gauge("regtrust_problems", "Mistakes in declarations, policy and settings."),
            vec![severity(Severity::Error, "error"), severity(Severity::Warning, "warning")],
        ),
        (
            gauge("regtrust_pinned", "1 while the node is pinned to an earlier generation."),
            one(status.pin.is_some()),
        ),
        (
            gauge("regtrust_paused", "1 while an operator holds reloads and restarts back."),
            one(status.pause.is_some()),
        ),
        (
            gauge("regtrust_jobs_held", "Jobs that hold restarts back through the API."),
            one(number(status.jobs.len())),
        ),
    ]
}

fn work(status: &NodeStatus) -> Vec<(Family, Samples)> {
    let tally = &status.tally;
    let due = |effect: &'static str| {
        let is_due = status.due.iter().any(|waiting| word(waiting.due.effect) == effect);
        sample(&[("effect", effect)], is_due)
    };
    let ended = |((effect, ended), times): (&(Effect, Ended), &u64)| {
        sample(&[("effect", word(*effect)), ("result", ended.word())], number(*times))
    };
    vec![
        (
            gauge("regtrust_effect_due", "1 for a reload or restart that something waits for."),
            EFFECTS.map(due).to_vec(),
        ),
        (
            counter("regtrust_effects_total", "Reloads, restarts and runs of the CA tool."),
            tally.effects.iter().map(ended).collect(),
        ),
        (
            counter("regtrust_files_changed_total", "Files written or removed."),
            one(number(tally.files)),
        ),
        (
            counter("regtrust_drift_repaired_total", "What others had changed and was put right."),
            one(number(tally.repairs)),
        ),
        (
            counter("regtrust_failed_runs_total", "Runs in which nothing could be changed."),
            one(number(tally.failed_runs)),
        ),
        (
            gauge("regtrust_runtime_info", "The runtimes that were found."),
            status.runtimes.iter().map(found).collect(),
        ),
        (
            gauge("regtrust_runtime_running", "1 for a runtime that runs."),
            status.runtimes.iter().filter_map(running).collect(),
        ),
        (
            gauge("regtrust_runtime_trouble", "1 where the last reload or restart went wrong."),
            status.runtimes.iter().map(troubled).collect(),
        ),
        (
            gauge("regtrust_restart_lost", "Containers and units that a restart has cost."),
            status.runtimes.iter().map(lost).collect(),
        ),
        (
            gauge("regtrust_owner_revision", "The revision of each owner's set."),
            status.owners.iter().map(owner).collect(),
        ),
    ]
}

fn owner(one: &OwnerState) -> Sample {
    sample(&[("owner", &one.name)], number(one.revision))
}

fn found(one: &RuntimeState) -> Sample {
    let version = one.version.map(|version| version.to_string()).unwrap_or_default();
    sample(&[("runtime", runtime(one.runtime.into())), ("version", &version)], 1)
}

/// `None`: that is not known, and a 0 would be a lie.
fn running(one: &RuntimeState) -> Option<Sample> {
    let runs = match one.running {
        Running::No => false,
        Running::Since(_) => true,
        Running::Unknown => return None,
    };
    Some(sample(&[("runtime", runtime(one.runtime.into()))], runs))
}

fn troubled(one: &RuntimeState) -> Sample {
    sample(&[("runtime", runtime(one.runtime.into()))], one.trouble.is_some())
}

fn lost(one: &RuntimeState) -> Sample {
    let lost = one.lost.as_ref().map_or(0, |lost| lost.what.len());
    let lost = i64::try_from(lost).unwrap_or(i64::MAX);
    sample(&[("runtime", runtime(one.runtime.into()))], lost)
}

fn registries(status: &NodeStatus) -> Vec<(Family, Samples)> {
    let all = &status.registries;
    let mut standings: BTreeMap<&str, i64> = STANDINGS.map(|word| (word, 0)).into();
    for registry in all {
        let count = standings.entry(standing(&registry.standing)).or_default();
        *count = count.saturating_add(1);
    }
    vec![
        (
            gauge("regtrust_registries", "Registries by how their declaration stands."),
            standings.into_iter().map(|(word, all)| sample(&[("standing", word)], all)).collect(),
        ),
        (
            gauge("regtrust_items", "What registries are to be on each runtime, by its state."),
            items(all),
        ),
        (
            gauge("regtrust_trusted", "1 if the runtime, when asked, trusted the registry."),
            proofs(all, |proof| i64::from(proof.verdict.is_trusted())),
        ),
        (
            gauge("regtrust_trust_checked_timestamp_seconds", "When the runtime was asked."),
            proofs(all, |proof| proof.at.as_second()),
        ),
        (
            gauge(
                "regtrust_ca_expiry_timestamp_seconds",
                "When the first certificate of the registry's CA ends.",
            ),
            moments(all, |registry| registry.ca_ends),
        ),
        (
            gauge(
                "regtrust_client_certificate_expiry_timestamp_seconds",
                "When the certificate ends that the runtimes show to the registry.",
            ),
            moments(all, |registry| registry.client_ends),
        ),
        (
            gauge(
                "regtrust_exception_end_timestamp_seconds",
                "When the declaration ends by itself.",
            ),
            moments(all, |registry| registry.until),
        ),
    ]
}

fn items(all: &[Registry]) -> Samples {
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for item in all.iter().flat_map(|registry| &registry.items) {
        let count = counts.entry((runtime(item.item.on), state(&item.state))).or_default();
        *count = count.saturating_add(1);
    }
    let counted = |((on, state), all)| sample(&[("runtime", on), ("state", state)], all);
    counts.into_iter().map(counted).collect()
}

fn proofs(all: &[Registry], value: impl Fn(&Proof) -> i64) -> Samples {
    let mut samples = Vec::new();
    for registry in all {
        let asked = registry.items.iter().filter_map(|item| Some((item, item.proof.as_ref()?)));
        samples.extend(asked.map(|(item, proof)| {
            let on = runtime(item.item.on);
            sample(&[("host", registry.host.as_str()), ("runtime", on)], value(proof))
        }));
    }
    samples
}

fn moments(all: &[Registry], moment: impl Fn(&Registry) -> Option<Timestamp>) -> Samples {
    let known = |registry: &Registry| {
        Some(sample(&[("host", registry.host.as_str())], moment(registry)?.as_second()))
    };
    all.iter().filter_map(known).collect()
}

fn own(api: Option<Api>) -> Vec<(Family, Samples)> {
    let seconds = |moment: Option<Timestamp>| moment.map_or(Vec::new(), |at| one(at.as_second()));
    vec![
        (
            gauge(
                "regtrust_api_certificate_expiry_timestamp_seconds",
                "When the certificate ends that the API shows on the network.",
            ),
            seconds(api.and_then(|api| api.certificate_ends)),
        ),
        (
            gauge(
                "regtrust_api_crl_expiry_timestamp_seconds",
                "When the revocation list must have been renewed, or nobody gets in.",
            ),
            seconds(api.and_then(|api| api.list_ends)),
        ),
        (
            gauge(
                "regtrust_api_tls_trouble",
                "1 if the API's TLS files cannot be used as they are.",
            ),
            api.map_or(Vec::new(), |api| one(api.in_trouble)),
        ),
    ]
}

const EFFECTS: [&str; 4] = ["ca-tool", "reload-docker", "restart-containerd", "restart-docker"];

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::RunCaTool(
            CaLayout::Debian
            | CaLayout::Alpine
            | CaLayout::Redhat
            | CaLayout::Suse
            | CaLayout::Arch,
        ) => "ca-tool",
        Effect::ReloadDocker => "reload-docker",
        Effect::RestartContainerd => "restart-containerd",
        Effect::RestartDocker => "restart-docker",
    }
}

fn runtime(on: Believer) -> &'static str {
    match on {
        Believer::Docker => "docker",
        Believer::Containerd => "containerd",
        Believer::System => "system-store",
    }
}

const STANDINGS: [&str; 7] =
    ["declared", "held", "unusable", "refused", "ended", "pinned", "pinned-out"];

fn standing(standing: &Standing) -> &'static str {
    match standing {
        Standing::Declared => "declared",
        Standing::Held(_) => "held",
        Standing::Unusable(_) => "unusable",
        Standing::Refused(_) => "refused",
        Standing::Ended(_) => "ended",
        Standing::Pinned(_) => "pinned",
        Standing::PinnedOut(_) => "pinned-out",
    }
}

fn state(state: &State) -> &'static str {
    match state {
        State::InForce => "in-force",
        State::Waiting(_) => "waiting",
        State::Blocked(_) => "blocked",
        State::Inexpressible(_) => "inexpressible",
        State::Rejected(_) => "rejected",
    }
}

#[cfg(test)]
mod tests;
