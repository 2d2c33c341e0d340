//! gRPC's standard health service, which answers for the loop that does the work.
//!
//! Where a service manager watches the daemon, that loop is asked for the manager. In a container
//! nobody does but a probe, and one that hears only from the task that accepts calls would keep a
//! daemon alive that does nothing any more.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService, WatchStream};

/// Whether the loop that does the work answers.
pub type Alive = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Less than a call may take, so that the caller hears the answer and not that there was none. One
/// that writes thousands of files answers between two of its steps.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) struct Asking {
    alive: Alive,
    registered: HealthService,
}

impl Asking {
    pub(super) fn new(alive: Alive, reporter: HealthReporter) -> Self {
        Self { alive, registered: HealthService::from_health_reporter(reporter) }
    }
}

#[tonic::async_trait]
impl Health for Asking {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let mut answer = self.registered.check(request).await?;
        let is_alive = timeout(PATIENCE, (self.alive)()).await.unwrap_or(false);
        if !is_alive {
            answer.get_mut().set_status(ServingStatus::NotServing);
        }
        Ok(answer)
    }

    type WatchStream = WatchStream;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.registered.watch(request).await
    }
}
