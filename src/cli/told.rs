//! How a node stands, as its daemon tells it: the sentence first, then what needs somebody, then the
//! rest.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::failure::Exit;
use super::paint::Colour;
use super::print::{Page, line};
use super::session::Session;
use crate::api::v1;

pub(super) fn page(session: &Session, status: &v1::NodeStatus) -> Page {
    let mut page = Page::new(session);
    page.heading(&format!("{}: {}", phase(status.phase()), status.summary));
    conflicts(&mut page, &status.conflicts);
    troubles(&mut page, &status.runtimes);
    problems(&mut page, &status.problems);
    due(&mut page, &status.due.iter().collect::<Vec<_>>(), "Still due");
    restarts(&mut page, &status.restarts);
    held(&mut page, status);
    registries(&mut page, status);
    drift(&mut page, &status.drift);
    notes(&mut page, &status.notes);
    owners(&mut page, &status.owners);
    line!(page, "");
    line!(page, "generation {}; {}", status.generation, runtimes(&status.runtimes));
    page
}

/// As `regtrust status` has always ended: work to do before anything else, unless somebody must look.
pub(super) fn exit(status: &v1::NodeStatus, pending: Exit) -> Exit {
    let is_refused = |one: &v1::RegistryStatus| one.standing() == v1::Standing::Refused;
    if status.problems.iter().any(|problem| problem.is_error) {
        return Exit::Config;
    }
    match status.phase() {
        v1::Phase::Degraded => Exit::Blocked,
        _ if status.registries.iter().any(is_refused) => Exit::Blocked,
        v1::Phase::Settled => Exit::Done,
        v1::Phase::Unspecified | v1::Phase::Working | v1::Phase::Pending => pending,
    }
}

pub(super) fn phase(phase: v1::Phase) -> &'static str {
    match phase {
        v1::Phase::Unspecified => "unknown",
        v1::Phase::Settled => "settled",
        v1::Phase::Working => "working",
        v1::Phase::Pending => "pending",
        v1::Phase::Degraded => "degraded",
    }
}

fn conflicts(page: &mut Page, conflicts: &[v1::Conflict]) {
    if conflicts.is_empty() {
        return;
    }
    page.heading("Blocked, and left as it is");
    for conflict in conflicts {
        let path = page.paint.colour(Colour::Red, &conflict.path);
        line!(page, "  {path}: {}", conflict.message);
        line!(page, "    cure: {}", conflict.cure);
    }
}

fn troubles(page: &mut Page, runtimes: &[v1::RuntimeStatus]) {
    let troubled = runtimes.iter().filter(|one| !one.trouble.is_empty());
    let troubled: Vec<_> = troubled.collect();
    if troubled.is_empty() {
        return;
    }
    page.heading("Went wrong");
    for one in troubled {
        let name = page.paint.colour(Colour::Red, runtime(one.runtime()));
        line!(page, "  {name}: {}", one.trouble);
    }
}

fn problems(page: &mut Page, problems: &[v1::Problem]) {
    if problems.is_empty() {
        return;
    }
    page.heading("Declarations and policy");
    for problem in problems {
        let severity = if problem.is_error {
            page.paint.colour(Colour::Red, "error")
        } else {
            page.paint.colour(Colour::Yellow, "warning")
        };
        let about = [&problem.host, &problem.field].map(|word| match word.as_str() {
            "" => String::new(),
            word => format!("`{word}`: "),
        });
        line!(page, "  {severity}: {}: {}{}", problem.location, about.concat(), problem.message);
        if !problem.cure.is_empty() {
            line!(page, "    cure: {}", problem.cure);
        }
    }
}

pub(super) fn due(page: &mut Page, due: &[&v1::Due], heading: &str) {
    if due.is_empty() {
        return;
    }
    page.heading(heading);
    for due in due {
        let name = page.paint.colour(Colour::Yellow, effect(due.effect()));
        line!(page, "  {name}: {}", due.command);
        for reason in &due.reasons {
            line!(page, "    because {reason}");
        }
        line!(page, "    cost: {}", due.cost);
        if !due.waiting_for.is_empty() {
            line!(page, "    not yet: {}", due.waiting_for);
        }
    }
}

pub(super) fn interruptions(page: &mut Page, interruptions: &[v1::Interruption]) {
    if interruptions.is_empty() {
        return;
    }
    page.heading("Will be interrupted");
    for one in interruptions {
        let name = page.paint.colour(Colour::Red, effect(one.effect()));
        line!(page, "  {name}: {}", one.message);
    }
}

