//! What every request passes before a service sees it: who calls, whether it may, how much it sends,
//! and how long everything takes.
//!
//! The order is the point. The role is looked at before the first byte of the message, so that who
//! may not apply cannot make the node read what it would apply. The whole message is there before a
//! place among the calls in flight is taken, so that whoever sends slowly delays nobody.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, watch};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt as _;

use super::access::{Access, Caller, Rule, Shape, rule_of};
use super::crowd::Allowance;
use super::page::{self, Metrics};
use super::refusal;
use crate::identity::{Entrance, Identity};

/// For a request to arrive, and for a prompt call to be answered.
const PATIENCE: Duration = Duration::from_secs(30);
/// Calls that services work on at once, everybody's together.
pub(super) const CALLS: usize = 16;
/// Requests of one connection that arrive at once.
const ARRIVALS: usize = 4;
/// In front of each gRPC message: a flag and a length.
const FRAME: usize = 5;

/// What all connections share.
#[derive(Debug)]
pub(super) struct House {
    pub(super) routes: Routes,
    pub(super) metrics: Metrics,
    pub(super) access: watch::Receiver<Arc<Access>>,
    pub(super) calls: Arc<Semaphore>,
}

/// One connection's way to the services.
#[derive(Debug)]
pub(super) struct Gate {
    house: Arc<House>,
    identity: Identity,
    entrance: Entrance,
    allowance: Arc<Allowance>,
    arrivals: Semaphore,
}

impl Gate {
    pub(super) fn new(
        house: Arc<House>,
        identity: Identity,
        entrance: Entrance,
        allowance: Arc<Allowance>,
    ) -> Self {
        Self { house, identity, entrance, allowance, arrivals: Semaphore::new(ARRIVALS) }
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        if request.uri().path() == page::PATH {
            let read = self.read(request.method());
            return Ok(read.unwrap_or_else(|status| page::refused(&status)));
        }
        Ok(self.pass(request).await.unwrap_or_else(Status::into_http))
    }

    /// Made at once and small, so it takes no time from anybody; its readers count like others.
    fn read(&self, method: &Method) -> Result<Response<Body>, Status> {
        let rule = rule_of(page::PATH).ok_or_else(refusal::unknown_call)?;
        self.permit(rule)?;
        let mine = self.my_place(rule.shape)?;
        let page = self.house.metrics.answer(method);
        Ok(page.map(|body| Body::new(held(body, mine))))
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let rule = rule_of(request.uri().path()).ok_or_else(refusal::unknown_call)?;
        let caller = self.permit(rule)?;
        let largest = rule.largest.bytes(caller.role).saturating_add(FRAME);
        let until = deadline(rule, request.headers());
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(caller);
        let body = match rule.shape {
            Shape::Conversation => Body::new(body),
            Shape::Prompt | Shape::Waiting | Shape::Stream => {
                self.arrived(body, largest, Instant::now() + PATIENCE).await?
            }
        };
        let mine = self.my_place(rule.shape)?;
        let place = place(&self.house.calls, "too many calls at once on this node")?;
        let call = self.house.routes.clone().oneshot(Request::from_parts(parts, body));
        let response = match until {
            None => call.await,
            Some(until) => {
                timeout_at(until, call).await.map_err(|_| refusal::too_slow("the answer"))?
            }
        };
        // The work is done; an answer that is read slowly takes the reader's own places only.
        drop(place);
        let Ok(response) = response;
        Ok(response.map(|body| Body::new(held(body, mine))))
    }

    /// Asks again for every request: the settings may have changed since the connection was opened.
    fn permit(&self, rule: Rule) -> Result<Caller, Status> {
        let caller = self.house.access.borrow().of(&self.identity, self.entrance);
        let caller = caller.ok_or_else(|| refusal::stranger(&self.identity))?;
        if caller.role < rule.role {
            return Err(refusal::role_too_low(&self.identity, caller.role, rule));
        }
        Ok(caller)
    }

    /// The whole message.
    async fn arrived(
        &self,
        body: Incoming,
        largest: usize,
        until: Instant,
    ) -> Result<Body, Status> {
        let all = async {
            let _turn = self.arrivals.acquire().await;
            Limited::new(body, largest).collect().await
        };
        let all = timeout_at(until, all).await.map_err(|_| refusal::too_slow("the request"))?;
        let all = all.map_err(|error| {
            if error.is::<LengthLimitError>() {
                refusal::too_large(largest.saturating_sub(FRAME))
            } else {
                refusal::cut_off()
            }
        })?;
        Ok(Body::new(Full::new(all.to_bytes())))
    }

    fn my_place(&self, shape: Shape) -> Result<OwnedSemaphorePermit, Status> {
        let (places, why) = match shape {
            Shape::Prompt | Shape::Waiting => (&self.allowance.calls, "too many calls at once"),
            Shape::Stream | Shape::Conversation => {
                (&self.allowance.streams, "too many streams at once")
            }
        };
        place(places, why)
    }
}

/// Nobody waits for a place: whoever queues here would be answered later than it cares.
fn place(places: &Arc<Semaphore>, why: &str) -> Result<OwnedSemaphorePermit, Status> {
    Arc::clone(places).try_acquire_owned().map_err(|error| match error {
        TryAcquireError::NoPermits => refusal::busy(why),
        TryAcquireError::Closed => refusal::busy("shutting down"),
    })
}

/// When the call is given up: by our patience or by the client's, whichever is shorter.
fn deadline(rule: Rule, headers: &HeaderMap) -> Option<Instant> {
    let ours = (rule.shape == Shape::Prompt).then_some(PATIENCE);
    let theirs = headers.get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
    let shorter = ours.into_iter().chain(theirs).min()?;
    Instant::now().checked_add(shorter)
}

/// Reads `grpc-timeout`: at most eight digits and a unit. One that is malformed is no timeout.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "H" => seconds(3_600),
        "M" => seconds(60),
        "S" => seconds(1),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// The same body, with something that is let go when the last of it has been taken.
fn held(
    body: Body,
    place: OwnedSemaphorePermit,
) -> impl http_body::Body<Data = bytes::Bytes, Error = Status> + Send + 'static {
    body.map_frame(move |frame| {
        let _held = &place;
        frame
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_the_protocol_writes_it() {
        for (text, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("2M", Some(Duration::from_mins(2))),
            ("", None),
            ("S", None),
            ("1", None),
            ("-1S", None),
            ("1.5S", None),
            ("123456789S", None),
            ("1\u{e9}", None),
        ] {
            assert_eq!(timeout(text), expected, "{text}");
        }
    }
}
