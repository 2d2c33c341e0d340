//! The words are the runtimes' own, taken down from docker 20.10.24, 26.1.5 and 28.5.2 and from
//! containerd 1.6.20, 1.7.24 and 2.1.9 asking registries of every kind; where there are several,
//! one stands for each way of saying it. Those below `of_others` are from the field.

use super::*;

fn check(verdict: Verdict, words: &[&str]) {
    for words in words {
        assert_eq!(classify(words), verdict, "{words}");
    }
}

/// `CRI` stands for how each containerd begins.
const CRI: &[&str] = &[
    "failed to pull and unpack image \"r1.lab/regtrust/probe:1\": failed to resolve reference \
     \"r1.lab/regtrust/probe:1\": ",
    "failed to pull and unpack image \"r1.lab/regtrust/probe:1\": failed to resolve image: ",
];

fn check_cri(verdict: Verdict, words: &str) {
    for begin in CRI {
        check(verdict, &[&format!("{begin}{words}")]);
    }
}

const HEAD: &str = "failed to do request: Head \"https://r1.lab/v2/regtrust/probe/manifests/1\": ";

#[test]
fn a_registry_that_has_no_such_image_is_trusted() {
    check(Verdict::Trusted, &["manifest unknown: manifest unknown"]);
    check_cri(Verdict::Trusted, "r1.lab/regtrust/probe:1: not found");
}

#[test]
fn a_registry_that_wants_a_login_is_trusted() {
    check(
        Verdict::TrustedUnauthorised,
        &["Head \"https://r1.lab/v2/regtrust/probe/manifests/1\": no basic auth credentials"],
    );
    check_cri(
        Verdict::TrustedUnauthorised,
        "pulling from host r1.lab failed with status code [manifests 1]: 401 Unauthorized",
    );
    check_cri(
        Verdict::TrustedUnauthorised,
        "pull access denied, repository does not exist or may require authorization: authorization \
         failed: no basic auth credentials",
    );
}

#[test]
fn what_go_says_about_certificates_is_the_same_everywhere() {
    for (verdict, x509) in [
        (Verdict::UnknownAuthority, "certificate signed by unknown authority"),
        (
            Verdict::UnknownAuthority,
            "certificate signed by unknown authority (possibly because of \"crypto/rsa: \
             verification error\" while trying to verify candidate authority certificate \"x\")",
        ),
        (Verdict::NameMismatch, "certificate is valid for elsewhere.lab, not r1.lab"),
        (
            Verdict::NameMismatch,
            "certificate is not valid for any names, but wanted to match r1.lab",
        ),
        (
            Verdict::NameMismatch,
            "cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs",
        ),
        (Verdict::NameMismatch, "certificate relies on legacy Common Name field, use SANs instead"),
        (
            Verdict::Expired,
            "certificate has expired or is not yet valid: current time 2026-11-21T10:03:08Z is \
             after 2021-01-01T00:00:00Z",
        ),
    ] {
        for before in ["x509: ", "tls: failed to verify certificate: x509: "] {
            check(verdict, &[&format!("Get \"https://r1.lab/v2/\": {before}{x509}")]);
            check_cri(verdict, &format!("{HEAD}{before}{x509}"));
        }
    }
}

#[test]
fn a_client_certificate_that_is_missed_or_broken_is_named() {
    for words in ["remote error: tls: certificate required", "remote error: tls: bad certificate"] {
        check(Verdict::ClientCertificate, &[&format!("Get \"https://r1.lab/v2/\": {words}")]);
        check_cri(Verdict::ClientCertificate, &format!("{HEAD}{words}"));
    }
    check(
        Verdict::ClientCertificate,
        &[
            "missing key client.key for client certificate client.cert. CA certificates must use the \
           extension .crt",
        ],
    );
}

#[test]
fn http_and_https_the_wrong_way_round_are_told_apart() {
    const HTTP: &str = "http: server gave HTTP response to HTTPS client";
    check(Verdict::HttpOnHttpsPort, &[&format!("Get \"https://r1.lab:5080/v2/\": {HTTP}")]);
    check_cri(Verdict::HttpOnHttpsPort, &format!("{HEAD}{HTTP}"));
    check_cri(
        Verdict::HttpsOnHttpPort,
        "unexpected status from HEAD request to http://r8.lab:8443/v2/regtrust/probe/manifests/1: \
         400 Bad Request",
    );
    // The same over HTTPS is a server that wants something else, a client certificate for one.
    check_cri(
        Verdict::NotARegistry,
        "unexpected status from HEAD request to https://r8.lab/v2/regtrust/probe/manifests/1: 400 \
         Bad Request",
    );
}

#[test]
fn a_name_that_is_not_found_is_not_a_registry_that_refuses() {
    const LOOKUP: &str = "dial tcp: lookup no-such-name.invalid on [::1]:53: read udp \
        [::1]:38091->[::1]:53: read: connection refused";
    const REFUSED: &str = "dial tcp 10.99.0.1:443: connect: connection refused";
    check(Verdict::Dns, &[&format!("Get \"https://no-such-name.invalid/v2/\": {LOOKUP}")]);
    check_cri(Verdict::Dns, &format!("{HEAD}{LOOKUP}"));
    check(Verdict::Refused, &[&format!("Get \"https://r1.lab/v2/\": {REFUSED}")]);
    check_cri(Verdict::Refused, &format!("{HEAD}{REFUSED}"));
}

/// What people report, from docker, containerd, registries and what stands before them.
#[test]
fn of_others() {
    check(
        Verdict::TrustedUnauthorised,
        &[
            "unauthorized: authentication required",
            "denied: requested access to the resource is denied",
            "failed to authorize: failed to fetch anonymous token: unexpected status: 401 \
             Unauthorized",
            "pull access denied, repository does not exist or may require authorization: server \
             message: insufficient_scope: authorization failed",
            "unauthorized to access repository: a/b, action: pull",
            "denied: You may not login yet",
        ],
    );
    check(
        Verdict::Dns,
        &["dial tcp: lookup a.corp on 10.0.0.2:53: no such host", "lookup a: server misbehaving"],
    );
    check(
        Verdict::Timeout,
        &[
            "dial tcp 10.0.0.1:443: i/o timeout",
            "net/http: TLS handshake timeout",
            "net/http: request canceled while waiting for connection (Client.Timeout exceeded \
             while awaiting headers)",
            "context deadline exceeded",
        ],
    );
    check(Verdict::Refused, &["dial tcp 10.0.0.1:443: connect: no route to host"]);
    check(Verdict::HttpOnHttpsPort, &["tls: first record does not look like a TLS handshake"]);
    check(
        Verdict::HttpsOnHttpPort,
        &["error parsing HTTP 400 response body: invalid character 'C' looking for beginning of \
           value: \"Client sent an HTTP request to an HTTPS server.\\n\""],
    );
    check(
        Verdict::NotARegistry,
        &[
            "error parsing HTTP 403 response body: invalid character '<' looking for beginning of \
             value: \"<html>\"",
            "unknown: <HTML><HEAD><TITLE>404 Not Found</TITLE></HEAD>",
            "received unexpected HTTP status: 503 Service Unavailable",
        ],
    );
    check(Verdict::Trusted, &["toomanyrequests: You have reached your pull rate limit."]);
    check(Verdict::Other, &["", "something new", "x509: negative serial number"]);
}
