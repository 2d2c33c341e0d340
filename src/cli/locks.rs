//! `regtrust locks`: what the fleet waits for, and how to make it go on.

use std::fmt::Write as _;

use super::args::{LocksArgs, LocksCommand};
use super::failure::{Exit, Failure};
use super::paint::Colour;
use super::print::{self, Page, line};
use super::remote::{self, Remote};
use super::session::Session;
use super::told;
use crate::api::v1;

pub(super) fn run(session: &Session, args: &LocksArgs) -> Result<Exit, Failure> {
    let mut remote = Remote::reach(session)?;
    match &args.command {
        None => list(session, &mut remote),
        Some(LocksCommand::Unlock { node }) => unlock(session, &mut remote, node),
        Some(LocksCommand::Resolve { node }) => resolve(session, &mut remote, node.as_deref()),
    }
}

fn list(session: &Session, remote: &mut Remote) -> Result<Exit, Failure> {
    let answer = remote.ask(async |client| client.list_locks(v1::ListLocksRequest {}).await)?;
    let exit = if answer.stopped.is_empty() { Exit::Done } else { Exit::Blocked };
    if session.json {
        print::data(remote::document("ListLocksResponse", &answer, true)?.as_bytes())?;
        return Ok(exit);
    }
    let mut page = Page::new(session);
    let (held, slots) = (answer.holders.len(), answer.slots);
    page.heading(&format!("Group {}: {held} of {slots} slots taken", answer.group));
    told_of(&mut page, &answer.holders);
    if !answer.stopped.is_empty() {
        let stopped = page.paint.colour(Colour::Red, "Stopped");
        page.heading(&format!("{stopped}: {}", answer.stopped));
        line!(
            page,
            "  see what is wrong there; its next success, or `regtrust locks resolve`, lets"
        );
        line!(page, "  the others go on");
    }
    if !answer.unresolved.is_empty() {
        let (many, most) = (answer.unresolved.len(), answer.max_unresolved);
        page.heading(&format!("Never heard to succeed: {many}, and the group stops at {most}"));
        told_of(&mut page, &answer.unresolved);
    }
    page.print()?;
    Ok(exit)
}

fn unlock(session: &Session, remote: &mut Remote, node: &str) -> Result<Exit, Failure> {
    let request = v1::UnlockRequest { node: node.to_owned() };
    let answer = remote.ask(async |client| client.unlock(request).await)?;
    if session.json {
        print::data(remote::document("UnlockResponse", &answer, true)?.as_bytes())?;
        return Ok(Exit::Done);
    }
    let mut page = Page::new(session);
    if answer.released.is_empty() {
        line!(page, "`{node}` holds no slot that is known of");
    } else {
        page.heading("Taken away");
        told_of(&mut page, &answer.released);
        line!(page, "what it was trying stays unresolved; `regtrust locks resolve` forgets it");
    }
    page.print()?;
    Ok(Exit::Done)
}

fn resolve(session: &Session, remote: &mut Remote, node: Option<&str>) -> Result<Exit, Failure> {
    let request = v1::ResolveAttemptsRequest { node: node.unwrap_or_default().to_owned() };
    let answer = remote.ask(async |client| client.resolve_attempts(request).await)?;
    if session.json {
        print::data(remote::document("ResolveAttemptsResponse", &answer, true)?.as_bytes())?;
        return Ok(Exit::Done);
    }
    let mut page = Page::new(session);
    if answer.resolved.is_empty() {
        line!(page, "nothing is unresolved");
    } else {
        page.heading("Forgotten");
        told_of(&mut page, &answer.resolved);
    }
    page.print()?;
    Ok(Exit::Done)
}

fn told_of(page: &mut Page, slots: &[v1::FleetSlot]) {
    for slot in slots {
        let name = if slot.host.is_empty() { &slot.node } else { &slot.host };
        let name = page.paint.colour(Colour::Bold, name);
        let since = slot.since.as_ref().map_or_else(|| "?".to_owned(), told::time);
        line!(page, "  {name}: {} ({}), needed since {since}", slot.reason, slot.what);
        line!(page, "    {}", slot.node);
    }
}
