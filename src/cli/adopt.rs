//! `regtrust adopt`: what was made by hand becomes regtrust's, so that it can be changed and
//! withdrawn like the rest.

use super::args::AdoptArgs;
use super::failure::{Exit, Failure};
use super::session::Session;
use super::view::SurveyView;
use super::{apply, plan, print};
use crate::reconcile::{self, ReconcileError};
use crate::trust::host::RegistryHost;
use crate::txn::lock::{DaemonLock, LockError};

pub(super) fn run(session: &Session, args: &AdoptArgs) -> Result<Exit, Failure> {
    let mut options = session.options.clone();
    for host in &args.hosts {
        options.adopt.insert(parse(host)?);
    }
    let survey = reconcile::survey(&session.root, &options)?;
    let undeclared = options.adopt.iter().find(|host| !survey.effective.entries.contains_key(host));
    if let Some(host) = undeclared {
        // Taking over without a declaration would withdraw it at once.
        return Err(Failure::usage(
            format!("`{host}` is not declared, so adopting it would remove it"),
            "declare it first; `regtrust explain` tells whether a declaration is in force",
        ));
    }
    if !args.dry_run {
        alone(session)?;
    }
    if !session.json {
        plan::page(session, &survey).print()?;
    }
    if args.dry_run {
        if session.json {
            print::json(&SurveyView::of(&survey))?;
        }
        return Ok(if survey.has_changes() { Exit::ToDo } else { print::verdict(&survey) });
    }
    apply::report(session, &options)
}

/// A daemon plans by itself, and would not know what was handed over until its next look.
fn alone(session: &Session) -> Result<(), Failure> {
    DaemonLock::none(&session.root).map_err(|error| match error {
        LockError::Daemon { .. } => Failure::called(
            Exit::Busy,
            format!("{error}, and only what is declared is its business"),
            Some("`systemctl stop regtrustd`, adopt, and start it again".to_owned()),
        ),
        error => Failure::from(ReconcileError::Lock(error)),
    })
}

pub(super) fn parse(host: &str) -> Result<RegistryHost, Failure> {
    host.parse().map_err(|error: crate::trust::host::HostError| {
        Failure::usage(error.to_string(), "write it as in an image reference: `harbor.corp:8443`")
    })
}
