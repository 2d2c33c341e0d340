//! A survey as text, section by section. A section with nothing to say is not there.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::io::{ErrorKind, Write as _};

use serde::Serialize;

use super::failure::{Exit, Failure};
use super::paint::{Colour, Paint};
use super::session::Session;
use super::status;
use super::visible::{visible, visible_json};
use crate::plan::diff::{self, Line, Role};
use crate::plan::effect::Due;
use crate::reconcile::Survey;
use crate::target::Item;
use crate::trust::effective::Standing;
use crate::trust::host::RegistryHost;
use crate::trust::problem::{Problem, Severity, grouped};

/// Text that grows section by section.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) text: Text,
    pub(super) paint: Paint,
}

/// What a terminal may be sent: of all that is written into it, only our own colours are obeyed.
#[derive(Debug)]
pub(super) struct Text {
    written: String,
    paint: Paint,
}

impl Text {
    pub(super) fn end_line(&mut self) {
        self.written.push('\n');
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((before, code, after)) = self.paint.next_code(rest) {
            self.written.push_str(&visible(before));
            self.written.push_str(code);
            rest = after;
        }
        self.written.push_str(&visible(rest));
        Ok(())
    }
}

/// Writing to a `Text` cannot fail, so its result says nothing.
macro_rules! line {
    ($page:expr, $($format:tt)*) => {{
        _ = write!($page.text, $($format)*);
        $page.text.end_line();
    }};
}
pub(super) use line;

impl Page {
    pub(super) fn new(session: &Session) -> Self {
        Self { text: Text { written: String::new(), paint: session.paint }, paint: session.paint }
    }

    pub(super) fn heading(&mut self, text: &str) {
        if !self.text.written.is_empty() {
            self.text.end_line();
        }
        line!(self, "{}", self.paint.colour(Colour::Bold, text));
    }

    pub(super) fn diff(&mut self, survey: &Survey) {
        for line in diff::lines(&survey.plan.changes) {
            self.diff_line(&line);
        }
    }

    fn diff_line(&mut self, line: &Line) {
        let painted = match line.role {
            Role::Header => self.paint.colour(Colour::Bold, &line.text),
            Role::Hunk => self.paint.colour(Colour::Cyan, &line.text),
            Role::Added => self.paint.colour(Colour::Green, &line.text),
            Role::Removed => self.paint.colour(Colour::Red, &line.text),
            Role::Context => line.text.clone(),
        };
        line!(self, "{painted}");
    }

    pub(super) fn effects(&mut self, due: &[Due], heading: &str) {
        if due.is_empty() {
            return;
        }
        self.heading(heading);
        for due in due {
            let effect = self.paint.colour(Colour::Yellow, due.effect);
            line!(self, "  {effect}: {}", due.command);
            for reason in &due.reasons {
                line!(self, "    because {reason}");
            }
            line!(self, "    cost: {}", due.cost);
            if let Some(why) = due.withheld {
                line!(self, "    not done by regtrust: {why}");
            }
        }
    }

    pub(super) fn conflicts(&mut self, survey: &Survey) {
        if survey.plan.conflicts.is_empty() {
            return;
        }
        self.heading("Blocked, and left as it is");
        for conflict in &survey.plan.conflicts {
            let items = named(&conflict.items);
            let items = items.map_or_else(String::new, |items| {
                format!("{}: ", self.paint.colour(Colour::Red, items))
            });
            line!(self, "  {items}{}: {}", conflict.path, conflict.message);
            line!(self, "    cure: {}", conflict.cure);
        }
    }

    pub(super) fn taken_over(&mut self, survey: &Survey) {
        if survey.plan.taken_over.is_empty() {
            return;
        }
        self.heading("Handed over to regtrust");
        for what in &survey.plan.taken_over {
            line!(self, "  {what}");
        }
    }

    pub(super) fn drift(&mut self, survey: &Survey) {
        if survey.plan.drift.is_empty() {
            return;
        }
        self.heading("Changed by somebody else");
        for drift in &survey.plan.drift {
            let what = if drift.repaired { "put right again" } else { "left" };
            line!(self, "  {}: {} ({what})", drift.path, drift.message);
        }
    }

    pub(super) fn notes(&mut self, survey: &Survey) {
        let unmanaged = &survey.observed.unmanaged;
        if survey.plan.notes.is_empty() && unmanaged.is_empty() {
            return;
        }
        self.heading("Worth knowing");
        for note in &survey.plan.notes {
            match named(&note.items) {
                None => line!(self, "  {}", note.message),
                Some(items) => line!(self, "  {items}: {}", note.message),
            }
        }
        for engine in unmanaged {
            line!(self, "  not managed: {} ({}): {}", engine.what, engine.path, engine.cure);
        }
    }

