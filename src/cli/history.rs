//! `regtrust history` and `regtrust rollback`.

use std::fmt::Write as _;

use serde::Serialize;

use super::apply;
use super::args::RollbackArgs;
use super::failure::{Exit, Failure};
use super::print::{self, Page, line};
use super::remote::Remote;
use super::session::Session;
use super::told;
use crate::api::v1;
use crate::generation::{self, Generation, Pin, Summary};
use crate::reconcile::{self, PinChange, ReconcileError};
use crate::state;

#[derive(Debug, Serialize)]
struct GenerationView<'a> {
    number: u64,
    at: jiff::Timestamp,
    in_force: bool,
    registries: usize,
    rolled_back_to: Option<u64>,
    summary: &'a Summary,
}

pub(super) fn list(session: &Session) -> Result<Exit, Failure> {
    let current = state::read_ledger(&session.root)
        .map_err(ReconcileError::from)?
        .map_or(0, |stored| stored.value.generation);
    let generations = state::read_generations(&session.root).map_err(ReconcileError::from)?;
    let generations: Vec<&Generation> =
        generations.values().rev().map(|stored| &stored.value).collect();
    if session.json {
        let views: Vec<_> =
            generations.iter().map(|generation| GenerationView::of(generation, current)).collect();
        print::json(&views)?;
        return Ok(Exit::Done);
    }
    let mut page = Page::new(session);
    for generation in &generations {
        let mark = if generation.number == current { "*" } else { " " };
        let back = generation
            .rolled_back_to
            .map_or_else(String::new, |number| format!(" (pinned to {number})"));
        let (number, at) = (generation.number, generation.at.strftime("%F %T UTC"));
        line!(page, "{mark} {number:>4}  {at}  {}{back}", generation.summary.line());
    }
    if generations.is_empty() {
        line!(page, "nothing was ever in force");
    }
    page.print()?;
    Ok(Exit::Done)
}

impl<'a> GenerationView<'a> {
    fn of(generation: &'a Generation, current: u64) -> Self {
        Self {
            number: generation.number,
            at: generation.at,
            in_force: generation.number == current,
            registries: generation.entries.len(),
            rolled_back_to: generation.rolled_back_to,
            summary: &generation.summary,
        }
    }
}

pub(super) fn rollback(session: &Session, args: &RollbackArgs) -> Result<Exit, Failure> {
    if let Some(mut remote) = Remote::at_work(session)? {
        let request = v1::RollbackRequest {
            generation: args.generation,
            hold_for: args.generation.map(|_| told::duration(args.lasting)),
            reason: args.reason.clone().unwrap_or_default(),
        };
        remote.ask(async |client| client.rollback(request).await)?;
        return apply::settled(remote, session);
    }
    let mut options = session.options.clone();
    options.pin = match args.generation {
        None => PinChange::Release,
        Some(number) => {
            // Before anything is locked or written: a number that is not kept is a usage error.
            reconcile::earlier(&session.root, number).map_err(ReconcileError::from)?;
            PinChange::Set(pin(session, args, number)?)
        }
    };
    apply::report(session, &options)
}

fn pin(session: &Session, args: &RollbackArgs, generation: u64) -> Result<Pin, Failure> {
    let at = session.options.now;
    let until = at.checked_add(args.lasting).map_err(|_| {
        Failure::usage("--for: the pin would end beyond the calendar", "choose less")
    })?;
    Ok(Pin { format: generation::FORMAT, generation, at, until, reason: args.reason.clone() })
}
