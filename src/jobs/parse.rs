//! From text to rules, all of them or none.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Span, SpanRelativeTo};

use super::rules::{Class, On, Pattern, Rule, Rules, Unlabelled};
use super::selector::Selector;
use crate::trust::findings::{At, Findings, Quoted};
use crate::trust::problem::Problem;
use crate::trust::toml_reader::{Field, Fields, Source, closest, word};

/// The rules that everybody has, in the words in which anybody can write more.
const BUILT_IN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/etc/regtrust/jobs.toml.example"));

pub(super) const KEYS: [&str; 7] = [
    "unlabelled",
    "unlabelled_age",
    "containerd_allow_detached",
    "sidecars",
    "disable",
    "rule",
    "ignore",
];
pub(super) const RULE_KEYS: [&str; 7] =
    ["name", "on", "labels", "annotations", "name_prefix", "class", "job_name"];
pub(super) const IGNORE_KEYS: [&str; 4] = ["on", "labels", "annotations", "name_prefix"];

const ON: [(&str, On); 2] = [("pod", On::Pod), ("container", On::Container)];
const CLASSES: [(&str, Class); 3] =
    [("attached", Class::Attached), ("detached", Class::Detached), ("sensitive", Class::Sensitive)];

#[derive(Clone, Copy)]
enum Policy {
    ByRestart,
    Busy,
    Ignore,
    Younger,
}

const POLICIES: [(&str, Policy); 4] = [
    ("by-restart", Policy::ByRestart),
    ("busy", Policy::Busy),
    ("ignore", Policy::Ignore),
    ("busy-if-younger-than", Policy::Younger),
];

/// What one file says; what it does not say is left to the built-in rules.
#[derive(Default)]
struct Said {
    rules: Vec<At<Rule>>,
    ignored: Vec<Pattern>,
    unlabelled: Option<Unlabelled>,
    containerd_allow_detached: Option<bool>,
    sidecars: Option<BTreeSet<String>>,
    disabled: Vec<At<String>>,
}

/// The built-in rules with what a node's own file says, if there is one.
///
/// # Errors
/// With every problem. Half of the rules would call a job idle that the other half knows.
pub fn parse_rules(own: Option<&str>, file: &str) -> Result<Rules, Vec<Problem>> {
    let built_in = read(BUILT_IN, "the built-in rules", |_, _| ())?;
    let own = match own {
        Some(text) => read(text, file, |said, findings| check_names(said, &built_in, findings))?,
        None => Said::default(),
    };
    let is_replaced = |rule: &Rule| {
        let mut replacing = own.rules.iter().map(|at| &at.value);
        replacing.any(|own| own.name == rule.name && own.pattern.on == rule.pattern.on)
            || own.disabled.iter().any(|name| name.value == rule.name)
    };
    let kept = built_in.rules.into_iter().map(|at| at.value).filter(|rule| !is_replaced(rule));
    let kept: Vec<Rule> = kept.collect();
    let ignored = built_in.ignored.into_iter().filter(|one| !own.ignored.contains(one));
    let ignored: Vec<Pattern> = ignored.collect();
    Ok(Rules {
        known: own.rules.iter().map(|at| at.value.clone()).chain(kept).collect(),
        ignored: own.ignored.into_iter().chain(ignored).collect(),
        unlabelled: own.unlabelled.or(built_in.unlabelled).unwrap_or_default(),
        containerd_allow_detached: own
            .containerd_allow_detached
            .or(built_in.containerd_allow_detached)
            .unwrap_or_default(),
        sidecars: own.sidecars.or(built_in.sidecars).unwrap_or_default(),
    })
}