    pub(super) fn problems<'a>(&mut self, problems: impl Iterator<Item = &'a Problem>) {
        let groups = grouped(problems);
        if groups.is_empty() {
            return;
        }
        self.heading("Declarations and policy");
        for (problem, places) in groups {
            let severity = match problem.severity {
                Severity::Error => self.paint.colour(Colour::Red, "error"),
                Severity::Warning => self.paint.colour(Colour::Yellow, "warning"),
            };
            line!(self, "  {severity}: {problem}");
            let others: Vec<_> =
                places.into_iter().filter(|place| **place != problem.location).collect();
            match others.len() {
                0 => {}
                1..=3 => {
                    let others: Vec<_> = others.iter().map(ToString::to_string).collect();
                    line!(self, "    also at {}", others.join(", "));
                }
                many => line!(self, "    also at {many} other places"),
            }
        }
    }

    /// What is declared and all the same not in force, by the decision of this node.
    pub(super) fn standing(&mut self, survey: &Survey) {
        if let Some(pin) = &survey.pin {
            let until = pin.until.strftime("%F %T UTC");
            let why = pin.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            self.heading(&format!("Pinned to generation {} until {until}{why}", pin.generation));
            line!(self, "  what was declared since waits; `regtrust rollback --release` ends it");
        }
        let mut refused = refused(survey).peekable();
        if refused.peek().is_some() {
            self.heading("Not allowed on this node");
        }
        for (host, standing) in refused {
            let host = self.paint.colour(Colour::Red, host);
            line!(self, "  {host}: {}", status::explain(standing).unwrap_or_default());
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text.written
    }

    /// Hands the page over as data.
    pub(super) fn print(self) -> Result<(), Failure> {
        data(self.text.written.as_bytes())
    }
}

/// One JSON document.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let document = serde_json::to_string_pretty(value).map_err(Failure::io)?;
    data((visible_json(&document) + "\n").as_bytes())
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no failure, and must not hide what
/// the command itself has to say with its exit code; a full disk is one.
pub(super) fn data(bytes: &[u8]) -> Result<(), Failure> {
    is_heard(bytes).map(|_| ())
}

/// The same, and whether anybody reads on.
pub(super) fn is_heard(bytes: &[u8]) -> Result<bool, Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::output(&error)),
    }
}

/// The items by name where they are few. `None`: there is none.
fn named(items: &BTreeSet<Item>) -> Option<String> {
    match items.len() {
        0 => None,
        1..=3 => Some(items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        many => Some(format!("{many} registries")),
    }
}

fn refused(survey: &Survey) -> impl Iterator<Item = (&RegistryHost, &Standing)> {
    survey
        .effective
        .standing
        .iter()
        .filter(|(_, standing)| matches!(standing, Standing::Refused(_)))
}

/// What a command that tried to bring everything into force ends with. Nothing that went well hides
/// what did not.
pub(super) fn verdict(survey: &Survey) -> Exit {
    if survey.sources.problems().any(|problem| problem.severity == Severity::Error) {
        Exit::Config
    } else if survey.plan.conflicts.is_empty() && refused(survey).next().is_none() {
        Exit::Done
    } else {
        Exit::Blocked
    }
}

/// `3 files to write, 1 to remove`.
pub(super) fn count(survey: &Survey) -> String {
    let (removed, written): (Vec<_>, Vec<_>) =
        survey.plan.changes.edits().partition(|edit| edit.after.is_none());
    let files = |count: usize| if count == 1 { "file" } else { "files" };
    match (written.len(), removed.len()) {
        (0, 0) => "no file to change".to_owned(),
        (w, 0) => format!("{w} {} to write", files(w)),
        (0, r) => format!("{r} {} to remove", files(r)),
        (w, r) => format!("{w} {} to write, {r} to remove", files(w)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(on: bool, text: &str) -> String {
        let mut out = Text { written: String::new(), paint: Paint { on } };
        write!(out, "{text}").unwrap();
        out.written
    }

    #[test]
    fn foreign_text_can_neither_move_the_cursor_nor_forge_a_line() {
        let text = "\u{1b}[31mred\u{1b}[0m\u{1b}[2J\nforged";
        assert_eq!(written(true, text), "\u{1b}[31mred\u{1b}[0m\\u{1b}[2J\\nforged");
        assert_eq!(written(false, text), "\\u{1b}[31mred\\u{1b}[0m\\u{1b}[2J\\nforged");
    }
}
