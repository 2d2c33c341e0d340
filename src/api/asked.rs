//! What callers ask for, besides declarations: parsed and within its limits.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use prost_types::Duration;
use tonic::{Code, Status};

use super::access::Caller;
use super::errors::{self, Fails, Failure};
use super::refusal::refusal;
use super::{present, v1};
use crate::generation::{self, Pin};
use crate::identity::Role;
use crate::plan::effect::Effect;
use crate::reconcile::PinChange;
use crate::status::{NodeStatus, Pause};
use crate::trust::host::RegistryHost;

const LONGEST_TRIAL: SignedDuration = SignedDuration::from_hours(24);
const LONGEST_PIN: SignedDuration = SignedDuration::from_hours(30 * 24);
const USUAL_PIN: SignedDuration = SignedDuration::from_hours(24);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(7 * 24);
const USUAL_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// Of a reason or a name: it is shown on one line.
const LONGEST_TEXT: usize = 500;

fn refused<T>(field: &str, message: impl Into<String>) -> Fails<T> {
    Err(Failure::from(errors::wrong_request(field, message)))
}

fn lasting(field: &str, asked: &Duration, longest: SignedDuration) -> Fails<SignedDuration> {
    let asked = SignedDuration::new(asked.seconds, asked.nanos);
    if asked < SignedDuration::from_secs(1) {
        return refused(field, "is less than a second");
    }
    if asked > longest {
        return refused(field, format!("is more than {} hours", longest.as_hours()));
    }
    Ok(asked)
}

fn line(field: &str, text: &str) -> Fails<Option<String>> {
    if text.chars().count() > LONGEST_TEXT {
        return refused(field, format!("has more than {LONGEST_TEXT} characters"));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => refused(field, format!("contains the control character {}", c.escape_unicode())),
        None => Ok((!text.trim().is_empty()).then(|| text.to_owned())),
    }
}

/// A node of the fleet, by its id or its name.
pub(super) fn node(name: &str) -> Fails<&str> {
    match line("node", name)? {
        Some(_) => Ok(name),
        None => refused("node", "is empty"),
    }
}

/// In whole seconds, for the clock of a trial counts no less.
pub(super) fn trial(asked: Option<&Duration>) -> Fails<Option<u32>> {
    let Some(asked) = asked else { return Ok(None) };
    let lasting = lasting("try_for", asked, LONGEST_TRIAL)?;
    Ok(Some(u32::try_from(lasting.as_secs()).unwrap_or(u32::MAX)))
}

pub(super) fn host(field: &str, text: &str) -> Fails<RegistryHost> {
    text.parse::<RegistryHost>()
        .or_else(|error| refused(field, format!("{} ({})", error.message(), error.cure())))
}

pub(super) fn hosts(texts: &[String]) -> Fails<BTreeSet<RegistryHost>> {
    let numbered = texts.iter().enumerate();
    numbered.map(|(at, text)| host(&format!("hosts[{at}]"), text)).collect()
}

pub(super) fn pin(request: &v1::RollbackRequest, now: Timestamp) -> Fails<PinChange> {
    let Some(number) = request.generation else { return Ok(PinChange::Release) };
    let lasting = match &request.hold_for {
        None => USUAL_PIN,
        Some(asked) => lasting("hold_for", asked, LONGEST_PIN)?,
    };
    Ok(PinChange::Set(Pin {
        format: generation::FORMAT,
        generation: number,
        at: now,
        until: now.checked_add(lasting).unwrap_or(now),
        reason: line("reason", &request.reason)?,
    }))
}

pub(super) fn unknown_generation(number: u64) -> Status {
    let message = format!("generation {number} was never made, or is not kept any more");
    refusal(
        Code::NotFound,
        "UNKNOWN_GENERATION",
        message,
        "ListGenerations has those that are, and `regtrust history`",
    )
}

pub(super) fn pause(request: &v1::PauseRequest, by: String, now: Timestamp) -> Fails<Pause> {
    let lasting = match &request.pause_for {
        None => USUAL_PAUSE,
        Some(asked) => lasting("pause_for", asked, LONGEST_PAUSE)?,
    };
    let reason = line("reason", &request.reason)?.unwrap_or_else(|| "no reason given".to_owned());
    Ok(Pause { until: now.checked_add(lasting).unwrap_or(now), reason, by })
}

pub(super) fn job_name(text: &str) -> Fails<String> {
    match line("name", text)? {
        Some(name) => Ok(name),
        None => refused("name", "is empty"),
    }
}

/// Those that are due, of the kinds that were asked for.
pub(super) fn effects(numbers: &[i32], status: &NodeStatus) -> Fails<BTreeSet<Effect>> {
    let mut effects = BTreeSet::new();
    for (at, number) in numbers.iter().enumerate() {
        let Ok(kind) = v1::Effect::try_from(*number) else {
            return refused(&format!("effects[{at}]"), "means nothing to this regtrustd");
        };
        let due = status.due.iter().map(|waiting| waiting.due.effect);
        let due = due.filter(|effect| present::effect(*effect) == kind).collect::<Vec<_>>();
        if due.is_empty() {
            return Err(Failure::from(errors::nothing_due(kind.as_str_name())));
        }
        effects.extend(due);
    }
    Ok(effects)
}

pub(super) fn role_too_low(caller: &Caller) -> Status {
    let message = format!(
        "a plan for a proposed set needs the role `{}`, and {} has `{}` here",
        Role::Admin,
        caller.identity,
        caller.role
    );
    let cure = "plan without a set, or let the node's operator change the role";
    refusal(Code::PermissionDenied, "ROLE_TOO_LOW", message, cure)
}
