//! What is in the way is seen before anything is touched; what comes in the way later undoes it.

use super::*;
use crate::txn::steps::{Step, Transaction};
use crate::txn::{TxnError, preflight};

const HOST: &str = "etc/docker/certs.d/a.corp";

/// What `preflight` says of a change that would also write elsewhere; and that nothing happens.
fn refusal(node: &Node, unit: Unit) -> (String, bool) {
    let before = node.tree();
    let changes = changes([file(edit("etc/other", None, Some("x"))), unit]);
    let refusals = preflight(&node.root, &changes).unwrap();
    let error = node.commit(&changes).unwrap_err();
    let stale = error.is_stale();
    assert!(matches!(error, TxnError::Refused(same) if same == refusals));
    assert_eq!(node.tree(), before);
    node.assert_clean("after a refusal");
    let said = refusals.iter().map(|is| format!("{} {}; {}", is.path, is.reason, is.cure));
    (said.collect::<Vec<_>>().join("\n"), stale)
}

fn node() -> Node {
    let node = Node::new();
    node.put("etc/a", "a", 0o644);
    node.put(&format!("{HOST}/ca.crt"), "ca", 0o644);
    node
}

#[test]
fn links_and_directories_are_not_replaced() {
    let node = node();
    std::os::unix::fs::symlink("a", node.at("etc/link")).unwrap();
    std::os::unix::fs::symlink("a.corp", node.at("etc/docker/certs.d/b.corp")).unwrap();
    fs::create_dir(node.at("etc/dir")).unwrap();
    let cases = [
        (
            file(edit("etc/link", None, Some("x"))),
            "/etc/link is a symbolic link to `a`, which another tool probably manages; \
             put a regular file in place of the link",
        ),
        (file(edit("etc/dir", None, Some("x"))), "/etc/dir is a directory; move it out of the way"),
        (
            registry("etc/docker/certs.d/b.corp", &[("ca.crt", Some("ca"), None)]),
            "/etc/docker/certs.d/b.corp is a symbolic link where a directory must be; \
             move it out of the way",
        ),
        (
            registry("etc/a", &[("ca.crt", None, Some("ca"))]),
            "/etc/a is not a directory; move it out of the way",
        ),
    ];
    for (unit, said) in cases {
        assert_eq!(refusal(&node, unit), (said.to_owned(), false));
    }
}

#[test]
fn what_changed_since_the_plan_is_stale() {
    let node = node();
    let cases = [
        (file(edit("etc/a", Some("b"), Some("c"))), "/etc/a changed since the plan was made"),
        (file(edit("etc/a", None, Some("c"))), "/etc/a changed since the plan was made"),
        (file(edit("etc/b", Some("b"), None)), "/etc/b changed since the plan was made"),
        (file(edit("no/b", None, Some("b"))), "/no is not there any more"),
        (
            registry(HOST, &[("ca.crt", Some("cb"), None)]),
            "/etc/docker/certs.d/a.corp/ca.crt changed since the plan was made",
        ),
    ];
    for (unit, said) in cases {
        assert_eq!(refusal(&node, unit), (format!("{said}; plan again"), true));
    }
}

#[test]
fn a_directory_with_what_cannot_be_linked_is_not_exchanged() {
    let node = node();
    fs::create_dir(node.at(&format!("{HOST}/theirs"))).unwrap();
    let unit = registry(HOST, &[("ca.crt", Some("ca"), Some("cb")), ("b.crt", None, Some("b"))]);
    let said = "/etc/docker/certs.d/a.corp must be exchanged as a whole, but `theirs` in it is \
                a directory, which cannot be carried over; move it elsewhere";
    assert_eq!(refusal(&node, unit), (said.to_owned(), false));
}

#[test]
fn one_file_cannot_be_changed_twice_nor_outside_its_directory() {
    let node = node();
    let mut unit = registry(HOST, &[("b.crt", None, Some("b"))]);
    unit.edits.push(edit("etc/other", None, Some("y")));
    let (said, stale) = refusal(&node, unit);
    assert!(said.contains("/etc/other does not lie in"), "{said}");
    assert!(said.contains("/etc/other is changed twice; this is a defect of regtrust"), "{said}");
    assert!(!stale);
}

