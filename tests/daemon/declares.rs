//! What owners apply.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use regtrust::api::v1::{
    self, ApplyRequest, ConfirmRequest, DesiredSet, ExplainRequest, GetDesiredRequest,
    ListGenerationsRequest, PlanRequest, RollbackRequest, Standing,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::common::{Node, fixture_text};
use crate::live::{
    Daemon, assert_refused, ca_of, node, set, settings, until_file, with_ca, with_client,
};

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let request = ApplyRequest { registries: vec![with_client("harbor.corp")], ..set(&[]) };
    let mut client = daemon.client().await;
    let answer = client.apply(request.clone()).await.unwrap().into_inner();
    assert_eq!((answer.revision, answer.generation), (1, 1));
    // No shutdown, no second chance to write anything.
    daemon.end(Signal::SIGKILL);
    assert_eq!(node.text(&ca_of("harbor.corp")).trim(), fixture_text("ca.pem").trim());
    assert_eq!(node.mode_of("etc/docker/certs.d/harbor.corp/client.key"), 0o600);

    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let desired = client.get_desired(GetDesiredRequest {}).await.unwrap().into_inner();
    assert_eq!(desired.revision, 1);
    let mut without_key = request.registries[0].clone();
    without_key.client.as_mut().unwrap().key.clear();
    let got = &desired.registries[0];
    assert_eq!((&got.host, got.trust), (&without_key.host, without_key.trust));
    assert_eq!(got.client.as_ref().unwrap().key, "", "a key is never given back");
    assert!(got.client.as_ref().unwrap().certificate.contains("BEGIN CERTIFICATE"));
    assert!(node.has(&ca_of("harbor.corp")));
    let again = client.apply(request).await.unwrap().into_inner();
    assert_eq!((again.revision, again.generation), (1, 1), "the same set changes nothing");
}

#[tokio::test]
async fn of_two_who_apply_at_once_one_is_told() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let first = ApplyRequest { expected_revision: Some(0), ..set(&["a.corp"]) };
    assert_eq!(client.apply(first.clone()).await.unwrap().into_inner().revision, 1);
    let late = ApplyRequest { expected_revision: Some(0), ..set(&["b.corp"]) };
    let refused = client.apply(late).await.unwrap_err();
    assert_refused(&refused, Code::Aborted, "REVISION_CONFLICT");
    assert!(!node.has(&ca_of("b.corp")) && node.has(&ca_of("a.corp")));
    let next = ApplyRequest { expected_revision: Some(1), ..set(&["b.corp"]) };
    assert_eq!(client.apply(next).await.unwrap().into_inner().revision, 2);
    assert!(node.has(&ca_of("b.corp")) && !node.has(&ca_of("a.corp")));
    let emptied = client.apply(ApplyRequest::default()).await.unwrap().into_inner();
    assert_eq!(emptied.revision, 3);
    assert!(!node.has("etc/docker/certs.d"), "withdrawn, and nothing is left");
}

#[tokio::test]
async fn a_wrong_field_is_named_and_nothing_of_the_set_is_applied() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let mut request = set(&["a.corp", "b.corp", "c.corp"]);
    request.registries[1].ca = "no PEM".to_owned();
    request.registries[2].trust = 77;
    let before = node.snapshot();
    let refused = client.apply(request.clone()).await.unwrap_err();
    assert_refused(&refused, Code::InvalidArgument, "INVALID_DECLARATION");
    request.registries[2] = with_ca("c.corp");
    let refused = client.apply(request).await.unwrap_err();
    assert_refused(&refused, Code::InvalidArgument, "INVALID_DECLARATION");
    let wrong = refused.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<&str> = wrong.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["registries[1].ca"]);
    assert_eq!(node.snapshot(), before);

    let refused = client.apply(set(&["a.corp", "evil.example"])).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "NOT_YOUR_HOST");
    assert!(refused.message().contains("`evil.example`") && !refused.message().contains("a.corp"));
    assert_eq!(node.snapshot(), before);
}

#[tokio::test]
async fn who_owns_nothing_applies_nothing() {
    let node = Node::new();
    let me = rustix::process::geteuid().as_raw();
    let settings = format!("[[access]]\nrole = \"admin\"\nuid = {me}\n");
    node.file("etc/regtrust/regtrustd.toml", settings);
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let refused = client.apply(set(&["a.corp"])).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "NO_OWNER");
    let refused = client.get_desired(GetDesiredRequest {}).await.unwrap_err();
    assert_refused(&refused, Code::PermissionDenied, "NO_OWNER");
}

#[tokio::test]
async fn a_plan_is_what_apply_does() {
    let node = node();
    node.declare("[[registry]]\nhost = \"lab.corp:5000\"\ntrust = \"http\"\n");
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    client.apply(set(&["old.corp", "both.corp"])).await.unwrap();
    let request = set(&["both.corp", "new.corp"]);
    let before = node.snapshot();
    let proposed = Some(DesiredSet { registries: request.registries.clone() });
    let plan = client.plan(PlanRequest { proposed }).await.unwrap().into_inner();
    assert_eq!(node.snapshot(), before, "a plan changes nothing");
    client.apply(request).await.unwrap();
    let after = node.snapshot();
    let is_file = |lies: &crate::common::Lies| matches!(lies, crate::common::Lies::File { .. });
    let paths = before.iter().chain(&after).filter(|(_, lies)| is_file(lies)).map(|(path, _)| path);
    let changed: BTreeSet<String> = paths
        .filter(|path| before.get(*path) != after.get(*path) && path.starts_with(node.root()))
        .map(|path| format!("/{}", path.strip_prefix(node.root()).unwrap().display()))
        .collect();
    let planned: BTreeSet<String> = plan.edits.iter().map(|edit| edit.path.clone()).collect();
    assert_eq!(changed, planned);
    assert!(changed.len() >= 4, "{changed:?}");
    let rest = client.plan(PlanRequest { proposed: None }).await.unwrap().into_inner();
    assert!(rest.edits.is_empty(), "{:?}", rest.edits);
}

