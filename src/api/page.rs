//! The one answer that is no gRPC: `GET /metrics`, for Prometheus and for people with curl.
//!
//! It passes the same gate as every call, and whoever may read the status may read it. Over TLS it
//! is HTTP/2, which Prometheus speaks there by itself; on the Unix sockets HTTP/1.1 is understood as
//! well, and nothing else in it than this.

use std::fmt;
use std::sync::Arc;

use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use tonic::body::Body;
use tonic::{Code, Status};

pub(super) const PATH: &str = "/metrics";
/// How a request for it begins in HTTP/1.1.
pub(super) const OPENING: &[u8] = b"GET /metrics ";

const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
const WORDS: &str = "text/plain; charset=utf-8";

/// Makes the page anew for each reader.
#[derive(Clone)]
pub struct Metrics(Arc<dyn Fn() -> String + Send + Sync>);

impl Metrics {
    pub fn new(make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn answer(&self, method: &Method) -> Response<Body> {
        if method != Method::GET {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, WORDS, "only GET\n".to_owned());
            refused.headers_mut().insert(ALLOW, http::HeaderValue::from_static("GET"));
            return refused;
        }
        text(StatusCode::OK, FORMAT, (self.0)())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// gRPC says its refusals beside HTTP's 200. Who scrapes would take that for an empty page, and
/// nothing is more silent than an alert on a metric that is not there.
pub(super) fn refused(status: &Status) -> Response<Body> {
    let code = match status.code() {
        Code::PermissionDenied | Code::Unauthenticated => StatusCode::FORBIDDEN,
        Code::Unavailable | Code::ResourceExhausted => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    text(code, WORDS, format!("{}\n", status.message()))
}

fn text(code: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let length = text.len();
    let mut response = Response::new(Body::new(Full::new(bytes::Bytes::from(text))));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
