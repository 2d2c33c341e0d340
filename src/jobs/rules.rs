//! How a job is told from everything else that runs in a container.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::selector::{Labels, Selector};

/// Where a rule's labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// A pod, whose labels its containers do not have.
    Pod,
    /// A container of docker.
    Container,
}

/// How a job is driven, which decides what it survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Over a stream that the runtime serves: its container may live on, the job does not.
    Attached,
    /// By a process of its own inside the container.
    Detached,
    /// Never idle for all that can be seen from outside, and at work for others when nobody knows:
    /// it must not be killed, and must not block what it survives, or that would wait for ever.
    Sensitive,
}

/// What would happen to containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// dockerd's, without live-restore: every container of docker stops.
    DockerKills,
    /// dockerd's, with live-restore.
    DockerKeeps,
    /// containerd's. Its shims keep containers running.
    Containerd,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub on: On,
    pub name: &'a str,
    pub labels: &'a Labels,
    pub annotations: &'a Labels,
}

/// All of it has to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub on: On,
    pub labels: Vec<Selector>,
    pub annotations: Vec<Selector>,
    pub name_prefix: Option<String>,
}

impl Pattern {
    fn matches(&self, subject: Subject<'_>) -> bool {
        self.on == subject.on
            && self.labels.iter().all(|selector| selector.matches(subject.labels))
            && self.annotations.iter().all(|selector| selector.matches(subject.annotations))
            && self.name_prefix.as_ref().is_none_or(|prefix| subject.name.starts_with(prefix))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What people call it: `Zadig job`.
    pub name: String,
    pub pattern: Pattern,
    pub class: Class,
    /// The labels or annotations that name the job; the first that is there.
    pub job_name: Vec<String>,
}

impl Rule {
    /// What the job is called, and where it runs if that is something else.
    pub fn job(&self, subject: Subject<'_>) -> String {
        let value = |key| subject.labels.get(key).or_else(|| subject.annotations.get(key));
        let job = self.job_name.iter().find_map(value).filter(|job| !job.is_empty());
        match job {
            Some(job) if job != subject.name => format!("{job} in {}", subject.name),
            _ => subject.name.to_owned(),
        }
    }
}

/// What counts that no rule knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unlabelled {
    /// What the restart would kill.
    #[default]
    ByRestart,
    Busy,
    Ignore,
    /// Jobs are young and services are old.
    BusyIfYoungerThan(SignedDuration),
}

/// The rules of a node, the built-in ones included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The first that fits counts.
    pub(super) known: Vec<Rule>,
    /// What may be killed: comes before every rule.
    pub(super) ignored: Vec<Pattern>,
    pub(super) unlabelled: Unlabelled,
    pub(super) containerd_allow_detached: bool,
    /// Containers that do not keep a pod's job going.
    pub(super) sidecars: BTreeSet<String>,
}

/// What the rules say of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'r> {
    Ignored,
    Job(&'r Rule),
    Unlabelled,
}

impl Rules {
    pub fn verdict(&self, subject: Subject<'_>) -> Verdict<'_> {
        if self.ignored.iter().any(|pattern| pattern.matches(subject)) {
            return Verdict::Ignored;
        }
        let rule = self.known.iter().find(|rule| rule.pattern.matches(subject));
        rule.map_or(Verdict::Unlabelled, Verdict::Job)
    }

    pub(super) fn is_sidecar(&self, container: &str) -> bool {
        self.sidecars.contains(container)
    }

    /// Whether a job of this class would be interrupted.
    pub(super) fn interrupts(&self, restart: Restart, class: Class) -> bool {
        match (restart, class) {
            (Restart::DockerKills, _) | (_, Class::Attached) => true,
            (Restart::DockerKeeps, Class::Detached) | (_, Class::Sensitive) => false,
            // Some versions of containerd lose more than they should when they restart, so whoever
            // wants to rely on it has to say so.
            (Restart::Containerd, Class::Detached) => !self.containerd_allow_detached,
        }
    }

    /// Whether something that no rule knows counts.
    pub(super) fn counts(
        &self,
        restart: Restart,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> bool {
        match self.unlabelled {
            Unlabelled::ByRestart => restart == Restart::DockerKills,
            Unlabelled::Busy => true,
            Unlabelled::Ignore => false,
            // Of unknown age: it may be young.
            Unlabelled::BusyIfYoungerThan(age) => is_younger(since, age, now),
        }
    }
}

pub(super) fn is_younger(since: Option<Timestamp>, age: SignedDuration, now: Timestamp) -> bool {
    since.is_none_or(|since| now.duration_since(since) < age)
}
