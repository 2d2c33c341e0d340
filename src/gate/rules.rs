//! What the administrator has chosen about restarts.

use jiff::SignedDuration;

pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);

/// `[restart]` of regtrustd.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long after the first change that needs a restart others are waited for: it loads them all.
    pub gather: SignedDuration,
    /// How long nobody must have worked here before a restart is prepared.
    pub quiet_period: SignedDuration,
    /// How long work that has just begun has to show itself, once new work is kept away.
    pub settle: SignedDuration,
    /// Nodes that hear of a change at the same moment begin within this span.
    pub spread: SignedDuration,
    /// Between two restarts of one runtime.
    pub minimum_interval: SignedDuration,
    /// Of one runtime, within 24 hours.
    pub max_per_day: u32,
    /// Counted from when the change was published. `None`: a restart may wait for ever.
    pub deadline: Option<SignedDuration>,
    pub on_deadline: OnDeadline,
    /// How long, with [`OnDeadline::Drain`], running jobs are waited for while new ones are kept
    /// away.
    pub drain_timeout: SignedDuration,
    /// Whether [`OnDeadline::Force`] is meant for docker as well, which may kill every container.
    pub force_docker: bool,
    /// How long a runtime is watched after its restart before it is believed.
    pub soak: SignedDuration,
    /// Whether docker's `live-restore` is switched on, so that a restart of docker ends nothing.
    pub live_restore: bool,
    /// How much longer it may take until all runs again that ran before: docker starts its
    /// containers one after the other, and systemd what depends on it.
    pub recovery: SignedDuration,
}

/// What becomes of a restart that has waited too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDeadline {
    /// Somebody is told, and it goes on waiting.
    #[default]
    Alert,
    /// New work is kept away, and the work that runs is waited for: on a node that is always busy
    /// nothing else ever ends the wait.
    Drain,
    /// Whatever runs. The window, the fleet's lock and a pause still hold it back.
    Force,
}

impl OnDeadline {
    pub fn word(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Drain => "drain",
            Self::Force => "force",
        }
    }
}

impl Default for Rules {
    /// For a node that is alone. A fleet wants `spread` and a lock, and a node with jobs a
    /// `quiet_period`.
    fn default() -> Self {
        Self {
            // Whoever changes trust seldom changes it once: a registry, then its mirror, then the
            // pair. A restart for each of them would cost three, and a minute of patience costs
            // nobody anything; who has none says `restart`.
            gather: SignedDuration::from_mins(1),
            quiet_period: SignedDuration::ZERO,
            settle: SignedDuration::from_secs(1),
            spread: SignedDuration::ZERO,
            // docker's unit starts three times in 60 seconds and then no more. Two of ours leave
            // one for somebody else.
            minimum_interval: SignedDuration::from_secs(30),
            max_per_day: 24,
            deadline: Some(DAY),
            on_deadline: OnDeadline::default(),
            drain_timeout: SignedDuration::from_hours(1),
            force_docker: false,
            soak: SignedDuration::from_secs(5),
            recovery: SignedDuration::from_mins(1),
            live_restore: false,
        }
    }
}