/// Performs all steps up to the swap of the last unit, then lets somebody edit, then goes on.
fn interfered(node: &Node, changes: &Changes, interfere: impl FnOnce()) -> TxnError {
    let mut journal = node.journal(changes);
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    let last = changes.units.len() - 1;
    let (before, after): (Vec<_>, Vec<_>) =
        txn.forward().partition(|step| !matches!(step, Step::Swap(unit) if unit.number == last));
    for step in before.into_iter().filter(|step| *step != Step::SyncSwapped) {
        txn.perform(step).unwrap();
    }
    interfere();
    let error = after.into_iter().try_for_each(|step| txn.perform(step)).unwrap_err();
    for step in txn.backward() {
        txn.perform(step).unwrap();
    }
    error
}

#[test]
fn an_edit_at_the_last_instant_is_never_lost() {
    let first = || file(edit("etc/first", None, Some("x")));
    let pair = [("ca.crt", Some("ca"), Some("cb")), ("b.crt", None, Some("b"))];
    let ca = format!("{HOST}/ca.crt");
    let theirs = format!("{HOST}/theirs.crt");
    let b = "etc/docker/certs.d/b/ca.crt".to_owned();
    let cases: [(Unit, &str); 7] = [
        (file(edit("etc/a", Some("a"), Some("b"))), "etc/a"),
        (file(edit("etc/a", Some("a"), None)), "etc/a"),
        (file(edit("etc/b", None, Some("b"))), "etc/b"),
        (registry(HOST, &pair), &ca),
        (registry(HOST, &pair), &theirs),
        (registry(HOST, &[("ca.crt", Some("ca"), None)]), &theirs),
        (registry("etc/docker/certs.d/b", &[("b.crt", None, Some("b"))]), &b),
    ];
    for (unit, edited) in cases {
        let node = node();
        let mut expected = node.contents();
        expected.insert(edited.to_owned(), "somebody's".to_owned());

        let error = interfered(&node, &changes([first(), unit]), || {
            node.put(edited, "somebody's", 0o644);
        });

        assert!(error.is_stale(), "{edited}: {error}");
        assert_eq!(node.contents(), expected, "{edited}");
        node.assert_clean(edited);
    }
}

#[test]
fn a_foreign_file_that_goes_or_is_replaced_at_the_last_instant_is_seen() {
    let pair = [("ca.crt", Some("ca"), Some("cb")), ("b.crt", None, Some("b"))];
    let theirs = format!("{HOST}/theirs.crt");
    let interferences: [fn(&Path); 2] = [
        |theirs| fs::remove_file(theirs).unwrap(),
        |theirs| {
            fs::write(theirs.with_extension("swp"), "T").unwrap();
            fs::rename(theirs.with_extension("swp"), theirs).unwrap();
        },
    ];
    for interfere in interferences {
        let node = node();
        node.put(&theirs, "T", 0o644);
        let mut left = Tree::new();

        let error = interfered(&node, &changes([registry(HOST, &pair)]), || {
            interfere(&node.at(&theirs));
            left = node.tree();
            left.retain(|name, _| !name.contains(".regtrust-"));
        });

        assert!(error.is_stale(), "{error}");
        assert_eq!(node.tree(), left);
        node.assert_clean("interfered");
    }
}

#[test]
fn nothing_to_do_writes_nothing() {
    let node = node();
    fs::remove_dir(node.at("var/lib/regtrust")).unwrap_err();
    let stamp = || fs::metadata(node.at("var/lib/regtrust")).unwrap().mtime_nsec();
    let before = (stamp(), node.tree());
    node.commit(&Changes::default()).unwrap();
    node.commit(&changes([file(edit("etc/a", Some("a"), Some("a")))])).unwrap();
    let changes = Changes {
        make_directories: vec![path("etc")],
        remove_directories: vec![path("etc/absent")],
        ..Changes::default()
    };
    node.commit(&changes).unwrap();
    assert!(matches!(node.recover().unwrap(), crate::txn::Recovery::Nothing));
    assert_eq!((stamp(), node.tree()), before);
}
