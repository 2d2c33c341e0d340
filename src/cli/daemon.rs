//! The commands that only a daemon can do.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Read as _, Write as _};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::args::{EffectName, PauseArgs, RestartArgs};
use super::failure::{Exit, Failure};
use super::paint::Colour;
use super::print::{self, Page, line};
use super::remote::{self, Remote};
use super::session::Session;
use super::told;
use crate::api::v1;

pub(super) fn check(session: &Session, hosts: &[String]) -> Result<Exit, Failure> {
    let mut remote = Remote::reach(session)?;
    let request = v1::CheckRequest { hosts: hosts.to_vec() };
    let answer = remote.ask(async |client| client.check(request).await)?;
    let known = |host: &String| {
        let host = super::adopt::parse(host)?.to_string();
        Ok::<_, Failure>(answer.registries.iter().any(|registry| registry.host == host))
    };
    for host in hosts {
        if !known(host)? {
            return Err(Failure::usage(
                format!("`{host}` is not declared, so nobody was asked"),
                format!("`regtrust explain {host}` tells what is known of it"),
            ));
        }
    }
    if session.json {
        print::data(remote::document("CheckResponse", &answer, true)?.as_bytes())?;
    } else {
        let mut page = Page::new(session);
        answer.registries.iter().for_each(|registry| told::proofs(&mut page, registry));
        if answer.registries.is_empty() {
            line!(page, "no registry is declared");
        }
        page.print()?;
    }
    let items = answer.registries.iter().flat_map(|registry| &registry.items);
    let is_trusted = |item: &v1::ItemStatus| item.proof.as_ref().is_some_and(told::is_trusted);
    Ok(if items.clone().all(is_trusted) { Exit::Done } else { Exit::Blocked })
}

/// For probes, which know exit codes only.
pub(super) fn health(session: &Session) -> Result<Exit, Failure> {
    if Remote::reach(session)?.is_serving()? {
        let mut page = Page::new(session);
        line!(page, "regtrustd is at work");
        page.print()?;
        return Ok(Exit::Done);
    }
    let message = "regtrustd accepts calls, but what does the work does not answer";
    Err(Failure::called(Exit::Unavailable, message, Some("restart it".to_owned())))
}

pub(super) fn confirm(session: &Session, revision: u64) -> Result<Exit, Failure> {
    let mut remote = Remote::reach(session)?;
    let request = v1::ConfirmRequest { revision };
    let answer = remote.ask(async |client| client.confirm(request).await)?;
    say(session, "ConfirmResponse", &answer, &format!("revision {revision} is kept"))
}

pub(super) fn pause(session: &Session, args: &PauseArgs) -> Result<Exit, Failure> {
    let mut remote = Remote::reach(session)?;
    let request = v1::PauseRequest {
        pause_for: Some(told::duration(args.lasting)),
        reason: args.reason.clone().unwrap_or_default(),
    };
    let answer = remote.ask(async |client| client.pause(request).await)?;
    let until = answer.pause.as_ref().and_then(|pause| pause.until.as_ref());
    let until = until.map_or_else(String::new, told::time);
    let text = format!("nothing is reloaded or restarted until {until}; files are still written");
    say(session, "PauseResponse", &answer, &text)
}

pub(super) fn resume(session: &Session) -> Result<Exit, Failure> {
    let mut remote = Remote::reach(session)?;
    let answer = remote.ask(async |client| client.resume(v1::ResumeRequest {}).await)?;
    say(session, "ResumeResponse", &answer, "what was held back is done as soon as it may be")
}

