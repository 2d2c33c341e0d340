//! `regtrust status`: what is in force, and what is not as it should be.

use std::fmt::Write as _;

use super::args::StatusArgs;
use super::failure::{Exit, Failure};
use super::paint::Colour;
use super::print::{self, Page, line};
use super::remote::{self, Remote};
use super::session::Session;
use super::told;
use super::view::SurveyView;
use crate::api::v1;
use crate::plan::ItemState;
use crate::reconcile::{self, Survey};
use crate::target::{Believer, Item};
use crate::trust::effective::Standing;
use crate::trust::host::RegistryHost;
use crate::trust::policy::Refusal;

pub(super) fn run(session: &Session, args: StatusArgs) -> Result<Exit, Failure> {
    if args.watch {
        return watch(Remote::reach(session)?, session);
    }
    if let Some(mut remote) = Remote::at_work(session)? {
        let status = remote.ask(async |client| client.get_status(v1::GetStatusRequest {}).await)?;
        if session.json {
            print::data(remote::document("NodeStatus", &status, true)?.as_bytes())?;
        } else {
            told::page(session, &status).print()?;
        }
        return Ok(told::exit(&status, Exit::ToDo));
    }
    let survey = reconcile::survey(&session.root, &session.options)?;
    if session.json {
        print::json(&SurveyView::of(&survey))?;
    } else {
        page(session, &survey).print()?;
    }
    let is_settled = survey.is_settled();
    Ok(if is_settled { print::verdict(&survey) } else { Exit::ToDo })
}

/// On a terminal the newest state stays in view; elsewhere each change is a line.
fn watch(mut remote: Remote, session: &Session) -> Result<Exit, Failure> {
    const CLEARED: &str = "\u{1b}[H\u{1b}[2J\u{1b}[3J";
    remote.talk(async |client| {
        let mut statuses = remote::watch(client).await?;
        loop {
            let status = remote::next(&mut statuses).await?;
            let text = if session.json {
                remote::document("NodeStatus", &status, false)?
            } else if session.is_watched {
                CLEARED.to_owned() + &told::page(session, &status).into_text()
            } else {
                let at = status.at.as_ref().map_or_else(String::new, told::time);
                let mut page = Page::new(session);
                line!(page, "{at}  {}  {}", told::phase(status.phase()), status.summary);
                page.into_text()
            };
            if !print::is_heard(text.as_bytes())? {
                return Ok(Exit::Done);
            }
        }
    })
}

fn page(session: &Session, survey: &Survey) -> Page {
    let mut page = Page::new(session);
    page.heading(&format!("Generation {}; {}", survey.ledger.generation, runtimes(survey)));
    if let Some(pin) = &survey.pin {
        let until = pin.until.strftime("%F %T UTC");
        let why = pin.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let text = format!("pinned to generation {} until {until}{why}", pin.generation);
        line!(page, "  {}", page.paint.colour(Colour::Yellow, text));
    }
    for (host, standing) in &survey.effective.standing {
        registry(&mut page, survey, host, standing);
    }
    page.conflicts(survey);
    page.drift(survey);
    page.effects(&survey.plan.due, "Still due");
    page.notes(survey);
    page.problems(survey.sources.problems());
    if !survey.plan.changes.is_empty() || survey.is_interrupted {
        page.heading(&format!("{}; `regtrust plan` shows it", print::count(survey)));
    }
    page
}

pub(super) fn runtimes(survey: &Survey) -> String {
    let version = |version: Option<crate::observed::Version>| {
        version.map_or_else(|| "of unknown version".to_owned(), |version| version.to_string())
    };
    let observed = &survey.observed;
    let docker = observed.docker.as_ref().map(|d| format!("docker {}", version(d.version)));
    let containerd =
        observed.containerd.as_ref().map(|c| format!("containerd {}", version(c.version)));
    let present: Vec<_> = docker.into_iter().chain(containerd).collect();
    if present.is_empty() { "no runtime is installed".to_owned() } else { present.join(", ") }
}

fn registry(page: &mut Page, survey: &Survey, host: &RegistryHost, standing: &Standing) {
    let entry = survey.effective.entries.get(host);
    let trust = entry.map_or("-", |entry| entry.trust.word());
    let on: Vec<String> = items(survey, host)
        .map(|(item, state)| format!("{}: {}", item.on, word(item, state, survey)))
        .collect();
    let why = explain(standing).map_or_else(String::new, |why| format!("  {why}"));
    line!(page, "  {host}  {trust}  {}{why}", on.join(", "));
    if let Some(until) = entry.and_then(|entry| entry.until) {
        line!(page, "    until {}", until.strftime("%F %T UTC"));
    }
    if let Some(reason) = entry.and_then(|entry| entry.reason.as_ref()) {
        line!(page, "    reason: {reason}");
    }
}

/// The registry's items, found by order: there may be ten thousand others.
pub(super) fn items<'a>(
    survey: &'a Survey,
    host: &RegistryHost,
) -> impl Iterator<Item = (&'a Item, ItemState)> {
    let on = |on| Item { host: host.clone(), on };
    let range = on(Believer::Docker)..=on(Believer::System);
    survey.plan.items.range(range).map(|(item, state)| (item, *state))
}

fn word(item: &Item, state: ItemState, survey: &Survey) -> &'static str {
    match state {
        ItemState::Blocked => "blocked",
        ItemState::Inexpressible => "cannot be expressed",
        ItemState::Rejected => "not taken by the runtime",
        ItemState::Written if survey.plan.pending.contains(item) => "not yet applied",
        ItemState::Written => "in place",
    }
}

fn refusal(refusal: &Refusal) -> String {
    let cure = refusal.cure.as_ref().map_or_else(String::new, |cure| format!(" ({cure})"));
    format!("`{}` at {}: {}{cure}", refusal.rule, refusal.location, refusal.message)
}

/// Why a registry does not stand as it is declared.
pub(super) fn explain(standing: &Standing) -> Option<String> {
    match standing {
        Standing::Declared => None,
        Standing::Held(why) => Some(format!("held as it was, because {why}")),
        Standing::Unusable(why) => Some(format!("not applied: {why}")),
        Standing::Refused(refusals) => {
            let rules: Vec<_> = refusals.iter().map(refusal).collect();
            Some(format!("refused by this node's policy: {}", rules.join("; ")))
        }
        Standing::Ended(at) => Some(format!("ended {}", at.strftime("%F %T UTC"))),
        Standing::Pinned(number) => Some(format!("as in generation {number}")),
        Standing::PinnedOut(number) => Some(format!("not in generation {number}")),
    }
}
