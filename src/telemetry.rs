//! Where the daemon's words go: to the journal with their fields where there is one, else to
//! stderr. Nothing else configures logging.
#![expect(clippy::disallowed_methods, reason = "the environment is read once, here")]

use std::io::IsTerminal as _;

use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Set by systemd for a service whose stderr is the journal.
const JOURNAL: &str = "JOURNAL_STREAM";
/// `debug`, or by module: `regtrust::agent=debug`.
const FILTER: &str = "REGTRUST_LOG";

/// Begins to speak. A filter that makes no sense is said and not heeded.
pub fn begin() {
    let (filter, wrong) = match filter(&std::env::var(FILTER).unwrap_or_default()) {
        Ok(filter) => (filter, None),
        Err(error) => (usual(), Some(error)),
    };
    let journal = std::env::var_os(JOURNAL).and_then(|_| tracing_journald::layer().ok());
    let registry = tracing_subscriber::registry().with(filter);
    let begun = if let Some(journal) = journal {
        registry.with(journal).try_init()
    } else {
        let is_terminal = std::io::stderr().is_terminal();
        let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        registry.with(stderr.with_target(false).with_ansi(is_terminal)).try_init()
    };
    // Only a test could have begun before.
    _ = begun;
    if let Some(error) = wrong {
        tracing::warn!(%error, "{FILTER} makes no sense, so everything from `info` on is said");
    }
}

fn usual() -> Targets {
    Targets::new().with_default(LevelFilter::INFO)
}

/// By module and level alone: to choose by the values of fields would take two engines for regular
/// expressions, a tenth of the program.
///
/// Whoever asks for more of one module has not asked for less of the others.
fn filter(asked: &str) -> Result<Targets, ParseError> {
    if asked.is_empty() {
        return Ok(usual());
    }
    let filter: Targets = asked.parse()?;
    Ok(match filter.default_level() {
        Some(_) => filter,
        None => filter.with_default(LevelFilter::INFO),
    })
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn more_of_one_module_is_not_less_of_the_others() {
        let said = |asked: &str| {
            let filter = filter(asked).unwrap();
            [("regtrust::agent", Level::DEBUG), ("regtrust::txn", Level::INFO), ("h2", Level::INFO)]
                .map(|(module, level)| filter.would_enable(module, &level))
        };
        assert_eq!(said(""), [false, true, true]);
        assert_eq!(said("debug"), [true, true, true]);
        assert_eq!(said("regtrust::agent=debug"), [true, true, true]);
        assert_eq!(said("regtrust::agent=debug,warn"), [true, false, false]);
        assert_eq!(said("info,h2=off"), [false, true, false]);
        assert!(filter("regtrust=loud").is_err());
    }
}