#[tokio::test]
async fn of_two_owners_the_first_is_in_force_and_both_are_explained() {
    let node = node();
    node.declare("[[registry]]\nhost = \"harbor.corp\"\ntrust = \"system\"\n");
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let answer = client.apply(set(&["harbor.corp"])).await.unwrap().into_inner();
    assert_eq!(answer.registries[0].standing(), Standing::Overruled);
    assert!(!node.has(&ca_of("harbor.corp")), "a file comes first where nothing else is said");
    let request = ExplainRequest { host: "HTTPS://Harbor.corp/".to_owned() };
    let explained = client.explain(request).await.unwrap().into_inner();
    let told: Vec<(&str, bool)> =
        explained.declarations.iter().map(|one| (one.owner.as_str(), one.wins)).collect();
    assert_eq!(told, [("local", true), ("zadig", false)]);
    // The file goes, and the other's wish comes into force without being applied again.
    node.remove("etc/regtrust/registries.d/node.toml");
    until_file(&node, &ca_of("harbor.corp"), true).await;
    let request = ExplainRequest { host: "harbor.corp".to_owned() };
    let explained = client.explain(request).await.unwrap().into_inner();
    assert_eq!(explained.declarations.len(), 1);
    assert!(explained.files.contains(&format!("/{}", ca_of("harbor.corp"))), "{explained:?}");
}

#[tokio::test]
async fn a_rollback_pins_and_brings_nothing_back_that_was_withdrawn() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    client.apply(set(&["a.corp", "gone.corp"])).await.unwrap();
    client.apply(set(&["a.corp", "b.corp"])).await.unwrap();
    let back = RollbackRequest { generation: Some(1), ..RollbackRequest::default() };
    let answer = client.rollback(back).await.unwrap().into_inner();
    assert_eq!(answer.pin.unwrap().generation, 1);
    assert!(node.has(&ca_of("a.corp")) && !node.has(&ca_of("b.corp")));
    assert!(!node.has(&ca_of("gone.corp")), "trust that was taken away stays away");
    let list = client.list_generations(ListGenerationsRequest {}).await.unwrap().into_inner();
    let numbers: Vec<u64> = list.generations.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert!(list.generations[0].in_force && !list.generations[1].in_force);
    let released = client.rollback(RollbackRequest::default()).await.unwrap().into_inner();
    assert_eq!(released.pin, None);
    assert!(node.has(&ca_of("b.corp")));
    let unknown = RollbackRequest { generation: Some(99), ..RollbackRequest::default() };
    let refused = client.rollback(unknown).await.unwrap_err();
    assert_refused(&refused, Code::NotFound, "UNKNOWN_GENERATION");
}

#[tokio::test]
async fn a_trial_is_taken_back_unless_it_is_confirmed() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    client.apply(set(&["a.corp"])).await.unwrap();
    let try_for = Some(prost_types::Duration { seconds: 2, nanos: 0 });
    let tried = ApplyRequest { try_for, ..set(&["b.corp"]) };
    assert_eq!(client.apply(tried).await.unwrap().into_inner().revision, 2);
    let on_trial = |status: &v1::NodeStatus| status.owners[0].trial_ends.is_some();
    daemon.until(on_trial).await;
    assert!(node.has(&ca_of("b.corp")) && !node.has(&ca_of("a.corp")));
    let taken = until_file(&node, &ca_of("b.corp"), false).await;
    println!("taken back after {taken:?}");
    until_file(&node, &ca_of("a.corp"), true).await;
    let status = daemon.until(|status| !status.owners[0].on_trial).await;

    // Time enough to confirm it.
    let try_for = Some(prost_types::Duration { seconds: 6, nanos: 0 });
    let tried = ApplyRequest { try_for, ..set(&["c.corp"]) };
    let revision = client.apply(tried).await.unwrap().into_inner().revision;
    assert!(revision > status.owners[0].revision, "a number is never given twice");
    let wrong = client.confirm(ConfirmRequest { revision: revision + 1 }).await.unwrap_err();
    assert_refused(&wrong, Code::FailedPrecondition, "NOTHING_TO_CONFIRM");
    client.confirm(ConfirmRequest { revision }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(6500)).await;
    assert!(node.has(&ca_of("c.corp")), "what was confirmed stays");
    let again = client.confirm(ConfirmRequest { revision }).await.unwrap_err();
    assert_refused(&again, Code::FailedPrecondition, "NOTHING_TO_CONFIRM");
}

#[tokio::test]
async fn an_owner_who_is_struck_from_the_settings_wants_nothing_any_more() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    daemon.client().await.apply(set(&["a.corp"])).await.unwrap();
    let text = settings("\"*.corp\"").replace("\"zadig\"", "\"other\"");
    node.file("etc/regtrust/regtrustd.toml", text);
    daemon.signal(Signal::SIGHUP);
    until_file(&node, &ca_of("a.corp"), false).await;
}