/// A rule that is to be disabled and does not exist is one that still counts under another name.
fn check_names(own: &Said, built_in: &Said, findings: &mut Findings) {
    let known: Vec<&str> = built_in.rules.iter().map(|at| at.value.name.as_str()).collect();
    let lower: Vec<String> = known.iter().map(|name| name.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    for name in own.disabled.iter().filter(|name| !known.contains(&name.value.as_str())) {
        let message = format!("there is no built-in rule {}", Quoted(&name.value));
        let meant = closest(&name.value, &lower);
        let meant = known.iter().find(|known| meant == Some(known.to_lowercase().as_str()));
        *findings.error(name.place, "disable", message) =
            meant.map(|meant| format!("did you mean `{meant}`?"));
    }
}

fn read(
    text: &str,
    file: &str,
    check: impl FnOnce(&Said, &mut Findings),
) -> Result<Said, Vec<Problem>> {
    let mut findings = Findings::new(file);
    let said =
        Source::parse(text, &mut findings).map(|source| said(&source.fields(), &mut findings));
    if let Some(said) = &said {
        check(said, &mut findings);
    }
    match said {
        Some(said) if findings.first_error().is_none() => Ok(said),
        _ => Err(findings.into_problems(None)),
    }
}

/// What is bad is left out, which is right only because its error is in `findings` already and
/// nothing of the file will be used.
fn said(fields: &Fields<'_>, findings: &mut Findings) -> Said {
    fields.refuse_unknown(&KEYS, findings);
    let mut said = Said {
        unlabelled: unlabelled(fields, findings),
        containerd_allow_detached: fields
            .boolean("containerd_allow_detached", findings)
            .value()
            .copied(),
        ..Said::default()
    };
    let owned = |at: &At<&str>| At { value: at.value.to_owned(), place: at.place };
    if let Field::Given(names) = fields.strings("sidecars", findings) {
        said.sidecars = Some(names.value.iter().map(|at| at.value.to_owned()).collect());
    }
    if let Field::Given(names) = fields.strings("disable", findings) {
        said.disabled = names.value.iter().map(owned).collect();
    }
    if let Field::Given(tables) = fields.tables("rule", "rule", "rule.", findings) {
        for table in tables.value {
            if let Some(rule) = rule(&table, &said.rules, findings) {
                said.rules.push(At { value: rule, place: table.place() });
            }
        }
    }
    if let Field::Given(tables) = fields.tables("ignore", "ignore", "ignore.", findings) {
        for table in tables.value {
            table.refuse_unknown(&IGNORE_KEYS, findings);
            said.ignored.extend(pattern(&table, findings));
        }
    }
    said
}

fn unlabelled(fields: &Fields<'_>, findings: &mut Findings) -> Option<Unlabelled> {
    let age = fields.string("unlabelled_age", findings).and_then(|at| duration(at, findings));
    let policy = fields
        .string("unlabelled", findings)
        .and_then(|at| word(at, "unlabelled", &POLICIES, findings));
    let policy = policy.given()?;
    if let (Some(age), false) = (age.given(), matches!(policy.value, Policy::Younger)) {
        *findings.error(age.place, "unlabelled_age", "belongs to `busy-if-younger-than`") =
            Some("leave it out, or write `unlabelled = \"busy-if-younger-than\"`".to_owned());
    }
    Some(match policy.value {
        Policy::ByRestart => Unlabelled::ByRestart,
        Policy::Busy => Unlabelled::Busy,
        Policy::Ignore => Unlabelled::Ignore,
        Policy::Younger => {
            if age.is_absent() {
                *findings.error(policy.place, "unlabelled", "needs an age") =
                    Some("such as `unlabelled_age = \"1h\"`".to_owned());
            }
            Unlabelled::BusyIfYoungerThan(*age.value()?)
        }
    })
}

fn duration(at: At<&str>, findings: &mut Findings) -> Option<At<SignedDuration>> {
    let span: Option<Span> = at.value.parse().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let length = length.filter(SignedDuration::is_positive);
    if length.is_none() {
        let message = format!("{} is no length of time", Quoted(at.value));
        *findings.error(at.place, "unlabelled_age", message) =
            Some("write it in days, hours or minutes, such as \"1h\"".to_owned());
    }
    length.map(|value| At { value, place: at.place })
}

fn rule(table: &Fields<'_>, earlier: &[At<Rule>], findings: &mut Findings) -> Option<Rule> {
    table.refuse_unknown(&RULE_KEYS, findings);
    let name = table.string("name", findings);
    if name.is_absent() || name.value().is_some_and(|name| name.trim().is_empty()) {
        *findings.error(table.place(), "rule.name", "is required") =
            Some("what people call such a job, such as \"Zadig job\"".to_owned());
    }
    let class =
        table.string("class", findings).and_then(|at| word(at, "rule.class", &CLASSES, findings));
    let job_name = table.strings("job_name", findings);
    let job_name = job_name.value().map(|keys| keys.iter().map(|at| at.value.to_owned()));
    let pattern = pattern(table, findings)?;
    let name = name.given()?;
    let is_same = |at: &At<Rule>| at.value.name == name.value && at.value.pattern.on == pattern.on;
    if let Some(first) = earlier.iter().find(|at| is_same(at)) {
        let message = format!("there is one of this name in line {} already", first.place.line);
        findings.error(name.place, "rule.name", message);
    }
    Some(Rule {
        name: name.value.to_owned(),
        pattern,
        // Who does not know is not to lose a job by it.
        class: class.value().copied().unwrap_or(Class::Attached),
        job_name: job_name.map(Iterator::collect).unwrap_or_default(),
    })
}

fn pattern(table: &Fields<'_>, findings: &mut Findings) -> Option<Pattern> {
    let field = table.name("on");
    let on = table.string("on", findings);
    if on.is_absent() {
        *findings.error(table.place(), &field, "is required") =
            Some("\"pod\" or \"container\"".to_owned());
    }
    let on = on.and_then(|at| word(at, &field, &ON, findings));
    let labels = selectors(table, "labels", findings);
    let annotations = selectors(table, "annotations", findings);
    let prefix = table.string("name_prefix", findings);
    let prefix = prefix.value().map(|prefix| (*prefix).to_owned());
    let mut selectors = labels.iter().chain(&annotations);
    // It would fit everything that was never labelled.
    let is_narrow = selectors.any(|selector| !selector.is_negative())
        || prefix.as_ref().is_some_and(|prefix| !prefix.is_empty());
    if !is_narrow && findings.first_error().is_none() {
        *findings.error(table.place(), "", "fits everything") =
            Some("name a label or an annotation that is there, or a `name_prefix`".to_owned());
    }
    let on = *on.value()?;
    Some(Pattern { on, labels, annotations, name_prefix: prefix })
}

fn selectors(table: &Fields<'_>, key: &str, findings: &mut Findings) -> Vec<Selector> {
    let field = table.name(key);
    let Field::Given(list) = table.strings(key, findings) else { return Vec::new() };
    let mut selectors = Vec::with_capacity(list.value.len());
    for At { value, place } in list.value {
        match Selector::parse(value) {
            Ok(selector) => selectors.push(selector),
            Err(cure) => {
                let message = format!("{} is no selector", Quoted(value));
                *findings.error(place, &field, message) = Some(cure.to_owned());
            }
        }
    }
    selectors
}
