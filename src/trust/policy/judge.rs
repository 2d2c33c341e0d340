//! What the rules say to an entry.

use jiff::Timestamp;

use super::{Constrained, Insecure, Need, Pattern, Refusal, Rules};
use crate::trust::certificate::{CaBundle, CaCertificate};
use crate::trust::entry::{Entry, Trust};
use crate::trust::findings::{At, Place};
use crate::trust::host::RegistryHost;

pub(super) fn refusals(rules: &Rules, entry: &Entry, now: Timestamp) -> Vec<Refusal> {
    let mut judge = Judge { rules, refusals: Vec::new() };
    judge.registry(&entry.host);
    judge.insecure(&entry.host, &entry.trust);
    judge.certificates(&entry.host, &entry.trust, entry.system_store);
    for mirror in &entry.mirrors {
        judge.mirror(&mirror.host);
        judge.insecure(&mirror.host, &mirror.trust);
        judge.certificates(&mirror.host, &mirror.trust, false);
    }
    judge.exception(entry, now);
    judge.system_store(entry);
    judge.refusals
}

struct Judge<'a> {
    rules: &'a Rules,
    refusals: Vec<Refusal>,
}

fn any(patterns: &[Pattern], host: &RegistryHost) -> bool {
    patterns.iter().any(|pattern| pattern.matches(host))
}

impl<'a> Judge<'a> {
    fn refuse(&mut self, rule: &'static str, place: Place, message: String, cure: String) {
        let location = place.within(&self.rules.file);
        self.refusals.push(Refusal { rule, location, message, cure: Some(cure) });
    }

    fn registry(&mut self, host: &RegistryHost) {
        self.denied(host);
        if let Some(At { value: allowed, place }) = &self.rules.allow
            && !any(allowed, host)
        {
            let message = format!("`{host}` matches nothing in `allow`");
            self.refuse("allow", *place, message, format!("add `{host}` to `allow`"));
        }
    }

    /// A mirror serves the images of an allowed registry under its name, so leaving mirrors open
    /// would open what `allow` closes.
    fn mirror(&mut self, host: &RegistryHost) {
        self.denied(host);
        let rule = match (&self.rules.mirrors, &self.rules.allow) {
            (Some(mirrors), _) => Some(("mirrors", mirrors)),
            (None, Some(allow)) => Some(("allow", allow)),
            (None, None) => None,
        };
        if let Some((rule, At { value: allowed, place })) = rule
            && !any(allowed, host)
        {
            let message = format!("the mirror `{host}` matches nothing in `{rule}`");
            self.refuse(rule, *place, message, format!("add `{host}` to `mirrors`"));
        }
    }

    fn denied(&mut self, host: &RegistryHost) {
        let Some(At { value: denied, place }) = &self.rules.deny else { return };
        if let Some(pattern) = denied.iter().find(|pattern| pattern.covers(host)) {
            let message = format!("`{host}` matches `{pattern}` in `deny`");
            self.refuse("deny", *place, message, "use another registry".to_owned());
        }
    }

    fn insecure(&mut self, host: &RegistryHost, trust: &Trust) {
        let Some(At { value: insecure, place }) = &self.rules.insecure else { return };
        let allowed = match insecure {
            Insecure::Anyone => true,
            Insecure::Nobody => false,
            Insecure::Only(hosts) => any(hosts, host),
        };
        if trust.is_unverified() && !allowed {
            let word = trust.word();
            let message = format!("`{host}` may not be unverified (`trust = \"{word}\"`)");
            let cure = format!("use \"ca\" or \"system\", or add `{host}` to `insecure`");
            self.refuse("insecure", *place, message, cure);
        }
    }

    /// What an entry needs that lets anything go unverified, be it only a mirror.
    fn exception(&mut self, entry: &Entry, now: Timestamp) {
        let unverified = |trust: &Trust| trust.is_unverified();
        let is_exception = unverified(&entry.trust)
            || entry.mirrors.iter().any(|mirror| unverified(&mirror.trust));
        if !is_exception {
            return;
        }
        if let Some(At { value: needs, place }) = &self.rules.insecure_needs {
            let missing = |need: &Need| match need {
                Need::Until => entry.until.is_none().then_some("until"),
                Need::Reason => entry.reason.is_none().then_some("reason"),
            };
            for key in needs.iter().filter_map(missing) {
                let message = format!("an entry that is not verified needs `{key}`");
                self.refuse("insecure_needs", *place, message, format!("add `{key}`"));
            }
        }
        self.lifetime(entry, now);
    }

    fn lifetime(&mut self, entry: &Entry, now: Timestamp) {
        let Some(At { value: longest, place }) = self.rules.max_lifetime else { return };
        // Without an end it is longer than anything.
        if entry.until.is_some_and(|until| until.duration_since(now) <= longest) {
            return;
        }
        let message = match entry.until {
            Some(until) => format!("an entry that is not verified until {until} lasts too long"),
            None => "an entry that is not verified has no end".to_owned(),
        };
        // A time that is too large to count lies in no year that a declaration can name.
        let latest = now.checked_add(longest).unwrap_or(Timestamp::MAX);
        let cure = format!("set `until` to {latest:.0} or before");
        self.refuse("max_lifetime", place, message, cure);
    }

    fn system_store(&mut self, entry: &Entry) {
        if let (true, Some(At { value: false, place })) =
            (entry.system_store, self.rules.system_store)
        {
            let message = "no CA may be trusted by the whole machine".to_owned();
            self.refuse("system_store", place, message, "remove `system_store`".to_owned());
        }
    }

    /// Every certificate of a bundle is a root of its own, so one that passes helps no other.
    fn certificates(&mut self, host: &RegistryHost, trust: &'a Trust, system_store: bool) {
        for certificate in trust.ca().map(CaBundle::certificates).unwrap_or_default() {
            let name = format!("the CA `{}` of `{host}`", certificate.subject);
            self.pinned(&name, certificate);
            self.rsa_bits(&name, certificate);
            self.constrained(&name, certificate, system_store);
        }
    }

    fn pinned(&mut self, name: &str, certificate: &CaCertificate) {
        let Some(At { value: pins, place }) = &self.rules.ca_spki_sha256 else { return };
        if !pins.contains(&certificate.spki) {
            let message = format!("{name} has a key that is not in `ca_spki_sha256`");
            let cure = format!("add \"{}\", if that is the key you expect", certificate.spki);
            self.refuse("ca_spki_sha256", *place, message, cure);
        }
    }

    fn rsa_bits(&mut self, name: &str, certificate: &CaCertificate) {
        let Some(At { value: least, place }) = self.rules.min_rsa_bits else { return };
        if let Some(bits) = certificate.rsa_bits.filter(|bits| *bits < least) {
            let message = format!("{name} has an RSA key of {bits} bits, fewer than {least}");
            self.refuse("min_rsa_bits", place, message, "use a CA with a longer key".to_owned());
        }
    }

    /// A server's own certificate stands for its own names only, so it needs no constraint.
    fn constrained(&mut self, name: &str, certificate: &CaCertificate, system_store: bool) {
        let Some(At { value: constrained, place }) = self.rules.name_constraints else { return };
        let needed = match constrained {
            Constrained::Nobody => false,
            Constrained::SystemStore => system_store,
            Constrained::Everybody => true,
        };
        if needed && certificate.is_authority && !certificate.has_name_constraints {
            let message = format!("{name} could vouch for any name: it has no name constraints");
            self.refuse("name_constraints", place, message, "use a constrained CA".to_owned());
        }
    }
}
