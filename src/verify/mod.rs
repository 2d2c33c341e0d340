//! Proof: the runtimes themselves are asked whether they trust a registry, and their answers are
//! explained.

pub mod ask;
pub mod classify;
mod cure;
mod words;

use jiff::Timestamp;

pub use classify::Verdict;

use crate::trust::host::RegistryHost;

/// What a runtime answered, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    pub verdict: Verdict,
    /// Its own words, shortened, without credentials.
    pub said: String,
    /// What to do about it; empty where there is nothing to do.
    pub cure: String,
    pub at: Timestamp,
}

impl Proof {
    /// The same answer where the runtime asks by HTTPS first and by HTTP next, which is how an insecure
    /// registry is put to containerd. It tells of the first way that failed and not of the one that did
    /// not, and "no such image" is no failure to it:
    ///
    /// - of HTTP: then HTTPS found the registry, and only the image was missing;
    /// - that HTTP was spoken to HTTPS: then HTTP is what is spoken there, and comes next.
    #[must_use]
    pub fn with_http_next(self, host: &RegistryHost) -> Self {
        let is_about_http = self.said.contains(&format!("\"http://{host}/"));
        if is_about_http || self.verdict == Verdict::HttpOnHttpsPort {
            Self { verdict: Verdict::Trusted, cure: String::new(), ..self }
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(said: &str, verdict: Verdict) -> Verdict {
        let host: RegistryHost = "a.corp:5000".parse().unwrap();
        let (said, cure) = (said.to_owned(), String::new());
        Proof { verdict, said, cure, at: Timestamp::UNIX_EPOCH }.with_http_next(&host).verdict
    }

    #[test]
    fn of_two_ways_only_the_failure_of_the_first_is_one() {
        let http = "failed to do request: Head \"http://a.corp:5000/v2/r/p/manifests/1\": EOF";
        assert_eq!(verdict(http, Verdict::Refused), Verdict::Trusted);
        let https = "failed to do request: Head \"https://a.corp:5000/v2/r/p/manifests/1\": ";
        let plain = format!("{https}http: server gave HTTP response to HTTPS client");
        assert_eq!(verdict(&plain, Verdict::HttpOnHttpsPort), Verdict::Trusted);
        let refused = format!("{https}dial tcp: connect: connection refused");
        assert_eq!(verdict(&refused, Verdict::Refused), Verdict::Refused);
        let other = "Get \"http://a.corp:5000.evil/token\": EOF";
        assert_eq!(verdict(other, Verdict::Other), Verdict::Other);
    }
}
