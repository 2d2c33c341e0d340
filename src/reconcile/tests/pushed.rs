//! Owners that apply over the API, beside each other and beside the node's own files.

use super::*;
use std::sync::Arc;

use crate::content::Content;
use crate::owners::{Owner, Owners};
use crate::pushed::origin;
use crate::trust::certificate_cache::CertificateCache;
use crate::trust::declaration::{Draft, Loaded};
use crate::trust::entry::Entry;
use crate::trust::policy::Pattern;

const SET: &str = "var/lib/regtrust/owners/zadig.json";

fn name(text: &str) -> OwnerName {
    OwnerName::parse(text).unwrap()
}

fn owner(text: &str, priority: i64, hosts: &[&str]) -> Owner {
    let hosts = hosts.iter().map(|host| Pattern::parse(host).unwrap()).collect();
    Owner { name: OwnerName::parse(text).unwrap(), priority, principals: vec![], hosts }
}

/// With `zadig` after the files and `boss` before them.
fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.options.owners = Some(Owners::new(vec![
        owner("boss", 1, &["*"]),
        owner("local", 2, &[]),
        owner("zadig", 3, &["*.corp"]),
    ]));
    tree
}

/// An entry as the API makes it: with everything inside.
fn entry(host: &str, more: &str) -> Arc<Entry> {
    let text = format!("[[registry]]\nhost = \"{host}\"\n{more}\n");
    let draft = Draft::parse(&text, &crate::node_path!("pushed")).unwrap();
    let mut certificates = CertificateCache::new("2026-06-01T10:00:00Z".parse().unwrap());
    draft.complete(&Loaded::new(), &mut certificates).entries.remove(0)
}

fn with_ca(host: &str) -> Arc<Entry> {
    entry(host, &format!("trust = \"ca\"\nca = '''\n{CA}'''"))
}

fn with_pair(host: &str) -> Arc<Entry> {
    let pair = format!("client_cert = '''\n{CERTIFICATE}'''\nclient_key = '''\n{KEY}'''");
    entry(host, &format!("trust = \"ca\"\nca = '''\n{CA}'''\n{pair}"))
}

impl Tree {
    fn push(&mut self, owner: &str, entries: Vec<Arc<Entry>>, expected: Option<u64>) -> Survey {
        self.options.push =
            Some(Push::Replace { owner: name(owner), entries, expected, try_for: None });
        let survey = self.apply();
        self.options.push = None;
        survey
    }
}

#[test]
fn what_is_pushed_is_in_force_and_stays_so_without_the_push() {
    let mut tree = tree();
    let survey = tree.push("zadig", vec![with_ca("a.corp")], Some(0));
    assert_eq!(survey.pushed.sets[&name("zadig")].revision, 1);
    assert!(tree.has_ca("a.corp"));
    assert!(tree.survey().unwrap().is_settled());
    assert!(!tree.survey().unwrap().has_changes());
    tree.push("zadig", vec![], Some(1));
    assert!(!tree.has_ca("a.corp"));
}

#[test]
fn the_first_owner_has_the_host_and_the_others_are_told() {
    let mut tree = tree();
    tree.declare(&["a.corp"]);
    tree.push("zadig", vec![entry("a.corp", "trust = \"system\"")], None);
    let owner_of = |survey: &Survey| {
        survey.effective.entries.values().map(|entry| entry.origin.owner.clone()).next()
    };
    let survey = tree.survey().unwrap();
    assert_eq!(owner_of(&survey).as_deref(), Some("local"));
    let said: Vec<String> = survey.sources.problems().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("comes first on this node"), "{said:?}");

    tree.push("boss", vec![entry("a.corp", "trust = \"http\"")], None);
    assert_eq!(owner_of(&tree.survey().unwrap()).as_deref(), Some("boss"));
    tree.push("boss", vec![], None);
    tree.declare(&[]);
    assert_eq!(owner_of(&tree.apply()).as_deref(), Some("zadig"), "who waited has it now");
}

