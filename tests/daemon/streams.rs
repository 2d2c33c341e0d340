//! What stays open: watchers and jobs; and pauses.

use std::time::Duration;

use nix::sys::signal::Signal;
use regtrust::api::v1::{
    HoldJobRequest, PauseRequest, ReconcileRequest, RestartRequest, ResumeRequest,
    WatchStatusRequest,
};
use tonic::Code;

use crate::live::{Daemon, PATIENCE, assert_refused, node, set};

#[tokio::test]
async fn a_watcher_sees_every_change_and_one_that_sleeps_delays_nobody() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut sleeper = daemon.client().await;
    let mut sleeping = sleeper.watch_status(WatchStatusRequest {}).await.unwrap().into_inner();
    let mut watcher = daemon.client().await;
    let mut watching = watcher.watch_status(WatchStatusRequest {}).await.unwrap().into_inner();
    let first = watching.message().await.unwrap().unwrap();
    let mut client = daemon.client().await;
    let mut last = first.sequence;
    for round in 0..20 {
        let host = format!("r{round}.corp");
        tokio::time::timeout(PATIENCE, client.apply(set(&[&host]))).await.unwrap().unwrap();
        let status = tokio::time::timeout(PATIENCE, watching.message()).await.unwrap();
        let status = status.unwrap().unwrap();
        assert!(status.sequence > last);
        last = status.sequence;
    }
    // Whatever it missed, what it ends up with is the newest.
    let newest = tokio::time::timeout(PATIENCE, async {
        loop {
            let status = sleeping.message().await.unwrap().unwrap();
            if status.registries.iter().any(|one| one.host == "r19.corp") {
                return status;
            }
        }
    });
    assert_eq!(newest.await.unwrap().owners[0].revision, 20);
}

#[tokio::test]
async fn a_job_is_held_for_as_long_as_its_call_is_open() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut holder = daemon.client().await;
    let request = |name: &str| HoldJobRequest { name: name.to_owned() };
    let mut held = holder.hold_job(request("zadig/workflow-42")).await.unwrap().into_inner();
    held.message().await.unwrap().unwrap();
    let status = daemon.status().await;
    assert_eq!(status.jobs.len(), 1);
    assert_eq!(status.jobs[0].name, "zadig/workflow-42");
    assert!(status.jobs[0].by.starts_with("uid "), "{:?}", status.jobs[0]);
    drop(held);
    daemon.until(|status| status.jobs.is_empty()).await;
    // A client that dies says no goodbye.
    let mut held = holder.hold_job(request("dies")).await.unwrap().into_inner();
    held.message().await.unwrap().unwrap();
    assert_eq!(daemon.status().await.jobs.len(), 1);
    drop((held, holder));
    daemon.until(|status| status.jobs.is_empty()).await;
    let refused = daemon.client().await.hold_job(request(" ")).await.unwrap_err();
    assert_refused(&refused, Code::InvalidArgument, "INVALID_REQUEST");
}

#[tokio::test]
async fn a_pause_is_shown_and_ends_by_itself_or_by_resume() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let pause = |seconds| PauseRequest {
        pause_for: Some(prost_types::Duration { seconds, nanos: 0 }),
        reason: "kernel update".to_owned(),
    };
    let answer = client.pause(pause(600)).await.unwrap().into_inner().pause.unwrap();
    assert_eq!(answer.reason, "kernel update");
    assert_eq!(daemon.status().await.pause.unwrap(), answer);
    client.resume(ResumeRequest {}).await.unwrap();
    assert_eq!(daemon.status().await.pause, None);
    assert!(client.pause(pause(1)).await.unwrap().into_inner().pause.is_some());
    daemon.until(|status| status.pause.is_none()).await;
    let refused = client.pause(pause(8 * 24 * 3600)).await.unwrap_err();
    assert_refused(&refused, Code::InvalidArgument, "INVALID_REQUEST");
}

#[tokio::test]
async fn nothing_is_restarted_that_is_not_due() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let all = client.restart(RestartRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.performed, []);
    let docker = regtrust::api::v1::Effect::RestartDocker.into();
    let one = client
        .restart(RestartRequest { effects: vec![docker], only_look: false })
        .await
        .unwrap_err();
    assert_refused(&one, Code::FailedPrecondition, "NOTHING_DUE");
    let before = daemon.status().await.sequence;
    let status = client.reconcile(ReconcileRequest {}).await.unwrap().into_inner();
    assert_eq!(status.sequence, before, "looking again is no news");
}

#[tokio::test]
async fn it_ends_in_good_order_while_calls_are_open() {
    let node = node();
    let daemon = Daemon::start(&node).await;
    let mut client = daemon.client().await;
    let mut watching = client.watch_status(WatchStatusRequest {}).await.unwrap().into_inner();
    watching.message().await.unwrap().unwrap();
    let job = HoldJobRequest { name: "ci/1".to_owned() };
    let mut held = client.hold_job(job).await.unwrap().into_inner();
    held.message().await.unwrap().unwrap();
    let ended = tokio::task::spawn_blocking(move || daemon.end(Signal::SIGTERM));
    // Each is told, and need not guess whether the network broke.
    let last = tokio::time::timeout(PATIENCE, async {
        while watching.message().await?.is_some() {}
        Ok::<(), tonic::Status>(())
    });
    assert_refused(&last.await.unwrap().unwrap_err(), Code::Unavailable, "BUSY");
    let last = tokio::time::timeout(PATIENCE, held.message()).await.unwrap();
    assert_refused(&last.unwrap_err(), Code::Unavailable, "BUSY");
    let code = tokio::time::timeout(Duration::from_secs(15), ended).await.unwrap().unwrap();
    assert_eq!(code, Some(0));
}