/// Where each restart stands; why it waits is said with what is due.
fn restarts(page: &mut Page, restarts: &[v1::RestartStatus]) {
    if restarts.is_empty() {
        return;
    }
    page.heading("Restarts");
    for one in restarts {
        let colour = if one.is_overdue { Colour::Red } else { Colour::Yellow };
        let name = page.paint.colour(colour, runtime(one.runtime()));
        let since = one.since.as_ref().map(|since| format!(", needed since {}", time(since)));
        let word = if one.is_overdue { "overdue since" } else { "to be done by" };
        let deadline = one.deadline.as_ref().map(|by| format!(", {word} {}", time(by)));
        let (since, deadline) = (since.unwrap_or_default(), deadline.unwrap_or_default());
        line!(page, "  {name}: {}{since}{deadline}", one.state);
    }
}

/// What somebody has asked the node to stand still for.
fn held(page: &mut Page, status: &v1::NodeStatus) {
    if status.pause.is_none() && status.pin.is_none() && status.jobs.is_empty() {
        return;
    }
    page.heading("Held");
    if let Some(pin) = &status.pin {
        let until = pin.until.as_ref().map_or_else(String::new, time);
        let text = format!("pinned to generation {} until {until}", pin.generation);
        line!(page, "  {}{}", page.paint.colour(Colour::Yellow, text), why(&pin.reason));
    }
    if let Some(pause) = &status.pause {
        let until = pause.until.as_ref().map_or_else(String::new, time);
        let text = format!("paused by {} until {until}", pause.by);
        line!(page, "  {}{}", page.paint.colour(Colour::Yellow, text), why(&pause.reason));
    }
    for job in &status.jobs {
        let since = job.since.as_ref().map_or_else(String::new, time);
        line!(page, "  job `{}` of {} since {since}", job.name, job.by);
    }
}

fn why(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

fn registries(page: &mut Page, status: &v1::NodeStatus) {
    if status.registries.is_empty() {
        return;
    }
    page.heading("Registries");
    for registry in &status.registries {
        let owner = if registry.owner.is_empty() { "-" } else { &registry.owner };
        let everywhere = registry.items.iter().chain(&registry.system_store);
        let on: Vec<String> = everywhere.clone().map(|item| on(page, item)).collect();
        let standing = match registry.standing() {
            v1::Standing::Declared => String::new(),
            other => format!("  {}{}", standing(other), why(&registry.because)),
        };
        let (host, trust) = (&registry.host, trust(registry.trust()));
        line!(page, "  {host}  {trust}  {owner}  {}{standing}", on.join(", "));
        if let Some(until) = &registry.until {
            line!(page, "    until {}", time(until));
        }
        if !registry.reason.is_empty() {
            line!(page, "    reason: {}", registry.reason);
        }
        let ends = [("CA", &registry.ca_ends), ("client certificate", &registry.client_ends)];
        for (what, end) in ends {
            if let Some(end) = end.as_ref().filter(|end| is_near(end, status.at.as_ref())) {
                let text = format!("its {what} ends {}", time(end));
                line!(page, "    {}", page.paint.colour(Colour::Yellow, text));
            }
        }
        let known = |item: &&v1::ItemStatus| !item.because.is_empty();
        for item in everywhere.filter(known) {
            line!(page, "    {}: {}", believer(item), item.because);
        }
    }
}

/// Within a month, or gone: long enough to have another one issued.
fn is_near(end: &prost_types::Timestamp, now: Option<&prost_types::Timestamp>) -> bool {
    const MONTH: i64 = 30 * 24 * 3600;
    now.is_some_and(|now| end.seconds.saturating_sub(now.seconds) < MONTH)
}

fn believer(item: &v1::ItemStatus) -> &'static str {
    match item.runtime() {
        v1::Runtime::Unspecified => "system store",
        known => runtime(known),
    }
}

/// What is settled again, and somebody may want to know who did it.
fn drift(page: &mut Page, drift: &[v1::Drift]) {
    if drift.is_empty() {
        return;
    }
    page.heading("Changed by somebody else");
    for drift in drift {
        let what = if drift.repaired { "put right again" } else { "left" };
        let at = drift.at.as_ref().map_or_else(String::new, time);
        line!(page, "  {at}  {}: {} ({what})", drift.path, drift.message);
    }
}

fn notes(page: &mut Page, notes: &[v1::Note]) {
    if notes.is_empty() {
        return;
    }
    page.heading("Notes");
    for note in notes {
        line!(page, "  {}", note.message);
    }
}

