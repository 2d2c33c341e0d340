//! From text to rules, all of them or none.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::{Constrained, Insecure, Need, Pattern, Policy, RestartLimit, Rules, State};
use crate::content::Sha256Hex;
use crate::trust::findings::{At, Findings, Quoted};
use crate::trust::problem::Problem;
use crate::trust::toml_reader::{Field, Fields, Source, word};

const KEYS: [&str; 11] = [
    "allow",
    "deny",
    "mirrors",
    "insecure",
    "insecure_needs",
    "max_lifetime",
    "system_store",
    "ca_spki_sha256",
    "min_rsa_bits",
    "name_constraints",
    "restart",
];

const NEEDS: [(&str, Need); 2] = [("until", Need::Until), ("reason", Need::Reason)];
const CONSTRAINED: [(&str, Constrained); 3] = [
    ("never", Constrained::Nobody),
    ("system-store", Constrained::SystemStore),
    ("always", Constrained::Everybody),
];
const RESTART: [(&str, RestartLimit); 3] = [
    ("allowed", RestartLimit::Allowed),
    ("reload-only", RestartLimit::ReloadOnly),
    ("never", RestartLimit::Never),
];

/// Understands the text of a policy file.
///
/// # Errors
/// With every problem. There are no warnings: what is not understood is refused.
pub fn parse_policy(text: &str, file: &str) -> Result<Policy, Vec<Problem>> {
    let mut findings = Findings::new(file);
    let rules = Source::parse(text, &mut findings)
        .map(|source| Rules { file: file.to_owned(), ..rules(&source.fields(), &mut findings) });
    match rules {
        Some(rules) if findings.first_error().is_none() => {
            Ok(Policy(State::Rules(Box::new(rules))))
        }
        _ => Err(findings.into_problems(None)),
    }
}

fn rules(fields: &Fields<'_>, findings: &mut Findings) -> Rules {
    fields.refuse_unknown(&KEYS, findings);
    Rules {
        file: String::new(),
        allow: given(patterns(fields, "allow", findings)),
        deny: given(patterns(fields, "deny", findings)),
        mirrors: given(patterns(fields, "mirrors", findings)),
        insecure: given(insecure(fields, findings)),
        insecure_needs: given(needs(fields, findings)),
        max_lifetime: given(max_lifetime(fields, findings)),
        system_store: given(fields.boolean("system_store", findings)),
        ca_spki_sha256: given(spki(fields, findings)),
        min_rsa_bits: given(min_rsa_bits(fields, findings)),
        name_constraints: given(one_word(fields, "name_constraints", &CONSTRAINED, findings)),
        restart: given(one_word(fields, "restart", &RESTART, findings)).map(|at| at.value),
    }
}

/// A bad field is no rule, which is right only because its error is in `findings` already.
fn given<T>(field: Field<T>) -> Option<At<T>> {
    match field {
        Field::Given(at) => Some(at),
        Field::Absent | Field::Bad => None,
    }
}

fn one_word<T: Copy>(
    fields: &Fields<'_>,
    key: &str,
    words: &[(&str, T)],
    findings: &mut Findings,
) -> Field<T> {
    fields.string(key, findings).and_then(|at| word(at, key, words, findings))
}

/// Reads each element of a list, so that one bad element does not hide the next.
fn list<T>(
    fields: &Fields<'_>,
    key: &str,
    findings: &mut Findings,
    mut read: impl FnMut(At<&str>, &mut Findings) -> Option<T>,
) -> Field<Vec<T>> {
    fields.strings(key, findings).and_then(|At { value: list, place }| {
        let read: Vec<Option<T>> = list.into_iter().map(|at| read(at, findings)).collect();
        Some(At { value: read.into_iter().collect::<Option<_>>()?, place })
    })
}

fn patterns(fields: &Fields<'_>, key: &str, findings: &mut Findings) -> Field<Vec<Pattern>> {
    list(fields, key, findings, |at, findings| {
        let report = |error: super::pattern::PatternError| {
            *findings.error(at.place, key, error.message) = Some(error.cure);
        };
        Pattern::parse(at.value).map_err(report).ok()
    })
}

fn insecure(fields: &Fields<'_>, findings: &mut Findings) -> Field<Insecure> {
    let key = "insecure";
    match fields.type_name(key) {
        Some("array") => patterns(fields, key, findings).map(Insecure::Only),
        Some("boolean") | None => fields
            .boolean(key, findings)
            .map(|anyone| if anyone { Insecure::Anyone } else { Insecure::Nobody }),
        Some(found) => {
            let place = fields.key(key).unwrap_or(fields.place());
            let message = format!("expected `true`, `false` or a list of hosts, found: {found}");
            findings.error(place, key, message);
            Field::Bad
        }
    }
}

fn needs(fields: &Fields<'_>, findings: &mut Findings) -> Field<BTreeSet<Need>> {
    let key = "insecure_needs";
    let needs = list(fields, key, findings, |at, findings| word(at, key, &NEEDS, findings));
    needs.map(|needs| needs.into_iter().map(|at| at.value).collect())
}

fn max_lifetime(fields: &Fields<'_>, findings: &mut Findings) -> Field<SignedDuration> {
    fields.string("max_lifetime", findings).and_then(|At { value, place }| {
        let span: Option<Span> = value.parse().ok();
        // A month is no length of time, so it has none here.
        let length =
            span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        let length = length.filter(SignedDuration::is_positive);
        if length.is_none() {
            let message = format!("{} is no length of time", Quoted(value));
            *findings.error(place, "max_lifetime", message) =
                Some("write it in weeks, days or hours, such as \"90d\"".to_owned());
        }
        length.map(|value| At { value, place })
    })
}

fn spki(fields: &Fields<'_>, findings: &mut Findings) -> Field<BTreeSet<Sha256Hex>> {
    let key = "ca_spki_sha256";
    let pins = list(fields, key, findings, |at, findings| {
        let plain = at.value.replace(':', "").to_ascii_lowercase();
        let report = |error: crate::content::DigestError| {
            *findings.error(at.place, key, format!("{}: {error}", Quoted(at.value))) =
                Some("the SHA-256 of the CA's public key, as `explain` shows it".to_owned());
        };
        plain.parse().map_err(report).ok()
    });
    pins.map(|pins| pins.into_iter().collect())
}

fn min_rsa_bits(fields: &Fields<'_>, findings: &mut Findings) -> Field<usize> {
    fields.integer("min_rsa_bits", findings).and_then(|At { value, place }| {
        let bits = usize::try_from(value).ok().filter(|bits| (1024..=16_384).contains(bits));
        if bits.is_none() {
            *findings.error(place, "min_rsa_bits", format!("{value} is no length of an RSA key")) =
                Some("write one from 1024 to 16384, such as 3072".to_owned());
        }
        bits.map(|value| At { value, place })
    })
}
