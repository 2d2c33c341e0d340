//! Tells when something begins that a restart would interrupt.

use std::sync::Arc;

use http::uri::PathAndQuery;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::docker::{Engine, Events};
use super::grpc;
use crate::effect::bus::{Bus, Standing};
use crate::effect::chain;
use crate::node::root::NodeRoot;
use crate::trust::entry::Runtime;

/// How far dockerd looks back: it answers before it has begun to listen to itself.
const BEFORE: SignedDuration = SignedDuration::from_secs(1);

/// A subscription, which says "look again" and never what has changed.
///
/// It begins before whoever has it looks, or what happens between the look and the subscription
/// would be missed. It is a help and no promise: of commands in containers, of builds and of pulls
/// nobody tells, so look all the same.
#[derive(Debug)]
pub struct Changes {
    /// How often.
    told: Receiver<u64>,
    tell: Sender<u64>,
    listening: JoinSet<()>,
}

/// Whether nothing has begun since a certain moment.
#[derive(Clone, Debug, Default)]
pub struct Calm(Option<(Receiver<u64>, u64)>);

impl Calm {
    /// Always, where nobody listens.
    pub fn holds(&self) -> bool {
        self.0.as_ref().is_none_or(|(told, then)| *told.borrow() == *then)
    }
}

impl Changes {
    /// Where nobody tells.
    pub fn untold() -> Self {
        let (tell, told) = watch::channel(0);
        Self { told, tell, listening: JoinSet::new() }
    }

    /// Waits until something has begun. `false`: a runtime that was listened to has ended, and with
    /// it what it could have told.
    pub async fn next(&mut self) -> bool {
        tokio::select! {
            told = self.told.changed() => told.is_ok(),
            Some(_) = self.listening.join_next() => false,
        }
    }

    /// Holds until something begins after this moment.
    pub fn calm(&self) -> Calm {
        let then = *self.told.borrow();
        Calm(Some((self.told.clone(), then)))
    }

    fn listen(&mut self, to: impl Future<Output = ()> + Send + 'static) {
        let tell = self.tell.clone();
        self.listening.spawn(async move {
            to.await;
            // Of what begins from now on nobody hears.
            say(&tell);
        });
    }
}

/// Listens to the runtimes that run.
///
/// # Errors
/// If one of them cannot be listened to, in words for an operator.
pub async fn changes(root: &Arc<NodeRoot>, now: Timestamp) -> Result<Changes, String> {
    let mut changes = Changes::untold();
    let bus = Bus::connect(root).await.map_err(|error| chain(&error))?;
    for runtime in [Runtime::Docker, Runtime::Containerd] {
        let standing = bus.standing(runtime).await.map_err(|error| chain(&error))?;
        // Without the evidence a connection would start a docker that an operator stopped.
        let Standing::Active(active) = standing else { continue };
        let tell = changes.tell.clone();
        if let Some(engine) = Engine::of(root, &active) {
            let since = now.checked_sub(BEFORE).unwrap_or(now);
            let events = engine.beginnings(since).await.map_err(|error| chain(&error))?;
            changes.listen(of_docker(events, tell));
        } else {
            let channel = grpc::connect(root).await.map_err(|error| chain(&error))?;
            changes.listen(of_containerd(channel, tell));
        }
    }
    Ok(changes)
}

fn say(tell: &Sender<u64>) {
    tell.send_modify(|times| *times = times.wrapping_add(1));
}

async fn of_docker(mut events: Events, tell: Sender<u64>) {
    while events.next().await {
        say(&tell);
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct SubscribeRequest {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

/// containerd's own events and not CRI's: 1.6 has no `GetContainerEvents`.
///
/// Not the commands in containers: kubelet's probes are such, by the second.
const TOPICS: [&str; 2] = ["/containers/create", "/tasks/start"];

/// containerd does not answer before it has something to tell, so this cannot say when it listens.
async fn of_containerd(channel: Channel, tell: Sender<u64>) {
    const METHOD: &str = "/containerd.services.events.v1.Events/Subscribe";
    let mut client = Grpc::new(channel);
    if client.ready().await.is_err() {
        return;
    }
    // An event that fits one of them is told, and nothing in it is read.
    let filters = TOPICS.map(|topic| format!("topic==\"{topic}\"")).to_vec();
    let request = tonic::Request::new(SubscribeRequest { filters });
    let codec = ProstCodec::<SubscribeRequest, ()>::default();
    let path = PathAndQuery::from_static(METHOD);
    let Ok(answer) = client.server_streaming(request, path, codec).await else { return };
    let mut events = answer.into_inner();
    while let Ok(Some(())) = events.message().await {
        say(&tell);
    }
}
