//! Decides what a restart would interrupt.
//!
//! | | dockerd, without live-restore | dockerd, with it | containerd |
//! |---|---|---|---|
//! | attached job | busy | busy | busy |
//! | detached job | busy | – | busy, unless `containerd_allow_detached` |
//! | sensitive | busy | – | – |
//! | what no rule knows | busy | – | – |
//! | a command inside a container | busy | busy | in pods |
//! | a container between its making and its start | busy | busy | busy |
//! | what docker pulls | busy | busy | busy |
//! | what else is pulled or built through it | busy | busy | busy |
//! | what is ignored | – | – | – |
//!
//! A job of docker's counts for containerd as well: what it does at that moment survives, but it
//! starts one container after the other, and cannot while containerd is away.
//!
//! The fourth row is what `unlabelled = "by-restart"` means; the other policies replace it.

use jiff::{SignedDuration, Timestamp};

use super::rules::{Class, On, Restart, Rules, Subject, Verdict, is_younger};
use super::seen::{Container, Member, Phase, Pod, Seen};
use super::selector::Labels;
use super::{Occupant, Source};

/// How long a container takes at most from its making to its start. What is older was made for
/// later, or is one that containerd lost in its last restart; waiting for it would have no end.
const STARTING: SignedDuration = SignedDuration::from_mins(2);

/// How long a step of a build takes at most. A container without a mark that runs longer was started
/// by somebody who named its image by its digest.
const STEP: SignedDuration = SignedDuration::from_hours(6);

/// How long a pod may take for its first container. One that takes longer waits for an image that
/// cannot be pulled, perhaps for want of the very trust that the restart is to bring.
const FIRST_CONTAINER: SignedDuration = SignedDuration::from_mins(10);

/// How long after the end of one container of a job the next may still begin: kubelet looks once in
/// a while, and pulls an image in between.
const NEXT_CONTAINER: SignedDuration = SignedDuration::from_mins(1);

/// What the restart would interrupt of what was seen.
pub fn judge(seen: &Seen, restart: Restart, rules: &Rules, now: Timestamp) -> Vec<Occupant> {
    let judge = Judge { restart, rules, now };
    let containers = seen.containers.iter().flat_map(|container| judge.container(container));
    let pods = seen.pods.iter().flat_map(|pod| judge.pod(pod));
    containers.chain(pods).chain(seen.transfers.iter().cloned()).collect()
}

#[derive(Clone, Copy)]
struct Judge<'r> {
    restart: Restart,
    rules: &'r Rules,
    now: Timestamp,
}

impl Judge<'_> {
    fn container(self, container: &Container) -> Vec<Occupant> {
        let nothing = Labels::new();
        let subject = Subject {
            on: On::Container,
            name: &container.name,
            labels: &container.labels,
            annotations: &nothing,
        };
        let verdict = self.rules.verdict(subject);
        if verdict == Verdict::Ignored {
            return Vec::new();
        }
        let is_starting = self.is_starting(container.phase, container.since);
        let is_at_work = container.phase == Phase::Running || is_starting;
        let occupant = |source, what: &str, name: String| Occupant {
            source,
            what: what.to_owned(),
            name,
            since: container.since,
        };
        let mut found = Vec::new();
        match verdict {
            Verdict::Job(rule) if is_at_work && self.rules.interrupts(self.restart, rule.class) => {
                found.push(occupant(Source::Docker, &rule.name, rule.job(subject)));
            }
            _ if is_starting => {
                let what = "container that is being started";
                found.push(occupant(Source::Docker, what, container.name.clone()));
            }
            Verdict::Unlabelled if is_at_work && self.is_step(container) => {
                found.push(occupant(Source::Builds, "image build", container.name.clone()));
            }
            Verdict::Unlabelled if is_at_work && self.counts(container.since) => {
                found.push(occupant(Source::Docker, "container", container.name.clone()));
            }
            _ => {}
        }
        // dockerd serves the streams of its commands, and containerd those of its pods'.
        if found.is_empty() && container.exec && self.restart != Restart::Containerd {
            let command = occupant(Source::Execs, "command in container", container.name.clone());
            // How long the container has run says nothing about the command.
            found.push(Occupant { since: None, ..command });
        }
        found
    }

    fn pod(self, pod: &Pod) -> Vec<Occupant> {
        let subject = Subject {
            on: On::Pod,
            name: &pod.name,
            labels: &pod.labels,
            annotations: &pod.annotations,
        };
        let verdict = self.rules.verdict(subject);
        if verdict == Verdict::Ignored {
            return Vec::new();
        }
        let occupant = |source, what: &str, name: String, since| Occupant {
            source,
            what: what.to_owned(),
            name,
            since,
        };
        let is_live = |member: &Member| !matches!(member.phase, Phase::Exited(_));
        let is_known = match verdict {
            Verdict::Job(rule) if self.rules.interrupts(self.restart, rule.class) => {
                // What never ends has no end that its containers could tell.
                let is_at_work = rule.class == Class::Sensitive || self.is_at_work(pod);
                is_at_work.then(|| (rule.name.as_str(), rule.job(subject)))
            }
            Verdict::Unlabelled if self.counts(pod.since) && pod.members.iter().any(is_live) => {
                Some(("pod", pod.name.clone()))
            }
            _ => None,
        };
        if let Some((what, name)) = is_known {
            return vec![occupant(Source::Cri, what, name, pod.since)];
        }
        let member = |member: &Member| {
            let name = || format!("{} of {}", member.name, pod.name);
            if self.is_starting(member.phase, member.since) {
                let what = "container that is being started";
                return Some(occupant(Source::Cri, what, name(), member.since));
            }
            member.exec.then(|| occupant(Source::Execs, "command in container", name(), None))
        };
        pod.members.iter().filter_map(member).collect()
    }

    /// Whether a pod that runs to its end has not got there. A sidecar that nobody tells to stop
    /// keeps the sandbox of a finished job up for ever.
    fn is_at_work(self, pod: &Pod) -> bool {
        if pod.members.is_empty() {
            return is_younger(pod.since, FIRST_CONTAINER, self.now);
        }
        let own = || pod.members.iter().filter(|member| !self.rules.is_sidecar(&member.name));
        if own().next().is_none() {
            return is_younger(pod.since, FIRST_CONTAINER, self.now);
        }
        own().any(|member| match member.phase {
            Phase::Running => true,
            Phase::Created => self.is_starting(member.phase, member.since),
            Phase::Exited(at) => is_younger(at, NEXT_CONTAINER, self.now),
        })
    }

    fn is_step(self, container: &Container) -> bool {
        container.nameless && is_younger(container.since, STEP, self.now)
    }

    fn is_starting(self, phase: Phase, since: Option<Timestamp>) -> bool {
        phase == Phase::Created && is_younger(since, STARTING, self.now)
    }

    fn counts(self, since: Option<Timestamp>) -> bool {
        self.rules.counts(self.restart, since, self.now)
    }
}