fn on(page: &Page, item: &v1::ItemStatus) -> String {
    use v1::item_status::State;
    let (colour, word) = match item.state() {
        State::Unspecified => (Colour::Yellow, "unknown"),
        State::InForce => (Colour::Green, "in force"),
        State::Waiting => (Colour::Yellow, "waiting"),
        State::Blocked => (Colour::Red, "blocked"),
        State::Inexpressible => (Colour::Yellow, "cannot be expressed"),
        State::Rejected => (Colour::Red, "not taken by the runtime"),
    };
    format!("{}: {}", believer(item), page.paint.colour(colour, word))
}

/// One registry, as the runtimes themselves have answered.
pub(super) fn proofs(page: &mut Page, registry: &v1::RegistryStatus) {
    let host = &registry.host;
    if registry.items.is_empty() {
        line!(page, "{host}  {}", standing(registry.standing()));
    }
    for item in &registry.items {
        let runtime = runtime(item.runtime());
        let Some(proof) = &item.proof else {
            line!(page, "{host}  {runtime}: {}", page.paint.colour(Colour::Yellow, "not asked"));
            continue;
        };
        let colour = if is_trusted(proof) { Colour::Green } else { Colour::Red };
        line!(page, "{host}  {runtime}: {}", page.paint.colour(colour, verdict(proof.verdict())));
        if !is_trusted(proof) && !proof.said.is_empty() {
            line!(page, "    it said: {}", proof.said);
        }
        if !proof.cure.is_empty() {
            line!(page, "    cure: {}", proof.cure);
        }
    }
}

pub(super) fn is_trusted(proof: &v1::Proof) -> bool {
    matches!(proof.verdict(), v1::Verdict::Trusted | v1::Verdict::TrustedUnauthorised)
}

/// As the contract spells it, without its prefix.
fn verdict(verdict: v1::Verdict) -> String {
    word(verdict.as_str_name(), "VERDICT_")
}

fn standing(standing: v1::Standing) -> String {
    word(standing.as_str_name(), "STANDING_")
}

fn trust(trust: v1::Trust) -> String {
    match trust {
        v1::Trust::Unspecified => "-".to_owned(),
        // A file says it with its hyphen.
        trust => trust.as_str_name().trim_start_matches("TRUST_").to_lowercase().replace('_', "-"),
    }
}

fn word(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', " ")
}

fn runtime(runtime: v1::Runtime) -> &'static str {
    match runtime {
        v1::Runtime::Unspecified => "?",
        v1::Runtime::Docker => "docker",
        v1::Runtime::Containerd => "containerd",
    }
}

pub(super) fn effect(effect: v1::Effect) -> &'static str {
    match effect {
        v1::Effect::Unspecified => "?",
        v1::Effect::RunCaTool => "rebuild the system CA store",
        v1::Effect::ReloadDocker => "reload docker",
        v1::Effect::RestartContainerd => "restart containerd",
        v1::Effect::RestartDocker => "restart docker",
    }
}

fn owners(page: &mut Page, owners: &[v1::OwnerStatus]) {
    if owners.is_empty() {
        return;
    }
    page.heading("Owners");
    for owner in owners {
        let trial = match (&owner.trial_ends, owner.on_trial) {
            (Some(ends), _) => format!(", taken back {} unless it is confirmed", time(ends)),
            (None, true) => ", on trial once it is in force".to_owned(),
            (None, false) => String::new(),
        };
        let (name, revision, count) = (&owner.name, owner.revision, owner.registries);
        line!(page, "  {name}: revision {revision}, {count} declared{trial}");
    }
}

fn runtimes(runtimes: &[v1::RuntimeStatus]) -> String {
    let one = |status: &v1::RuntimeStatus| {
        let version = match status.version.as_str() {
            "" => "of unknown version",
            version => version,
        };
        let stopped = if status.is_running { "" } else { " (not running)" };
        format!("{} {version}{stopped}", runtime(status.runtime()))
    };
    let present: Vec<String> = runtimes.iter().map(one).collect();
    if present.is_empty() { "no runtime is installed".to_owned() } else { present.join(", ") }
}

pub(super) fn time(time: &prost_types::Timestamp) -> String {
    let then = Timestamp::new(time.seconds, time.nanos);
    then.map_or_else(|_| "?".to_owned(), |then| then.strftime("%F %T UTC").to_string())
}

pub(super) fn duration(duration: SignedDuration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.as_secs(), nanos: duration.subsec_nanos() }
}
