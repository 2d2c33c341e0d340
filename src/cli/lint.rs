//! `regtrust lint`: is everything right that people write for regtrust?

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::failure::{Exit, Failure};
use super::print::{self, Page, line};
use super::session::Session;
use crate::node::root::NodeRoot;
use crate::path::NodePath;
use crate::source::dropin::{self, Sources};
use crate::source::jobs;
use crate::trust::policy::Policy;
use crate::trust::problem::{Problem, Severity};

#[derive(Debug, Serialize)]
struct Findings<'a> {
    registries: usize,
    problems: Vec<&'a Problem>,
}

pub(super) fn run(session: &Session, paths: &[PathBuf]) -> Result<Exit, Failure> {
    let sources = if paths.is_empty() {
        vec![dropin::read(&session.root, &session.options.declarations, session.options.now)]
    } else {
        paths.iter().map(|path| read(path, session)).collect::<Result<_, _>>()?
    };
    let registries = sources.iter().map(|sources| sources.desired.entries.len()).sum();
    // Other paths have nothing to do with this node's daemon.
    let of_the_daemon = if paths.is_empty() { of_the_daemon(session) } else { Vec::new() };
    let problems = sources.iter().flat_map(Sources::problems).chain(&of_the_daemon);
    let problems: Vec<&Problem> = problems.collect();
    let is_wrong = problems.iter().any(|problem| problem.severity == Severity::Error);
    if session.json {
        print::json(&Findings { registries, problems })?;
    } else {
        let mut page = Page::new(session);
        page.problems(problems.into_iter());
        let verdict = if is_wrong { "not all of it is right" } else { "all right" };
        line!(page, "{registries} registries declared; {verdict}");
        page.print()?;
    }
    Ok(if is_wrong { Exit::Config } else { Exit::Done })
}

/// What is wrong with its settings and its rules of what a job is.
fn of_the_daemon(session: &Session) -> Vec<Problem> {
    let mut problems = match &session.settings {
        Ok(settings) => settings.warnings.clone(),
        Err(wrong) => wrong.clone(),
    };
    problems.extend(jobs::read(&session.root).err().into_iter().flatten());
    problems
}

/// Paths on the command line are those of whoever types them, whatever node is meant.
fn read(path: &Path, session: &Session) -> Result<Sources, Failure> {
    let absolute = std::path::absolute(path).map_err(Failure::io)?;
    let node_path = NodePath::new(&absolute.to_string_lossy()).map_err(Failure::io)?;
    let root = NodeRoot::open(Path::new("/")).map_err(Failure::io)?;
    let desired = dropin::read_path(&root, &node_path, session.options.now);
    Ok(Sources { desired, policy: Policy::without_file() })
}
