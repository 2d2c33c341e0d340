//! `regtrust apply`: changes the files, and says what is still due.

use std::fmt::Write as _;

use super::args::{Acknowledge, ApplyArgs};
use super::failure::{Exit, Failure};
use super::print::{self, Page, line};
use super::session::Session;
use super::view::SurveyView;
use crate::ledger::Loads;
use crate::reconcile::{self, Applied, Options};
use crate::txn::Recovery;

pub(super) fn run(session: &Session, args: &ApplyArgs) -> Result<Exit, Failure> {
    let mut options = session.options.clone();
    options.acknowledged =
        args.acknowledge.iter().flat_map(|what| what.loaded()).copied().collect();
    report(session, &options)
}

/// Applies and prints; also what adopt and rollback end with.
pub(super) fn report(session: &Session, options: &Options) -> Result<Exit, Failure> {
    let applied = reconcile::apply(&session.root, options)?;
    if session.json {
        print::json(&SurveyView::of_applied(&applied))?;
    } else {
        page(session, &applied).print()?;
    }
    Ok(print::verdict(&applied.survey))
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