#[test]
fn nobody_speaks_for_a_host_that_is_not_his() {
    let mut tree = tree();
    tree.push("zadig", vec![with_ca("a.corp"), with_ca("a.example.com")], None);
    assert!(tree.has_ca("a.corp") && !tree.has_ca("a.example.com"));
    let survey = tree.survey().unwrap();
    let said: Vec<_> = survey.sources.problems().map(|problem| problem.message.clone()).collect();
    assert_eq!(said, ["`zadig` may not speak for `a.example.com` on this node"]);
}

#[test]
fn an_owner_that_is_declared_no_more_wants_nothing() {
    let mut tree = tree();
    tree.push("zadig", vec![with_ca("a.corp")], None);
    tree.options.owners = Some(Owners::default());
    let survey = tree.apply();
    assert!(!tree.has_ca("a.corp"));
    assert_eq!(survey.sources.problems().count(), 1);
    tree.options.owners = super::pushed::tree().options.owners;
    tree.apply();
    assert!(tree.has_ca("a.corp"), "what it applied is not forgotten");
}

/// Neither a damaged set nor settings that cannot be read are statements.
#[test]
fn what_cannot_be_read_stays_in_force() {
    let mut tree = tree();
    tree.push("zadig", vec![with_pair("a.corp")], None);
    let set = tree.text(SET).unwrap();
    for _ in 0..2 {
        tree.write(SET, "{");
        let survey = tree.apply();
        assert!(tree.has_ca("a.corp"));
        assert!(matches!(survey.effective.standing.values().next(), Some(Standing::Held(_))));
        assert_eq!(tree.keys(), 1, "which keys it needs is not known");
        tree.write(SET, &set);
    }
    let owners = tree.options.owners.take();
    tree.apply();
    assert!(tree.has_ca("a.corp"));
    tree.options.owners = owners;
    assert!(tree.survey().unwrap().is_settled());
    tree.write(SET, "{");
    tree.options.push = Some(Push::Confirm { owner: name("zadig"), revision: 1 });
    let (error, _) = said(tree.try_apply());
    assert!(error.starts_with("what `zadig` has applied before cannot be read"), "{error}");
}

/// Policy may refuse an entry for years; when it no longer does, its key has to be there.
#[test]
fn a_key_lives_as_long_as_somebody_wants_it() {
    let mut tree = tree();
    tree.write("etc/regtrust/policy.toml", "deny = [\"a.corp\"]\n");
    tree.push("zadig", vec![with_pair("a.corp")], None);
    assert!(!tree.has_ca("a.corp"));
    assert_eq!(tree.keys(), 1);
    for round in 0..=crate::generation::KEPT {
        tree.push("zadig", vec![with_pair("a.corp"), with_ca(&format!("r{round}.corp"))], None);
    }
    tree.write("etc/regtrust/policy.toml", "");
    tree.apply();
    assert!(tree.text("etc/docker/certs.d/a.corp/client.key").is_some());
    tree.push("zadig", vec![], None);
    for round in 0..=crate::generation::KEPT {
        tree.push("zadig", vec![with_ca(&format!("r{round}.corp"))], None);
    }
    assert_eq!(tree.keys(), 0);
}

#[test]
fn no_key_is_in_the_set() {
    let mut tree = tree();
    tree.push("zadig", vec![with_pair("a.corp")], None);
    let secret = Content::plain(KEY.as_bytes());
    let line = std::str::from_utf8(secret.bytes()).unwrap().lines().nth(1).unwrap();
    assert!(!tree.text(SET).unwrap().contains(line));
    assert_eq!(origin(&name("zadig")).to_string(), "owner `zadig`");
}

#[test]
fn a_trial_that_is_over_is_taken_back_by_the_next_run() {
    let mut tree = tree();
    tree.options.push = Some(Push::Replace {
        owner: name("zadig"),
        entries: vec![with_ca("a.corp")],
        expected: None,
        try_for: Some(90),
    });
    tree.apply();
    tree.options.push = Some(Push::InForce);
    tree.apply();
    tree.options.push = None;
    tree.apply();
    assert!(tree.has_ca("a.corp"), "a minute has passed");
    tree.apply();
    assert!(!tree.has_ca("a.corp"), "two have");
}
