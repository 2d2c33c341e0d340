//! `regtrust explain HOST`: everything about one registry.

use std::fmt::Write as _;

use serde::Serialize;

use super::adopt::parse;
use super::failure::{Exit, Failure};
use super::print::{self, Page, line};
use super::session::Session;
use super::status;
use crate::plan::ItemState;
use crate::plan::effect::Due;
use crate::reconcile::{self, Survey};
use crate::target::{Conflict, Note};
use crate::trust::effective::Standing;
use crate::trust::entry::Entry;
use crate::trust::host::RegistryHost;
use crate::trust::policy::Permit;
use crate::trust::problem::Problem;

#[derive(Debug, Serialize)]
struct Explanation<'a> {
    host: &'a RegistryHost,
    #[serde(flatten)]
    standing: Option<&'a Standing>,
    trust: Option<&'static str>,
    /// Where it is declared now, whatever becomes of that.
    declared_in: Option<String>,
    /// What is in force is what this generation had, and not what is declared.
    from_generation: Option<u64>,
    until: Option<jiff::Timestamp>,
    reason: Option<&'a str>,
    /// The rules of the policy that let it pass; those that refuse it are in `because`.
    allowed_by: Vec<Permit>,
    certificates: Vec<String>,
    on: Vec<OnRuntime>,
    files: Vec<String>,
    effects: &'a [Due],
    conflicts: Vec<&'a Conflict>,
    notes: Vec<&'a Note>,
    problems: Vec<&'a Problem>,
}

#[derive(Debug, Serialize)]
struct OnRuntime {
    runtime: String,
    state: ItemState,
    /// Files have to be written before that is so.
    pending: bool,
}

pub(super) fn run(session: &Session, host: &str) -> Result<Exit, Failure> {
    let host = parse(host)?;
    let survey = reconcile::survey(&session.root, &session.options)?;
    let explanation = Explanation::of(&host, &survey);
    if session.json {
        print::json(&explanation)?;
    } else {
        explanation.page(session, &survey).print()?;
    }
    Ok(Exit::Done)
}

impl<'a> Explanation<'a> {
    fn of(host: &'a RegistryHost, survey: &'a Survey) -> Self {
        let plan = &survey.plan;
        let entry = survey.effective.entries.get(host).map(AsRef::as_ref);
        let is_about = |items: &std::collections::BTreeSet<crate::target::Item>| {
            items.iter().any(|item| item.host == *host)
        };
        let standing = survey.effective.standing.get(host);
        Self {
            host,
            standing,
            trust: entry.map(|entry| entry.trust.word()),
            declared_in: declared_in(host, survey),
            from_generation: standing.and_then(|standing| generation(standing, survey)),
            until: entry.and_then(|entry| entry.until),
            reason: entry.and_then(|entry| entry.reason.as_deref()),
            allowed_by: entry.map(|entry| survey.sources.policy.permits(entry)).unwrap_or_default(),
            certificates: entry.map(certificates).unwrap_or_default(),
            on: status::items(survey, host)
                .map(|(item, state)| OnRuntime {
                    runtime: item.on.to_string(),
                    state,
                    pending: plan.pending.contains(item),
                })
                .collect(),
            files: survey.files_of(host),
            effects: if entry.is_some() { &plan.due } else { &[] },
            conflicts: plan.conflicts.iter().filter(|c| is_about(&c.items)).collect(),
            notes: plan.notes.iter().filter(|note| is_about(&note.items)).collect(),
            problems: survey
                .sources
                .problems()
                .filter(|problem| problem.host.as_ref() == Some(host))
                .collect(),
        }
    }

    fn page(&self, session: &Session, survey: &Survey) -> Page {
        let mut page = Page::new(session);
        page.heading(self.host.as_str());
        self.origin(&mut page);
        self.decision(&mut page, survey);
        for certificate in &self.certificates {
            line!(page, "  {certificate}");
        }
        for on in &self.on {
            let state = match on.state {
                ItemState::Written if on.pending => "not yet applied",
                ItemState::Written => "written",
                ItemState::Blocked => "blocked",
                ItemState::Inexpressible => "cannot be expressed",
                ItemState::Rejected => "not taken by the runtime",
            };
            line!(page, "  on {}: {state}", on.runtime);
        }
        for file in &self.files {
            line!(page, "  file {file}");
        }
        for conflict in &self.conflicts {
            line!(page, "  conflict: {}: {}", conflict.path, conflict.message);
            line!(page, "    cure: {}", conflict.cure);
        }
        for note in &self.notes {
            line!(page, "  note: {}", note.message);
        }
        page.problems(self.problems.iter().copied());
        page.effects(self.effects, "Due on this node");
        page.heading(&status::runtimes(survey));
        page
    }
}

impl Explanation<'_> {
    fn origin(&self, page: &mut Page) {
        let trust = self.trust.map_or_else(String::new, |word| format!(": trust = \"{word}\""));
        match (self.standing, &self.declared_in, self.from_generation) {
            (None, _, _) => {
                line!(page, "  not declared, so regtrust has nothing to do with it");
            }
            (Some(_), Some(origin), None) => line!(page, "  declared in {origin}{trust}"),
            (Some(_), None, None) => {}
            (Some(_), declared, Some(number)) => {
                if let Some(origin) = declared {
                    line!(page, "  declared in {origin}");
                }
                line!(page, "  in force as generation {number} has it{trust}");
            }
        }
        if let Some(until) = self.until {
            line!(page, "  until {}", until.strftime("%F %T UTC"));
        }
        if let Some(reason) = self.reason {
            line!(page, "  reason: {reason}");
        }
    }

    fn decision(&self, page: &mut Page, survey: &Survey) {
        if let Some(why) = self.standing.and_then(status::explain) {
            line!(page, "  {why}");
        }
        for Permit { rule, location, message } in &self.allowed_by {
            line!(page, "  allowed by `{rule}` at {location}: {message}");
        }
        let is_broken = survey.sources.policy.is_broken();
        if self.trust.is_some() && self.allowed_by.is_empty() && !is_broken {
            line!(page, "  no rule of this node's policy is about it");
        }
    }
}

/// Where the files declare it now, be it usable or not.
fn declared_in(host: &RegistryHost, survey: &Survey) -> Option<String> {
    let desired = &survey.sources.desired;
    let entry = desired.entries.get(host).or_else(|| desired.ended.get(host));
    let unusable = || desired.unusable.get(host).map(|unusable| &unusable.origin);
    entry.map(|entry| &entry.origin).or_else(unusable).map(ToString::to_string)
}

/// The generation whose entry is in force in place of what is declared.
fn generation(standing: &Standing, survey: &Survey) -> Option<u64> {
    match standing {
        Standing::Held(_) => Some(survey.ledger.generation),
        Standing::Pinned(number) => Some(*number),
        _ => None,
    }
}

fn certificates(entry: &Entry) -> Vec<String> {
    let bundle = entry.trust.ca();
    let described = bundle.and_then(|ca| crate::trust::certificate::describe(ca.content().bytes()));
    described.unwrap_or_default()
}
