//! What the runtimes say that they are doing, before anybody has judged it.

use jiff::Timestamp;

use super::Occupant;
use super::selector::Labels;

/// How far a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has been made and does not run yet, or never will.
    Created,
    /// Also one that is paused, or is being started again.
    Running,
    /// `None`: at an unknown time.
    Exited(Option<Timestamp>),
}

/// A container of docker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub name: String,
    pub labels: Labels,
    pub phase: Phase,
    pub since: Option<Timestamp>,
    /// Whether somebody runs a command in it.
    pub exec: bool,
    /// Whether it was made from an image without a name, as a step of docker's classic builder is,
    /// which has no other mark.
    pub nameless: bool,
}

/// One container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub phase: Phase,
    pub since: Option<Timestamp>,
    pub exec: bool,
}

/// A pod whose sandbox is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// As Kubernetes says it: `namespace/name`.
    pub name: String,
    /// Those that the pod had when it began. What is changed later no runtime hears of.
    pub labels: Labels,
    pub annotations: Labels,
    pub since: Option<Timestamp>,
    pub members: Vec<Member>,
}

/// All that would feel a certain restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub containers: Vec<Container>,
    pub pods: Vec<Pod>,
    /// Pulls and builds that go through what is restarted.
    pub transfers: Vec<Occupant>,
}
