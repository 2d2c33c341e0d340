//! daemon.json: what is put in and taken out again leaves the very bytes that were there.

use regtrust::ledger::DaemonOwned;
use regtrust::target::docker_daemon::{Ending, Goal, Goals, Key, Merged, live_restore, merge};
use serde_json::{Map, Value};

use super::assert_printable;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_layout(text, &goals(&["a.corp"], &[]));
    check_layout(text, &goals(&["[fd00::1]:5000", "b.corp:5000"], &["https://m.corp/v2/hub"]));
    // What is put into a file may be put into one in which something of ours stands already.
    let one = merge(Some(text), &DaemonOwned::default(), &goals(&["a.corp"], &[]));
    let two = one.and_then(|one| again(&one, &goals(&["a.corp", "c"], &["http://m.corp:5000"])));
    if let Ok(two) = two {
        check_undone(text, &two);
    }
}

fn goals(insecure: &[&str], mirrors: &[&str]) -> Goals {
    let goal = |elements: &[&str]| Goal {
        elements: elements.iter().map(|&element| element.to_owned()).collect(),
        ending: Ending::KeepEmpty,
    };
    let live_restore =
        if mirrors.is_empty() { live_restore::Goal::Gone } else { live_restore::Goal::On };
    Goals { insecure: goal(insecure), mirrors: goal(mirrors), live_restore }
}

fn nothing(ending: Ending) -> Goals {
    let goal = Goal { elements: Vec::new(), ending };
    let live_restore = match ending {
        Ending::KeepEmpty => live_restore::Goal::Off,
        Ending::Restore => live_restore::Goal::Gone,
    };
    Goals { insecure: goal.clone(), mirrors: goal, live_restore }
}

fn again(
    merged: &Merged,
    goals: &Goals,
) -> Result<Merged, regtrust::target::docker_daemon::MergeError> {
    merge(merged.text.as_deref(), &merged.owned, goals)
}

fn check_layout(before: &str, goals: &Goals) {
    let merged = match merge(Some(before), &DaemonOwned::default(), goals) {
        Ok(merged) => merged,
        Err(error) => {
            assert_printable(&error);
            return assert_printable(&error.cure());
        }
    };
    assert_eq!(again(&merged, goals).as_ref(), Ok(&merged), "merging again changes nothing");
    assert_eq!(others(merged.text.as_deref().unwrap_or_default()), others(before));
    check_undone(before, &merged);
}

fn check_undone(before: &str, merged: &Merged) {
    let clean = Merged { text: Some(before.to_owned()), owned: DaemonOwned::default() };
    assert_eq!(again(merged, &nothing(Ending::Restore)).as_ref(), Ok(&clean), "at once");
    let emptied = again(merged, &nothing(Ending::KeepEmpty));
    let restored = emptied.and_then(|emptied| again(&emptied, &nothing(Ending::Restore)));
    assert_eq!(restored, Ok(clean), "in two steps");
}

/// Everything but our three keys. Nothing but white space is a file with nothing in it.
fn others(text: &str) -> Option<Map<String, Value>> {
    let body = text.trim_start_matches('\u{feff}');
    let mut object: Map<String, Value> = match body.trim() {
        "" => Map::new(),
        body => serde_json::from_str(body).ok()?,
    };
    object
        .retain(|name, _| name != "live-restore" && Key::ALL.iter().all(|key| key.name() != name));
    Some(object)
}
