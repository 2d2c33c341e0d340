//! `regtrust apply`: changes the files, and says what is still due.

use std::fmt::Write as _;

use super::args::{Acknowledge, ApplyArgs};
use super::failure::{Exit, Failure};
use super::print::{self, Page, line};
use super::remote::{self, Remote};
use super::session::Session;
use super::told;
use super::view::SurveyView;
use crate::api::v1;
use crate::ledger::Loads;
use crate::node::detect::Overrides;
use crate::reconcile::{self, Applied, Options};
use crate::txn::Recovery;

pub(super) fn run(session: &Session, args: &ApplyArgs) -> Result<Exit, Failure> {
    if let Some(remote) = Remote::at_work(session)? {
        return through(remote, session, args);
    }
    let mut options = session.options.clone();
    options.acknowledged =
        args.acknowledge.iter().flat_map(|what| what.loaded()).copied().collect();
    report(session, &options)
}

/// The daemon looks again, and what became of it is told.
fn through(mut remote: Remote, session: &Session, args: &ApplyArgs) -> Result<Exit, Failure> {
    let options = &session.options;
    if options.overrides != Overrides::default() || !options.declarations.is_empty() {
        return Err(Failure::usage(
            "regtrustd is at work on this node, with its own versions and declarations",
            "give them to regtrustd, or stop it first",
        ));
    }
    if !args.acknowledge.is_empty() {
        return Err(Failure::usage(
            "regtrustd is at work on this node, and acknowledges what it does itself",
            "let it do what is due with `regtrust restart`",
        ));
    }
    remote.ask(async |client| client.reconcile(v1::ReconcileRequest {}).await)?;
    settled(remote, session)
}

/// What a change through the daemon ends with. What is still due is no failure: it has its moment.
pub(super) fn settled(mut remote: Remote, session: &Session) -> Result<Exit, Failure> {
    let status = remote.settled()?;
    if session.json {
        print::data(remote::document("NodeStatus", &status, true)?.as_bytes())?;
    } else {
        told::page(session, &status).print()?;
    }
    Ok(told::exit(&status, Exit::Done))
}

/// Applies and prints; also what adopt and rollback end with.
pub(super) fn report(session: &Session, options: &Options) -> Result<Exit, Failure> {
    let applied = reconcile::apply(&session.root, options)?;
    if session.json {
        print::json(&SurveyView::of_applied(&applied))?;
    } else {
        page(session, &applied).print()?;
    }
    let verdict = print::verdict(&applied.survey);
    // The process is over, and the kernel takes its memory back at once: to take thirty thousand
    // files apart first is a tenth of the work. That leaves no key to anybody: nothing else runs
    // here, this process cannot be dumped, and pages are emptied before others get them.
    std::mem::forget(applied);
    Ok(verdict)
}

fn page(session: &Session, applied: &Applied) -> Page {
    let survey = &applied.survey;
    let mut page = Page::new(session);
    match &applied.recovery {
        Recovery::Nothing => {}
        Recovery::Completed => {
            page.heading("An earlier apply had been cut short; it was finished first");
        }
        Recovery::Undone { cause } => {
            page.heading("An earlier apply had been cut short; what it did was taken back first");
            line!(page, "  because {cause}");
        }
    }
    page.standing(survey);
    page.conflicts(survey);
    page.drift(survey);
    page.notes(survey);
    page.problems(survey.sources.problems());
    page.effects(&survey.plan.due, "Still due");
    page.heading(&done(applied));
    for edit in survey.plan.changes.edits() {
        let did = match (&edit.before, &edit.after) {
            (None, _) => "created",
            (_, None) => "removed",
            _ => "changed",
        };
        line!(page, "  {did} {}", edit.path);
    }
    page
}

fn done(applied: &Applied) -> String {
    let survey = &applied.survey;
    let generation = survey.plan.ledger.generation;
    let edits = survey.plan.changes.edits().count();
    match (edits, survey.plan.due.is_empty()) {
        (0, true) if survey.plan.taken_over.is_empty() => {
            format!("Nothing to do; generation {generation} is in force")
        }
        (0, true) => format!("Generation {generation} is in force"),
        (0, false) => format!("No file to change; generation {generation} is on disk"),
        (1, _) => format!("Generation {generation}: 1 file"),
        (_, _) => format!("Generation {generation}: {edits} files"),
    }
}

impl Acknowledge {
    fn loaded(self) -> &'static [Loads] {
        match self {
            Self::DockerReload => &[Loads::DockerDaemon],
            Self::DockerRestart => &[Loads::DockerDaemon, Loads::DockerRoots],
            Self::ContainerdRestart => &[Loads::ContainerdConfig, Loads::ContainerdRoots],
        }
    }
}
