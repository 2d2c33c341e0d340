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
use crate::trust::problem::Problem;

#[derive(Debug, Serialize)]
struct Explanation<'a> {
    host: &'a RegistryHost,
    #[serde(flatten)]
    standing: Option<&'a Standing>,
    trust: Option<&'static str>,
    declared_in: Option<String>,
    certificates: Vec<String>,
    on: Vec<OnRuntime<'a>>,
    files: Vec<String>,
    effects: &'a [Due],
    conflicts: Vec<&'a Conflict>,
    notes: Vec<&'a Note>,
    problems: Vec<&'a Problem>,
}

#[derive(Debug, Serialize)]
struct OnRuntime<'a> {
    runtime: String,
    state: &'a ItemState,
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
        let entry = survey.effective.entries.get(host);
        let is_about = |items: &std::collections::BTreeSet<crate::target::Item>| {
            items.iter().any(|item| item.host == *host)
        };
        let items = plan.items.iter().filter(|(item, _)| item.host == *host);
        Self {
            host,
            standing: survey.effective.standing.get(host),
            trust: entry.map(|entry| entry.trust.word()),
            declared_in: entry.map(|entry| entry.origin.to_string()),
            certificates: entry.map(certificates).unwrap_or_default(),
            on: items
                .map(|(item, state)| OnRuntime { runtime: item.on.to_string(), state })
                .collect(),
            files: files(host, entry, survey),
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
        match (self.standing, &self.declared_in) {
            (None, _) => line!(page, "  not declared, so regtrust has nothing to do with it"),
            (Some(_), Some(origin)) => {
                line!(page, "  declared in {origin}: trust = \"{}\"", self.trust.unwrap_or("-"));
            }
            (Some(_), None) => {}
        }
        if let Some(why) = self.standing.and_then(status::explain) {
            line!(page, "  {why}");
        }
        for certificate in &self.certificates {
            line!(page, "  {certificate}");
        }
        for on in &self.on {
            let state = match on.state {
                ItemState::Written => "written",
                ItemState::Blocked => "blocked",
                ItemState::Inexpressible => "cannot be expressed",
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

fn certificates(entry: &Entry) -> Vec<String> {
    let bundle = entry.trust.ca();
    let described = bundle.and_then(|ca| crate::trust::certificate::describe(ca.content().bytes()));
    described.unwrap_or_default()
}

/// Files of ours that exist for this registry, and those that the next apply makes.
fn files(host: &RegistryHost, entry: Option<&Entry>, survey: &Survey) -> Vec<String> {
    let authorities: Vec<String> = entry
        .and_then(|entry| entry.trust.ca())
        .map(|ca| ca.certificates().iter().map(|one| one.fingerprint.short()).collect())
        .unwrap_or_default();
    let ledger = &survey.plan.ledger;
    let mut files: Vec<String> = ledger
        .files
        .keys()
        .filter(|path| {
            path.parent().is_some_and(|parent| parent.file_name() == host.as_str())
                || authorities.iter().any(|authority| path.file_name().contains(authority))
        })
        .map(ToString::to_string)
        .collect();
    let elements = ledger.docker_daemon.arrays.iter();
    let named = elements.filter(|(_, array)| array.elements.contains(host.as_str()));
    files.extend(
        named.map(|(key, _)| format!("{} (`{key}`)", crate::target::docker_daemon::path())),
    );
    files
}
