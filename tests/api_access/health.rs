//! What a probe hears.

use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::client::unix;
use crate::daemon::Daemon;

/// The task that accepts calls goes on when the one that works hangs, and must not vouch for it.
#[tokio::test]
async fn a_daemon_that_hangs_says_so_to_a_probe() {
    let daemon = Daemon::local("").await;
    let mut health = HealthClient::new(unix(&daemon.read_socket()).await);
    for service in ["", "regtrust.v1.Node"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let other = HealthCheckRequest { service: "regtrust.v1.Other".to_owned() };
    assert_eq!(health.check(other).await.unwrap_err().code(), Code::NotFound);

    daemon.node.hang();
    let answer = health.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);
    daemon.stop().await;
}
