//! What the rules say in favour of an entry.

use serde::Serialize;

use super::{Insecure, Pattern, Policy, Rules, State};
use crate::trust::entry::{Entry, Trust};
use crate::trust::findings::{At, Place};
use crate::trust::host::RegistryHost;
use crate::trust::problem::Location;

/// A rule that lets an entry pass, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permit {
    /// The key in the policy: `allow`, `insecure`.
    pub rule: &'static str,
    /// Where the rule stands.
    pub location: Location,
    pub message: String,
}

impl Policy {
    /// The rules that let `entry` pass, of those that could have refused it by name. Empty where
    /// there is none: what a policy does not mention is allowed.
    pub fn permits(&self, entry: &Entry) -> Vec<Permit> {
        let State::Rules(rules) = &self.0 else { return Vec::new() };
        let mut permits = Permits { rules, found: Vec::new() };
        permits.by_pattern("allow", rules.allow.as_ref(), &entry.host);
        permits.unverified(&entry.host, &entry.trust);
        for mirror in &entry.mirrors {
            match &rules.mirrors {
                Some(mirrors) => permits.by_pattern("mirrors", Some(mirrors), &mirror.host),
                None => permits.by_pattern("allow", rules.allow.as_ref(), &mirror.host),
            }
            permits.unverified(&mirror.host, &mirror.trust);
        }
        if let (true, Some(At { value: true, place })) = (entry.system_store, rules.system_store) {
            permits.add("system_store", place, "a CA may be trusted machine-wide".to_owned());
        }
        permits.found
    }
}

struct Permits<'a> {
    rules: &'a Rules,
    found: Vec<Permit>,
}

impl Permits<'_> {
    fn add(&mut self, rule: &'static str, place: Place, message: String) {
        let location = place.within(&self.rules.file);
        self.found.push(Permit { rule, location, message });
    }

    fn by_pattern(
        &mut self,
        rule: &'static str,
        patterns: Option<&At<Vec<Pattern>>>,
        host: &RegistryHost,
    ) {
        let Some(At { value: patterns, place }) = patterns else { return };
        if let Some(pattern) = patterns.iter().find(|pattern| pattern.matches(host)) {
            self.add(rule, *place, format!("`{host}` matches `{pattern}`"));
        }
    }

    fn unverified(&mut self, host: &RegistryHost, trust: &Trust) {
        let Some(At { value: insecure, place }) = &self.rules.insecure else { return };
        if !trust.is_unverified() {
            return;
        }
        match insecure {
            Insecure::Nobody => {}
            Insecure::Anyone => {
                self.add("insecure", *place, format!("`{host}` may go unverified, as any may"));
            }
            Insecure::Only(patterns) => {
                if let Some(pattern) = patterns.iter().find(|pattern| pattern.matches(host)) {
                    let message = format!("`{host}` may go unverified: it matches `{pattern}`");
                    self.add("insecure", *place, message);
                }
            }
        }
    }
}
