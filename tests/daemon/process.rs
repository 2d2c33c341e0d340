//! How a daemon begins, how it ends, and what it never says.

use nix::sys::signal::Signal;
use regtrust::api::v1::{
    ApplyRequest, DesiredSet, ExplainRequest, GetDesiredRequest, ListGenerationsRequest,
    PlanRequest,
};

use crate::common::{Outcome, leaked, secrets};
use crate::live::{Daemon, command, node, set, with_client};

#[tokio::test]
async fn there_is_one_daemon_and_the_second_is_told() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let second = Outcome::of(&mut command(&node));
    assert_eq!(second.code, 75, "{}", second.all());
    assert!(second.all().contains("at work on this node"), "{}", second.all());
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
    assert!(!node.has("run/regtrust/admin.sock"), "nobody is to knock at a door that is gone");
    Daemon::start(&node).await;
}

#[tokio::test]
async fn settings_with_a_mistake_start_nothing() {
    let node = node();
    for wrong in ["[[access]]\nrole = \"king\"\nuid = 1\n", "[", "colour = \"red\"\n"] {
        node.file("etc/regtrust/regtrustd.toml", wrong);
        let before = node.snapshot();
        let ended = Outcome::of(&mut command(&node));
        assert_eq!(ended.code, 78, "{wrong}\n{}", ended.all());
        assert!(ended.all().contains("/etc/regtrust/regtrustd.toml"), "{}", ended.all());
        assert_eq!(node.snapshot(), before, "{wrong}");
    }
}

#[tokio::test]
async fn prometheus_is_told_how_the_node_stands() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let before = daemon.metrics();
    assert!(before.contains("\nregtrust_registries{standing=\"declared\"} 0\n"), "{before}");
    let request = ApplyRequest { registries: vec![with_client("harbor.corp")], ..set(&[]) };
    client.apply(request).await.unwrap();
    let after = daemon.metrics();
    for line in [
        "regtrust_registries{standing=\"declared\"} 1",
        "regtrust_items{runtime=\"docker\",state=\"in-force\"} 1",
        "regtrust_owner_revision{owner=\"zadig\"} 1",
    ] {
        assert!(after.contains(&format!("\n{line}\n")), "{line}\n{after}");
    }
    for ends in ["regtrust_ca_expiry", "regtrust_client_certificate_expiry"] {
        let of_harbor = format!("\n{ends}_timestamp_seconds{{host=\"harbor.corp\"}} ");
        assert!(after.contains(&of_harbor), "{of_harbor}\n{after}");
    }
    let files = |page: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix("regtrust_files_changed_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert!(files(&after) > files(&before), "{after}");
}

#[tokio::test]
async fn no_key_is_ever_said() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let request = ApplyRequest { registries: vec![with_client("harbor.corp")], ..set(&[]) };
    let proposed = Some(DesiredSet { registries: request.registries.clone() });
    let explain = ExplainRequest { host: "harbor.corp".to_owned() };
    let mut said = Vec::new();
    said.push(format!("{:?}", client.plan(PlanRequest { proposed }).await.unwrap()));
    said.push(format!("{:?}", client.apply(request.clone()).await.unwrap()));
    said.push(format!("{:?}", client.explain(explain).await.unwrap()));
    said.push(format!("{:?}", client.get_desired(GetDesiredRequest {}).await.unwrap()));
    let list = client.list_generations(ListGenerationsRequest {}).await.unwrap();
    said.push(format!("{list:?}"));
    // A certificate that does not fit its key is complained about.
    let mut wrong = request;
    let pair = wrong.registries[0].client.as_mut().unwrap();
    pair.certificate = crate::common::fixture_text("client-ec.pem");
    said.push(format!("{:?}", client.apply(wrong).await.unwrap_err()));
    said.push(format!("{:?}", daemon.status().await));
    said.push(node.run(["status"]).all());
    said.push(node.run(["status", "--json"]).all());
    said.push(daemon.metrics());
    said.push(daemon.log());
    for text in &said {
        assert!(text.len() > 20, "{text}");
        assert_eq!(leaked(text, &secrets()), None, "{text}");
    }
    let key = node.text("etc/docker/certs.d/harbor.corp/client.key");
    assert!(leaked(&key, &secrets()).is_some(), "the search finds what there is");
}
