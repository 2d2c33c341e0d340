//! What to do about a verdict, in a sentence. Pure.

use super::classify::Verdict;
use crate::trust::entry::Runtime;
use crate::trust::host::RegistryHost;

/// Empty where there is nothing to do.
pub(super) fn cure(verdict: Verdict, host: &RegistryHost, runtime: Runtime, words: &str) -> String {
    if words.contains("proxyconnect") {
        return format!(
            "{runtime}'s own proxy does not work for `{host}`: name the registry in the NO_PROXY \
             of its unit, or mend the proxy"
        );
    }
    match verdict {
        Verdict::Trusted | Verdict::NotAsked => String::new(),
        Verdict::TrustedUnauthorised => {
            "nothing for regtrust: the connection is trusted; check the login or pull secret".into()
        }
        Verdict::UnknownAuthority => unknown_authority(host, words),
        Verdict::NameMismatch => name_mismatch(host, words),
        Verdict::Expired => expired(host, words),
        Verdict::HttpOnHttpsPort => format!(
            "`{host}` speaks plain HTTP: declare it with `trust = \"http\"`, or give it a \
             certificate"
        ),
        Verdict::HttpsOnHttpPort => format!(
            "`{host}` speaks HTTPS: declare it with `trust = \"ca\"` or `\"system\"` instead of \
             `\"http\"`"
        ),
        Verdict::ClientCertificate => format!(
            "`{host}` wants another client certificate: declare `client_cert` and `client_key` of \
             an authority that it accepts"
        ),
        Verdict::Dns => format!(
            "this node does not find the name `{}`: correct the name, or the node's DNS",
            host.name()
        ),
        Verdict::Refused => format!(
            "nothing answers at `{host}`: check that the registry runs, its port, and firewalls"
        ),
        Verdict::Timeout => format!(
            "`{host}` does not answer in time: check firewalls and routes, and whether its address \
             can be reached from this network"
        ),
        Verdict::NotARegistry if words.contains("400 Bad Request") => format!(
            "`{host}` does not understand the request: it may speak HTTPS where `trust = \"http\"` \
             is declared, or want a client certificate"
        ),
        Verdict::NotARegistry => format!(
            "`{host}` answers, but not as a registry: check the port, and what stands before it"
        ),
        Verdict::Other => format!("read what {runtime} says about `{host}`"),
    }
}

fn unknown_authority(host: &RegistryHost, words: &str) -> String {
    if words.contains("while trying to verify candidate authority certificate") {
        return format!(
            "the CA that is declared for `{host}` has the right name and another key: it was made \
             anew; declare the new one"
        );
    }
    format!(
        "declare the CA that issued the certificate of `{host}` with `trust = \"ca\"`; if it is, \
         the registry has to send its intermediate certificates along"
    )
}

fn name_mismatch(host: &RegistryHost, words: &str) -> String {
    let name = host.name();
    if words.contains("legacy Common Name") {
        return format!(
            "the certificate of `{host}` names it in its Common Name only, which counts no longer; \
             no CA mends that: issue one with `{name}` as a subject alternative name"
        );
    }
    if words.contains("ingress.local") || words.contains("traefik.default") {
        return format!(
            "an ingress answers for `{host}` with its default certificate: configure the registry's \
             certificate for the name `{name}` there"
        );
    }
    format!(
        "the certificate of `{host}` is for other names: use one of them, or issue one for `{name}`"
    )
}

fn expired(host: &RegistryHost, words: &str) -> String {
    if words.contains(" is before ") {
        return format!(
            "the certificate of `{host}` is not valid yet: check this node's clock, then the \
             certificate"
        );
    }
    format!("a certificate of `{host}`, or its CA, has ended: renew it; check this node's clock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_that_wants_something_done_says_what() {
        let host: RegistryHost = "a.corp:5000".parse().unwrap();
        let cure = |verdict, words| cure(verdict, &host, Runtime::Docker, words);
        assert_eq!(cure(Verdict::Trusted, ""), "");
        assert!(cure(Verdict::Dns, "").contains("`a.corp`"), "a name has no port");
        assert!(cure(Verdict::Expired, "now is before 2030").contains("not valid yet"));
        assert!(cure(Verdict::Refused, "proxyconnect tcp: refused").contains("NO_PROXY"));
        let candidate = "while trying to verify candidate authority certificate \"x\"";
        assert!(cure(Verdict::UnknownAuthority, candidate).contains("another key"));
        assert!(cure(Verdict::NotARegistry, "x: 400 Bad Request").contains("speak HTTPS"));
        assert!(cure(Verdict::NameMismatch, "legacy Common Name field").contains("no CA mends"));
    }
}
