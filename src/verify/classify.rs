//! From a runtime's own words to a verdict. Pure.
//!
//! All runtimes are written in Go and pass on what its library says, so one table does for all of
//! them. Its order matters: an error names its causes from the outside in, and what is said about
//! TLS counts for more than what is said about the answer.

use serde::Serialize;

/// What became of the question whether a runtime trusts a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Trusted,
    /// The connection is trusted; the registry wants a login, which is not regtrust's business.
    TrustedUnauthorised,
    UnknownAuthority,
    NameMismatch,
    Expired,
    /// The runtime spoke HTTPS to a server that speaks HTTP.
    HttpOnHttpsPort,
    /// The runtime spoke HTTP to a server that speaks HTTPS.
    HttpsOnHttpPort,
    /// The registry wants another client certificate, or the pair on the node is broken.
    ClientCertificate,
    Dns,
    Refused,
    Timeout,
    /// Something answers there that is no registry.
    NotARegistry,
    Other,
    /// The runtime itself could not be asked.
    NotAsked,
}

impl Verdict {
    /// Whether the runtime trusts the registry: what it asked for may be missing or forbidden, but
    /// TLS was in order, or was not asked for.
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::Trusted | Self::TrustedUnauthorised)
    }
}

/// The verdict on an error's words.
pub fn classify(words: &str) -> Verdict {
    let said = words.to_lowercase();
    // Go's servers, and most others, answer 400 to a request without TLS and say why in the body,
    // which a HEAD request has none of: this is all that containerd learns.
    if said.contains("request to http://") && said.contains("400 bad request") {
        return Verdict::HttpsOnHttpPort;
    }
    let found =
        TABLE.iter().find(|(phrases, _)| phrases.iter().any(|phrase| said.contains(phrase)));
    found.map_or(Verdict::Other, |(_, verdict)| *verdict)
}

/// In lower case; the first row of which a phrase is found counts.
const TABLE: &[(&[&str], Verdict)] = &[
    (&["server gave http response to https client"], Verdict::HttpOnHttpsPort),
    (&["does not look like a tls handshake", "oversized record"], Verdict::HttpOnHttpsPort),
    (&["http request to an https server"], Verdict::HttpsOnHttpPort),
    (&["plain http request was sent to https port"], Verdict::HttpsOnHttpPort),
    (&["certificate has expired or is not yet valid"], Verdict::Expired),
    (
        &[
            "certificate is valid for",
            "certificate is not valid for any names",
            "doesn't contain any ip sans",
            "relies on legacy common name field",
        ],
        Verdict::NameMismatch,
    ),
    (&["signed by unknown authority"], Verdict::UnknownAuthority),
    // From the registry, about the certificate that it was shown or missed.
    (
        &[
            "remote error: tls: bad certificate",
            "remote error: tls: certificate required",
            "remote error: tls: unknown certificate authority",
            "remote error: tls: unknown certificate",
            "remote error: tls: expired certificate",
            "remote error: tls: revoked certificate",
            "remote error: tls: handshake failure",
        ],
        Verdict::ClientCertificate,
    ),
    // From the runtime, about the pair on the node.
    (
        &[
            "for client certificate",
            "missing client certificate",
            "private key does not match public key",
            "failed to load x509 key pair",
        ],
        Verdict::ClientCertificate,
    ),
    // Asking for a name can time out or be refused, too.
    (&["dial tcp: lookup", "no such host", "server misbehaving"], Verdict::Dns),
    (&["tls handshake timeout", "i/o timeout"], Verdict::Timeout),
    (&["client.timeout exceeded", "deadline exceeded", "connection timed out"], Verdict::Timeout),
    (&["connection refused", "no route to host", "network is unreachable"], Verdict::Refused),
    (&["connection reset by peer"], Verdict::Refused),
    (
        &[
            "no basic auth credentials",
            "unauthorized",
            "authentication required",
            "access denied",
            "access to the resource is denied",
            "insufficient_scope",
            "403 forbidden",
            "may not login yet",
        ],
        Verdict::TrustedUnauthorised,
    ),
    // Such a registry is busy, and trusted.
    (&["toomanyrequests", "too many requests"], Verdict::Trusted),
    (&["manifest unknown", "name unknown", "repository name not known"], Verdict::Trusted),
    (
        &[
            "error parsing http",
            "unexpected status",
            // containerd 1.6 does not say whom it asked how.
            "failed with status code",
            "unexpected media type",
            "received unexpected http status",
            "unsupported content type",
            "malformed http",
            "page not found",
            // docker from 25 on passes on the body of any 404, and every web server has one.
            "<html",
            "<!doctype html",
        ],
        Verdict::NotARegistry,
    ),
    (&["not found"], Verdict::Trusted),
];

#[cfg(test)]
mod tests;
