//! `regtrust plan`: what apply would do, and what it would cost.

use super::failure::{Exit, Failure};
use super::print::{self, Page, line};
use super::session::Session;
use super::view::SurveyView;
use crate::reconcile::{self, Survey};
use std::fmt::Write as _;

pub(super) fn run(session: &Session) -> Result<Exit, Failure> {
    let survey = reconcile::survey(&session.root, &session.options)?;
    if session.json {
        print::json(&SurveyView::of(&survey))?;
    } else {
        page(session, &survey).print()?;
    }
    let is_empty = survey.is_settled();
    Ok(if is_empty { print::verdict(&survey) } else { Exit::ToDo })
}

/// The diff first, because it is what one came for; then what it means.
pub(super) fn page(session: &Session, survey: &Survey) -> Page {
    let mut page = Page::new(session);
    page.diff(survey);
    page.taken_over(survey);
    page.effects(&survey.plan.due, "To bring it into force");
    page.standing(survey);
    page.conflicts(survey);
    page.drift(survey);
    page.notes(survey);
    page.problems(survey.sources.problems());
    if survey.is_interrupted {
        page.heading("An earlier apply was cut short");
        line!(page, "  the next apply finishes it first, and may then plan something else");
    }
    let no_effect = survey.plan.due.is_empty() && !survey.plan.changes.is_empty();
    page.heading(&format!(
        "{}{}",
        print::count(survey),
        if no_effect { "; nothing has to be reloaded or restarted" } else { "" }
    ));
    page
}
