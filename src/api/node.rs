//! The calls of the contract: convert, ask the agent, convert.

use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::access::Caller;
use super::errors::{self, Fails, Failure};
use super::v1::node_server::Node;
use super::{asked, declare, locks, present, v1, wait};
use crate::agent::{self, Handle, Unavailable};
use crate::blocking::blocking;
use crate::fleet::Lock;
use crate::identity::Role;
use crate::node::root::NodeRoot;
use crate::owners::{OwnerName, Owners};
use crate::pushed::Push;
use crate::reconcile::PinChange;
use crate::state;
use crate::status::{Job, NodeStatus};

/// The node as callers see it.
#[derive(Clone, Debug)]
pub struct Service {
    pub agent: Handle,
    pub root: Arc<NodeRoot>,
    /// Who may speak for which hosts; `None` while the settings cannot be read.
    pub owners: watch::Receiver<Option<Owners>>,
    /// The fleet's lock, if it has one.
    pub lock: Option<Arc<Lock>>,
    /// The clock.
    pub now: fn() -> Timestamp,
}

type Answer<T> = Result<Response<T>, Status>;
type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Node for Service {
    type WatchStatusStream = Streamed<v1::NodeStatus>;
    type HoldJobStream = Streamed<v1::HoldJobResponse>;

    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Answer<v1::ApplyResponse> {
        let owner = owner_of(&request)?;
        let request = request.into_inner();
        let declared = self.declared(&owner, &request.registries)?;
        let hosts: Vec<_> = declared.entries.iter().map(|entry| entry.host.clone()).collect();
        let push = Push::Replace {
            owner: owner.clone(),
            entries: declared.entries,
            expected: request.expected_revision,
            try_for: asked::trial(request.try_for.as_ref())?,
        };
        let status = self.run(|reply| agent::Request::Push { push, reply }).await?;
        let status = wait::until(&self.agent, status, &hosts, request.wait_for()).await?;
        let answer = present::applied(&status, &owner, &hosts, &declared.warnings);
        Ok(Response::new(answer))
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Answer<v1::PlanResponse> {
        let push = match &request.get_ref().proposed {
            None => None,
            Some(set) => Some(self.proposed(&request, set)?),
        };
        let survey = self.run(|reply| agent::Request::Plan { push, reply }).await?;
        let owners = self.owners.borrow().clone().unwrap_or_default();
        let status = NodeStatus::of(&survey, &owners, (self.now)());
        Ok(Response::new(present::plan(&survey, &status)))
    }

    async fn confirm(&self, request: Request<v1::ConfirmRequest>) -> Answer<v1::ConfirmResponse> {
        let owner = owner_of(&request)?;
        let push = Push::Confirm { owner, revision: request.get_ref().revision };
        self.run(|reply| agent::Request::Push { push, reply }).await?;
        Ok(Response::new(v1::ConfirmResponse {}))
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::NodeStatus> {
        Ok(Response::new(present::node_status(&self.agent.status.borrow())))
    }

    async fn watch_status(
        &self,
        _: Request<v1::WatchStatusRequest>,
    ) -> Answer<Self::WatchStatusStream> {
        // A watch holds the newest value only, so a reader that is slow delays nobody.
        let statuses = WatchStream::new(self.agent.status.clone());
        let statuses = statuses.map(|status| Ok(present::node_status(&status)));
        // It ends with the agent. Without a word a client could not tell that from a cut cable.
        let farewell = tokio_stream::once(Err(errors::unavailable(Unavailable::Ended)));
        Ok(Response::new(Box::pin(statuses.chain(farewell))))
    }

    async fn get_desired(
        &self,
        request: Request<v1::GetDesiredRequest>,
    ) -> Answer<v1::GetDesiredResponse> {
        let owner = owner_of(&request)?;
        let set = self.read(move |root| state::read_pushed(root, &owner)).await?;
        let set = set.map(|stored| stored.value);
        Ok(Response::new(v1::GetDesiredResponse {
            revision: set.as_ref().map_or(0, |set| set.revision),
            registries: set.as_ref().map(declare::registries).unwrap_or_default(),
        }))
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Answer<v1::ExplainResponse> {
        let host = asked::host("host", &request.get_ref().host)?;
        let survey = self.run(|reply| agent::Request::Plan { push: None, reply }).await?;
        let status = Arc::clone(&self.agent.status.borrow());
        Ok(Response::new(present::explained(&survey, &status, &host)))
    }

    async fn check(&self, request: Request<v1::CheckRequest>) -> Answer<v1::CheckResponse> {
        let hosts = asked::hosts(&request.get_ref().hosts)?;
        let meant = hosts.clone();
        let status = self.ask(|reply| agent::Request::Check { hosts, reply }).await?;
        Ok(Response::new(present::checked(&status, &meant)))
    }

    async fn reconcile(&self, _: Request<v1::ReconcileRequest>) -> Answer<v1::NodeStatus> {
        let status = self.run(|reply| agent::Request::Retry { reply }).await?;
        Ok(Response::new(present::node_status(&status)))
    }

    async fn rollback(
        &self,
        request: Request<v1::RollbackRequest>,
    ) -> Answer<v1::RollbackResponse> {
        let pin = asked::pin(request.get_ref(), (self.now)())?;
        if let PinChange::Set(pin) = &pin {
            let number = pin.generation;
            let known = self.read(move |root| state::read_generation(root, number)).await?;
            if known.is_none() && number != 0 {
                return Err(asked::unknown_generation(number));
            }
        }
        let status = self.run(|reply| agent::Request::Pin { pin, reply }).await?;
        Ok(Response::new(present::rolled_back(&status)))
    }

    async fn list_generations(
        &self,
        _: Request<v1::ListGenerationsRequest>,
    ) -> Answer<v1::ListGenerationsResponse> {
        let in_force = self.agent.status.borrow().generation;
        let generations = self.read(state::read_generations).await?;
        let generations = generations.values().rev();
        let generations = generations.map(|one| present::generation(&one.value, in_force));
        Ok(Response::new(v1::ListGenerationsResponse { generations: generations.collect() }))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answer<v1::PauseResponse> {
        let by = caller(&request)?.identity.to_string();
        let pause = Some(asked::pause(request.get_ref(), by, (self.now)())?);
        let status = self.run(|reply| agent::Request::Pause { pause, reply }).await?;
        let pause = status.pause.as_ref().map(present::pause);
        Ok(Response::new(v1::PauseResponse { pause }))
    }

    async fn resume(&self, _: Request<v1::ResumeRequest>) -> Answer<v1::ResumeResponse> {
        self.run(|reply| agent::Request::Pause { pause: None, reply }).await?;
        Ok(Response::new(v1::ResumeResponse {}))
    }

    async fn restart(&self, request: Request<v1::RestartRequest>) -> Answer<v1::RestartResponse> {
        let effects = asked::effects(&request.get_ref().effects, &self.agent.status.borrow())?;
        let mut answer = v1::RestartResponse::default();
        if request.get_ref().only_look {
            let seen = self.ask(|reply| agent::Request::Interrupts { effects, reply }).await?;
            answer.interruptions = seen.iter().map(present::interruption).collect();
        } else {
            let done = self.ask(|reply| agent::Request::Perform { effects, reply }).await?;
            answer.performed = done.iter().map(present::performed).collect();
        }
        Ok(Response::new(answer))
    }

    async fn hold_job(&self, request: Request<v1::HoldJobRequest>) -> Answer<Self::HoldJobStream> {
        let by = caller(&request)?.identity.to_string();
        let since = (self.now)();
        let job = Job { name: asked::job_name(&request.get_ref().name)?, by, since };
        let (mut hold, ended) = oneshot::channel();
        self.ask(|reply| agent::Request::Hold { job, ended, reply }).await?;
        let (sender, answers) = mpsc::channel(2);
        // There is room for two.
        _ = sender.try_send(Ok(v1::HoldJobResponse { since: Some(present::time(since)) }));
        tokio::spawn(async move {
            tokio::select! {
                // The client has gone, and the job with it.
                () = sender.closed() => {}
                // The agent has. A client that was not told would believe that its job is held.
                () = hold.closed() => {
                    _ = sender.try_send(Err(errors::unavailable(Unavailable::Ended)));
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }

    async fn list_locks(&self, _: Request<v1::ListLocksRequest>) -> Answer<v1::ListLocksResponse> {
        Ok(Response::new(locks::list(self.lock.as_ref()).await?))
    }

    async fn unlock(&self, request: Request<v1::UnlockRequest>) -> Answer<v1::UnlockResponse> {
        Ok(Response::new(locks::unlock(self.lock.as_ref(), &request.get_ref().node).await?))
    }

    async fn resolve_attempts(
        &self,
        request: Request<v1::ResolveAttemptsRequest>,
    ) -> Answer<v1::ResolveAttemptsResponse> {
        Ok(Response::new(locks::resolve(self.lock.as_ref(), &request.get_ref().node).await?))
    }
}

impl Service {
    fn declared(&self, owner: &OwnerName, registries: &[v1::Registry]) -> Fails<declare::Declared> {
        let declared = declare::entries(registries, (self.now)())
            .map_err(|violations| Failure::from(errors::wrong_declaration(violations)))?;
        let owners = self.owners.borrow().clone().unwrap_or_default();
        let hosts = declared.entries.iter().map(|entry| &entry.host);
        let others: Vec<_> = hosts.filter(|host| !owners.may_speak_for(owner, host)).collect();
        if others.is_empty() {
            Ok(declared)
        } else {
            Err(Failure::from(errors::not_your_host(owner, &others)))
        }
    }

    /// What is asked for here is told to nobody but its owner, so a reader may not ask.
    fn proposed(&self, request: &Request<v1::PlanRequest>, set: &v1::DesiredSet) -> Fails<Push> {
        let caller = caller(request)?;
        if caller.role < Role::Admin {
            return Err(Failure::from(asked::role_too_low(caller)));
        }
        let owner = owner_of(request)?;
        let entries = self.declared(&owner, &set.registries)?.entries;
        Ok(Push::Replace { owner, entries, expected: None, try_for: None })
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> agent::Request) -> Fails<T> {
        self.agent.ask(request).await.map_err(|error| Failure::from(errors::unavailable(error)))
    }

    async fn run<T>(&self, request: impl FnOnce(agent::Reply<T>) -> agent::Request) -> Fails<T> {
        self.ask(request).await?.map_err(|error| Failure::from(errors::of_run(&error)))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&NodeRoot) -> Result<T, state::StateError> + Send + 'static,
    ) -> Fails<T> {
        let root = Arc::clone(&self.root);
        blocking(move || read(&root)).await.map_err(|error| Failure::from(errors::of_state(&error)))
    }
}

fn caller<T>(request: &Request<T>) -> Fails<&Caller> {
    // The gate puts it there. Without it nobody has looked at who calls.
    request.extensions().get().ok_or_else(|| Failure::from(errors::bug("the caller is not known")))
}

fn owner_of<T>(request: &Request<T>) -> Fails<OwnerName> {
    let owner = caller(request)?.owner.clone();
    owner.ok_or_else(|| Failure::from(errors::no_owner()))
}
