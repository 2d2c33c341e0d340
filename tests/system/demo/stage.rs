//! How the demo looks.

use std::time::Instant;

use super::is_for_people;
use crate::lab::Node;
use crate::lab::node::Output;

/// Prose is broken here; what programs say is not touched.
const WIDTH: usize = 92;

#[derive(Debug)]
pub(super) struct Stage {
    colour: bool,
    chapters: u32,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self { colour: is_for_people(), chapters: 0 }
    }

    pub(super) fn has_colour(&self) -> bool {
        self.colour
    }

    pub(super) fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        let title = format!("{}. {title}", self.chapters);
        println!("\n{}", self.paint("1", &title));
    }

    pub(super) fn warn(&self, prose: &str) {
        println!("{}", self.paint("31", prose));
    }

    /// Types a command on the node and shows what it says.
    pub(super) fn types(&self, node: &Node, command: &str) -> Output {
        self.prompt(command);
        let output = node.run(["sh", "-c", command]);
        says(&output.stdout);
        says(&output.stderr);
        output
    }

    /// Types a command of regtrust's. What it says comes in colours where people read it, and how
    /// long it took is worth knowing.
    pub(super) fn types_regtrust(&self, node: &Node, command: &str) -> Output {
        self.prompt(&format!("regtrust {command}"));
        let colour = if self.colour { "always" } else { "never" };
        let began = Instant::now();
        let output = node.run(["regtrust", "--color", colour, command]);
        let took = began.elapsed().as_millis();
        says(&output.stdout);
        says(&output.stderr);
        println!("  {}", self.paint("2", &format!("({took} ms)")));
        output
    }

    /// Shows a command that is not run in a shell.
    pub(super) fn prompt(&self, shown: &str) {
        println!("  {} {}", self.paint("2", "#"), self.paint("1", shown));
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

pub(super) fn tell(prose: &str) {
    for line in broken(prose) {
        println!("{line}");
    }
}

/// What a program said, as it said it.
pub(super) fn says(text: &str) {
    for line in text.lines() {
        println!("{}", format!("  {line}").trim_end());
    }
}

fn broken(prose: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in prose.split_whitespace() {
        let mut line = lines.pop().unwrap_or_default();
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        lines.push(line + word);
    }
    lines
}