/// Whom it will interrupt is said before it does.
pub(super) fn restart(session: &Session, args: &RestartArgs) -> Result<Exit, Failure> {
    let mut remote = Remote::reach(session)?;
    let status = remote.ask(async |client| client.get_status(v1::GetStatusRequest {}).await)?;
    let effects: Vec<v1::Effect> = args.effects.iter().map(|name| name.effect()).collect();
    let is_meant = |due: &&v1::Due| effects.is_empty() || effects.contains(&due.effect());
    let meant: Vec<&v1::Due> = status.due.iter().filter(is_meant).collect();
    let look = v1::RestartRequest {
        effects: effects.iter().map(|one| (*one).into()).collect(),
        only_look: true,
    };
    let request = v1::RestartRequest { only_look: false, ..look.clone() };
    let looked = remote.ask(async |client| client.restart(look).await)?;
    if !session.json {
        let mut page = Page::new(session);
        told::due(&mut page, &meant, "About to be done");
        told::interruptions(&mut page, &looked.interruptions);
        if meant.is_empty() {
            line!(page, "nothing is due");
        }
        page.print()?;
    }
    if !looked.interruptions.is_empty() && !args.yes {
        wants_it(session, &looked.interruptions)?;
    }
    let answer = remote.ask(async |client| client.restart(request).await)?;
    told_restart(session, &answer)?;
    let went_well = answer.performed.iter().all(|performed| performed.succeeded);
    Ok(if went_well { Exit::Done } else { Exit::Blocked })
}

/// Asks, where somebody is there to answer.
fn wants_it(session: &Session, interruptions: &[v1::Interruption]) -> Result<(), Failure> {
    let mut answer = String::new();
    if !session.json && std::io::stdin().is_terminal() {
        // Talk, and no data.
        _ = write!(std::io::stderr(), "Go on? [y/N] ");
        std::io::stdin().read_line(&mut answer).map_err(Failure::io)?;
    }
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    let first = interruptions.first().map(|one| one.message.clone()).unwrap_or_default();
    Err(Failure::called(
        Exit::Blocked,
        format!("nothing was done: {first}"),
        Some("`regtrust restart --yes` does it all the same".to_owned()),
    ))
}

fn told_restart(session: &Session, answer: &v1::RestartResponse) -> Result<(), Failure> {
    if session.json {
        return print::data(remote::document("RestartResponse", answer, true)?.as_bytes());
    }
    if answer.performed.is_empty() {
        return Ok(());
    }
    let mut page = Page::new(session);
    page.heading("Done");
    for performed in &answer.performed {
        let colour = if performed.succeeded { Colour::Green } else { Colour::Red };
        let effect = page.paint.colour(colour, told::effect(performed.effect()));
        line!(page, "  {effect}: {}", performed.message);
    }
    page.print()
}

/// Until whoever started it closes its input or ends it: both happen by themselves when a job dies.
pub(super) fn hold(session: &Session, name: &str) -> Result<Exit, Failure> {
    let mut remote = Remote::reach(session)?;
    let request = v1::HoldJobRequest { name: name.to_owned() };
    remote.talk(async |client| {
        let held = client.hold_job(request).await;
        let mut held = held.map_err(|status| remote::refused(&status))?.into_inner();
        let answer = remote::next(&mut held).await?;
        say(session, "HoldJobResponse", &answer, &format!("held: nothing interrupts `{name}`"))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::io)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::io)?;
        tokio::select! {
            answer = remote::next(&mut held) => answer.map(|_| Exit::Done),
            _ = terminate.recv() => Ok(Exit::Done),
            _ = interrupt.recv() => Ok(Exit::Done),
            closed = input() => closed.map(|()| Exit::Done),
        }
    })
}

/// Until standard input is closed. A thread of its own, because reading it cannot be given up: the
/// process ends around it.
async fn input() -> Result<(), Failure> {
    let (closed, wait) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        let mut input = std::io::stdin().lock();
        let ended = loop {
            match input.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        // Nobody waits any more once the command is about to end.
        _ = closed.send(ended);
    });
    match wait.await {
        Ok(ended) => ended.map_err(Failure::io),
        Err(_) => Ok(()),
    }
}

fn say<M: prost::Message>(
    session: &Session,
    name: &str,
    answer: &M,
    text: &str,
) -> Result<Exit, Failure> {
    if session.json {
        print::data(remote::document(name, answer, false)?.as_bytes())?;
    } else {
        let mut page = Page::new(session);
        line!(page, "{text}");
        page.print()?;
    }
    Ok(Exit::Done)
}

impl EffectName {
    fn effect(self) -> v1::Effect {
        match self {
            Self::CaTool => v1::Effect::RunCaTool,
            Self::DockerReload => v1::Effect::ReloadDocker,
            Self::DockerRestart => v1::Effect::RestartDocker,
            Self::ContainerdRestart => v1::Effect::RestartContainerd,
        }
    }
}
