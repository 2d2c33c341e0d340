use super::*;
use crate::target::docker_daemon::Goals;

mod layouts;
mod ownership;
mod properties;
mod refusals;

fn goal(elements: &[&str], ending: Ending) -> Goal {
    Goal { elements: elements.iter().map(|&element| element.to_owned()).collect(), ending }
}

fn insecure(elements: &[&str]) -> Goals {
    Goals { insecure: goal(elements, Ending::KeepEmpty), ..Goals::default() }
}

fn mirrors(elements: &[&str]) -> Goals {
    Goals { mirrors: goal(elements, Ending::KeepEmpty), ..Goals::default() }
}

fn nothing(ending: Ending) -> Goals {
    let live_restore = match ending {
        Ending::KeepEmpty => live_restore::Goal::Off,
        Ending::Restore => live_restore::Goal::Gone,
    };
    Goals { insecure: goal(&[], ending), mirrors: goal(&[], ending), live_restore }
}

fn first(current: Option<&str>, goals: &Goals) -> Merged {
    merge(current, &DaemonOwned::default(), goals).unwrap()
}

fn again(merged: &Merged, goals: &Goals) -> Merged {
    merge(merged.text.as_deref(), &merged.owned, goals).unwrap()
}

/// What we wrote, with somebody's edit in it.
fn edited(merged: &Merged, text: &str) -> Merged {
    Merged { text: Some(text.to_owned()), owned: merged.owned.clone() }
}

fn text(merged: &Merged) -> &str {
    merged.text.as_deref().unwrap_or("<no file>")
}
