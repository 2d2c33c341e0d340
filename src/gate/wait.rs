//! What keeps a restart from beginning, apart from those who work here.

use jiff::{SignedDuration, Timestamp};

use super::{Asked, Door, Facts, Gate, after};

/// Who keeps a restart waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gatekeeper {
    /// An operator, the policy, `on-request`, the CA tool, another runtime's turn.
    Order,
    /// Its place among the nodes that heard of the change at the same moment.
    Spread,
    /// Other changes that the same restart would load.
    Gather,
    /// It was restarted not long ago, or too often.
    Budget,
    /// A turn of its own came to nothing, and others come first.
    Rest,
    Window,
    /// Somebody works here.
    Busy,
    /// Who works here cannot be told.
    Unknown,
    Lock,
    Hold,
    /// The restart would go wrong, or something else is at work on the runtime.
    Check,
}

impl Gatekeeper {
    /// A label of metrics, so it never changes.
    pub fn word(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Spread => "spread",
            Self::Gather => "gather",
            Self::Budget => "budget",
            Self::Rest => "rest",
            Self::Window => "window",
            Self::Busy => "busy",
            Self::Unknown => "unknown",
            Self::Lock => "lock",
            Self::Hold => "hold",
            Self::Check => "check",
        }
    }

    /// Every word there is.
    pub const WORDS: [&str; 11] = [
        "order", "spread", "gather", "budget", "rest", "window", "busy", "unknown", "lock", "hold",
        "check",
    ];
}

/// Why a restart waits, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub keeper: Gatekeeper,
    pub words: String,
    /// When it ends by itself, or is worth another look.
    pub until: Option<Timestamp>,
}

impl Block {
    pub(super) fn new(keeper: Gatekeeper, words: impl Into<String>) -> Self {
        Self { keeper, words: words.into(), until: None }
    }

    /// What cannot be written down is not done.
    pub fn unwritten(why: &str) -> Self {
        let words = format!("how far it has come cannot be written down: {why}");
        Self::new(Gatekeeper::Order, words)
    }

    pub(super) fn until(mut self, moment: Timestamp) -> Self {
        self.until = Some(moment);
        self
    }
}

/// What stands in the way whoever works here. `None`: nothing does.
///
/// The one that an operator can do most about comes first.
pub(super) fn in_the_way(gate: &Gate, facts: &Facts<'_>) -> Option<Block> {
    orders(facts)
        .or_else(|| spread(gate, facts))
        .or_else(|| rest(gate, facts))
        .or_else(|| budget(gate, facts))
        .or_else(|| gather(gate, facts))
        .or_else(|| shut(facts))
}

/// What calls off a turn that has begun: an order, or a window that closes. Its place in the queue
/// and the time since the last restart were settled before.
pub(super) fn calls_off(facts: &Facts<'_>) -> Option<Block> {
    orders(facts).or_else(|| shut(facts).filter(|_| facts.asked == Asked::No))
}

fn orders(facts: &Facts<'_>) -> Option<Block> {
    facts.stop.map(|why| Block::new(Gatekeeper::Order, why))
}

fn shut(facts: &Facts<'_>) -> Option<Block> {
    match facts.window {
        Door::Open => None,
        Door::Shut { why, opens } => {
            Some(Block { keeper: Gatekeeper::Window, words: why.clone(), until: *opens })
        }
    }
}

fn spread(gate: &Gate, facts: &Facts<'_>) -> Option<Block> {
    let turn = yet_to_come(share(facts.seed, facts.rules.spread), gate, facts)?;
    let words = format!("it begins at {}, so that not all nodes do at once", clock(turn));
    Some(Block::new(Gatekeeper::Spread, words).until(turn))
}

fn gather(gate: &Gate, facts: &Facts<'_>) -> Option<Block> {
    let turn = yet_to_come(facts.rules.gather, gate, facts)?;
    let words = format!("further changes may need it too; it begins at {}", clock(turn));
    Some(Block::new(Gatekeeper::Gather, words).until(turn))
}

/// When `span` has passed since the first change that needs it, if that is not over. Counted from the
/// last one, a stream of changes would put the restart off for ever.
fn yet_to_come(span: SignedDuration, gate: &Gate, facts: &Facts<'_>) -> Option<Timestamp> {
    let turn = after(gate.needed.or(facts.need)?, span);
    (facts.now < turn).then_some(turn)
}

fn rest(gate: &Gate, facts: &Facts<'_>) -> Option<Block> {
    let until = gate.rest_until.filter(|until| facts.now < *until)?;
    let why = gate.because.as_deref().unwrap_or("its last turn came to nothing");
    let words = format!("{why}; its next turn is at {}", clock(until));
    Some(Block::new(Gatekeeper::Rest, words).until(until))
}

fn budget(gate: &Gate, facts: &Facts<'_>) -> Option<Block> {
    let rules = facts.rules;
    let last = gate.restarts.iter().max()?;
    let next = after(*last, rules.minimum_interval);
    if facts.now < next {
        let words = format!("it was restarted at {}, and again at {}", clock(*last), clock(next));
        return Some(Block::new(Gatekeeper::Budget, words).until(next));
    }
    let allowed = usize::try_from(rules.max_per_day).unwrap_or(usize::MAX);
    let mut lately: Vec<Timestamp> = gate.restarts.clone();
    lately.retain(|at| facts.now.duration_since(*at) < super::rules::DAY);
    lately.sort_unstable();
    let oldest = lately.len().checked_sub(allowed).and_then(|over| lately.get(over))?;
    let next = after(*oldest, super::rules::DAY);
    let words = format!(
        "it was restarted {} times within a day, as often as it may be; again at {}",
        lately.len(),
        clock(next)
    );
    Some(Block::new(Gatekeeper::Budget, words).until(next))
}

/// A part of `span` that depends on the node alone.
fn share(seed: u64, span: SignedDuration) -> SignedDuration {
    let milliseconds = u64::try_from(span.as_millis()).unwrap_or_default();
    let share = if milliseconds == 0 { 0 } else { seed % milliseconds };
    SignedDuration::from_millis(i64::try_from(share).unwrap_or_default())
}

pub(super) fn clock(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
