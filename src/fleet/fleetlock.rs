//! A client of the FleetLock protocol, for people who run airlock or poseidon/fleetlock.
//!
//! The protocol locks for a node and not for a reason, knows no end of a lock but its release, and
//! has no question that changes nothing. So a node that is asked about a claim asks for the lock
//! again, which whoever holds it is granted again; and the lock is released with the last claim.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

use self::answer::{Answered, freed, taken};
use super::node::Node;
use super::reach::{Reach, Secret, Speech};
use super::trouble::Trouble;
use super::{Claim, Outcome, Refused, Taken};
use crate::effect::chain;
use crate::settings::Address;

mod answer;

/// An error is one line; of a page of HTML nothing is needed.
const LARGEST_BODY: usize = 16 << 10;

const LOCK: &str = "v1/pre-reboot";
const UNLOCK: &str = "v1/steady-state";

#[derive(Debug)]
pub(super) struct Client {
    node: Node,
    group: String,
    base: Address,
    reach: Reach,
    limit: Duration,
    /// The claims that the node's one lock may be held for.
    held: Mutex<BTreeSet<String>>,
}

impl Client {
    pub(super) fn new(
        node: Node,
        group: String,
        base: Address,
        reach: Reach,
        limit: Duration,
    ) -> Self {
        Self { node, group, base, reach, limit, held: Mutex::default() }
    }

    pub(super) async fn take(&self, claim: &Claim) -> Taken {
        let mut held = self.held.lock().await;
        let is_new = held.insert(claim.id.clone());
        let taken = match self.ask(LOCK, &self.node.id).await {
            Ok(answered) => taken(&answered),
            Err(Trouble::Unavailable(why)) => Taken::Unavailable { why },
            Err(Trouble::Misconfigured(why)) => Taken::Misconfigured { why },
        };
        // Refused for certain, and by whom no other claim of this node can hold it either.
        if is_new && matches!(taken, Taken::Busy { .. }) {
            held.remove(&claim.id);
        }
        taken
    }

    pub(super) async fn free(&self, claim: &Claim, end: Outcome) -> Result<(), Refused> {
        let mut held = self.held.lock().await;
        // A node that is not well keeps its slot: it is all that stops the next from following it.
        // Whoever looks after it releases it with the server's own tools, or by another success.
        if end == Outcome::Failed {
            return Ok(());
        }
        if held.iter().any(|other| *other != claim.id) {
            held.remove(&claim.id);
            return Ok(());
        }
        self.release(&self.node.id)
            .await
            .map_err(|trouble| Refused { why: trouble.to_string() })?;
        held.remove(&claim.id);
        Ok(())
    }

    /// Releases the lock of any node, which the protocol lets anybody do.
    pub(super) async fn release(&self, node: &str) -> Result<(), Trouble> {
        freed(&self.ask(UNLOCK, node).await?)
    }

    async fn ask(&self, call: &str, node: &str) -> Result<Answered, Trouble> {
        let silent = || Trouble::Unavailable(format!("no answer within {:.1?}", self.limit));
        let answer = timeout(self.limit, self.exchange(call, node)).await;
        answer.unwrap_or_else(|_| Err(silent())).map_err(|trouble| trouble.about(&self.base))
    }

    async fn exchange(&self, call: &str, node: &str) -> Result<Answered, Trouble> {
        let request = self.request(call, node).await?;
        let wire = self.reach.connect(&self.base, Speech::Http1).await?;
        let handshake = http1::handshake(TokioIo::new(wire)).await;
        let (mut sender, connection) = handshake.map_err(|error| lost(&error))?;
        let talk = async {
            let response = sender.send_request(request).await.map_err(|error| lost(&error))?;
            let status = response.status();
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let is_page = header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
            let location = header(http::header::LOCATION).map(ToOwned::to_owned);
            // The status is the answer. A body that breaks off has told less of why, and no more.
            let body = Limited::new(response.into_body(), LARGEST_BODY).collect().await;
            let body = body.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
            Ok(Answered { status: status.as_u16(), is_page, location, body })
        };
        tokio::pin!(talk);
        tokio::select! {
            answered = &mut talk => answered,
            // What came before the connection's end is still to be read.
            _ = connection => talk.await,
        }
    }

    async fn request(&self, call: &str, node: &str) -> Result<Request<Full<Bytes>>, Trouble> {
        let body = serde_json::json!({ "client_params": { "id": node, "group": self.group } });
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{call}", self.base.path))
            .header(HOST, self.base.authority())
            // Without it a server refuses; with it whoever is redirected here by mistake does not
            // unlock anything.
            .header("fleet-lock-protocol", "true")
            .header(CONTENT_TYPE, "application/json");
        if let Some(secret) = self.reach.secret().await? {
            request = request.header(AUTHORIZATION, authorization(&secret)?);
        }
        let request = request.body(Full::new(Bytes::from(body.to_string())));
        request.map_err(|error| Trouble::Misconfigured(chain(&error)))
    }
}

fn authorization(secret: &Secret) -> Result<HeaderValue, Trouble> {
    let text = Zeroizing::new(match secret {
        Secret::Token(token) => format!("Bearer {}", token.as_str()),
        Secret::Password { username, password } => {
            let pair = Zeroizing::new(format!("{username}:{}", password.as_str()));
            format!("Basic {}", STANDARD.encode(pair.as_bytes()))
        }
    });
    let unusable = |_| Trouble::Misconfigured("the token cannot stand in a header".to_owned());
    let mut value = HeaderValue::from_str(&text).map_err(unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

fn lost(error: &hyper::Error) -> Trouble {
    Trouble::Unavailable(chain(error))
}
