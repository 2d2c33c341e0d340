//! A node that says yes to everything, and counts.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use regtrust::api::Alive;
use regtrust::api::access::Caller;
use regtrust::api::v1::node_server::Node;
use regtrust::api::v1::{
    ApplyRequest, ApplyResponse, CheckRequest, CheckResponse, ConfirmRequest, ConfirmResponse,
    ExplainRequest, ExplainResponse, GetDesiredRequest, GetDesiredResponse, GetStatusRequest,
    HoldJobRequest, HoldJobResponse, ListGenerationsRequest, ListGenerationsResponse,
    ListLocksRequest, ListLocksResponse, NodeStatus, PauseRequest, PauseResponse, PlanRequest,
    PlanResponse, ReconcileRequest, ResolveAttemptsRequest, ResolveAttemptsResponse,
    RestartRequest, RestartResponse, ResumeRequest, ResumeResponse, RollbackRequest,
    RollbackResponse, UnlockRequest, UnlockResponse, WatchStatusRequest,
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

#[derive(Clone, Debug, Default)]
pub(crate) struct Yes {
    calls: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
}

impl Yes {
    /// What stands for the loop that does the work.
    pub(crate) fn alive(&self) -> Alive {
        let hangs = Arc::clone(&self.hangs);
        Arc::new(move || {
            let hangs = Arc::clone(&hangs);
            Box::pin(async move {
                if hangs.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                true
            })
        })
    }

    /// From now on nothing is done any more, and nobody says so.
    pub(crate) fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// How many streams of answers are open.
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::SeqCst)
    }

    /// Answers, and says in the headers who was seen to call.
    #[expect(clippy::unnecessary_wraps, reason = "every caller wants a result")]
    fn yes<Q, A: Default>(&self, request: &Request<Q>) -> Result<Response<A>, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let caller = request.extensions().get::<Caller>().unwrap();
        let owner = caller.owner.as_ref().map_or("none", |owner| owner.as_str());
        let mut response = Response::new(A::default());
        response.metadata_mut().insert("seen-role", caller.role.word().parse().unwrap());
        response.metadata_mut().insert("seen-owner", owner.parse().unwrap());
        response.metadata_mut().insert("seen", caller.identity.to_string().parse().unwrap());
        Ok(response)
    }

    /// The same, as the first of a stream that does not end.
    fn on<Q, A: Default + Send + 'static>(
        &self,
        request: &Request<Q>,
    ) -> Result<Response<On<A>>, Status> {
        struct Open(Arc<AtomicUsize>);
        impl Drop for Open {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.streams.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.streams));
        let stream = |first: A| {
            let stream = tokio_stream::once(Ok(first)).chain(tokio_stream::pending());
            let held = stream.map(move |one| {
                let _open = &open;
                one
            });
            Box::pin(held) as On<A>
        };
        Ok(self.yes(request)?.map(stream))
    }
}

type On<A> = Pin<Box<dyn Stream<Item = Result<A, Status>> + Send>>;

#[tonic::async_trait]
impl Node for Yes {
    async fn apply(&self, r: Request<ApplyRequest>) -> Result<Response<ApplyResponse>, Status> {
        self.yes(&r)
    }
    async fn plan(&self, r: Request<PlanRequest>) -> Result<Response<PlanResponse>, Status> {
        self.yes(&r)
    }
    async fn confirm(
        &self,
        r: Request<ConfirmRequest>,
    ) -> Result<Response<ConfirmResponse>, Status> {
        self.yes(&r)
    }
    async fn get_status(
        &self,
        r: Request<GetStatusRequest>,
    ) -> Result<Response<NodeStatus>, Status> {
        self.yes(&r)
    }
    type WatchStatusStream = On<NodeStatus>;
    async fn watch_status(
        &self,
        r: Request<WatchStatusRequest>,
    ) -> Result<Response<Self::WatchStatusStream>, Status> {
        self.on(&r)
    }
    async fn get_desired(
        &self,
        r: Request<GetDesiredRequest>,
    ) -> Result<Response<GetDesiredResponse>, Status> {
        self.yes(&r)
    }
    async fn explain(
        &self,
        r: Request<ExplainRequest>,
    ) -> Result<Response<ExplainResponse>, Status> {
        // A call that takes a while, for those who ask about that.
        if let Some(millis) = r.get_ref().host.strip_prefix("sleep-") {
            tokio::time::sleep(Duration::from_millis(millis.parse().unwrap())).await;
        }
        self.yes(&r)
    }
    async fn check(&self, r: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        self.yes(&r)
    }
    async fn reconcile(
        &self,
        r: Request<ReconcileRequest>,
    ) -> Result<Response<NodeStatus>, Status> {
        self.yes(&r)
    }
    async fn rollback(
        &self,
        r: Request<RollbackRequest>,
    ) -> Result<Response<RollbackResponse>, Status> {
        self.yes(&r)
    }
    async fn list_generations(
        &self,
        r: Request<ListGenerationsRequest>,
    ) -> Result<Response<ListGenerationsResponse>, Status> {
        self.yes(&r)
    }
    async fn pause(&self, r: Request<PauseRequest>) -> Result<Response<PauseResponse>, Status> {
        self.yes(&r)
    }
    async fn resume(&self, r: Request<ResumeRequest>) -> Result<Response<ResumeResponse>, Status> {
        self.yes(&r)
    }
    async fn restart(
        &self,
        r: Request<RestartRequest>,
    ) -> Result<Response<RestartResponse>, Status> {
        self.yes(&r)
    }
    type HoldJobStream = On<HoldJobResponse>;
    async fn hold_job(
        &self,
        r: Request<HoldJobRequest>,
    ) -> Result<Response<Self::HoldJobStream>, Status> {
        self.on(&r)
    }
    async fn list_locks(
        &self,
        r: Request<ListLocksRequest>,
    ) -> Result<Response<ListLocksResponse>, Status> {
        self.yes(&r)
    }
    async fn unlock(&self, r: Request<UnlockRequest>) -> Result<Response<UnlockResponse>, Status> {
        self.yes(&r)
    }
    async fn resolve_attempts(
        &self,
        r: Request<ResolveAttemptsRequest>,
    ) -> Result<Response<ResolveAttemptsResponse>, Status> {
        self.yes(&r)
    }
}
