//! The manual: what `--help` says, as pages for `man`.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use super::args::Cli;
use super::failure::{Exit, Failure};
use super::print;
use crate::daemon;

/// With a name the page, as roff; without one the names of all pages.
pub(super) fn run(name: Option<&str>) -> Result<Exit, Failure> {
    let pages = pages();
    let Some(name) = name else {
        let names: String = pages.iter().map(|page| page.file() + "\n").collect();
        print::data(names.as_bytes())?;
        return Ok(Exit::Done);
    };
    let Some(page) = pages.into_iter().find(|page| page.file() == name) else {
        return Err(Failure::usage(
            format!("there is no manual page `{name}`"),
            "`regtrust man` lists them",
        ));
    };
    print::data(&page.roff().map_err(Failure::io)?)?;
    Ok(Exit::Done)
}

#[derive(Debug)]
struct Page {
    command: Command,
    section: &'static str,
}

/// regtrust(1) with a page for each of its commands, and regtrustd(8).
fn pages() -> Vec<Page> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let mut pages: Vec<Page> = whole.get_subcommands().cloned().map(Page::of_command).collect();
    pages.insert(0, Page::of_command(whole));
    pages.push(Page { command: daemon::command(), section: "8" });
    pages
}

impl Page {
    fn of_command(command: Command) -> Self {
        Self { command, section: "1" }
    }

    fn file(&self) -> String {
        let name = self.command.get_display_name().unwrap_or_else(|| self.command.get_name());
        format!("{name}.{}", self.section)
    }

    fn roff(self) -> io::Result<Vec<u8>> {
        let mut roff = Vec::new();
        // Without a date: the same source makes the same page, whenever it is built.
        Man::new(self.command)
            .section(self.section)
            .source(concat!("regtrust ", env!("CARGO_PKG_VERSION")))
            .manual("regtrust")
            .render(&mut roff)?;
        Ok(roff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_of_its_own() {
        let files: Vec<String> = pages().iter().map(Page::file).collect();
        assert_eq!((&*files[0], files.last().unwrap().as_str()), ("regtrust.1", "regtrustd.8"));
        assert!(files.contains(&"regtrust-apply.1".to_owned()), "{files:?}");
        for page in pages() {
            let file = page.file();
            let roff = String::from_utf8(page.roff().unwrap()).unwrap();
            let (name, section) = file.rsplit_once('.').unwrap();
            assert!(roff.contains(&format!(".TH {name} {section}")), "{file}: {roff}");
        }
    }
}
