//! Why a lock gave no answer.

/// What to expect of asking again decides what kind it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It could not be reached, or did not answer. What was asked for may have happened all the same.
    #[error("{0}")]
    Unavailable(String),
    /// Only somebody who changes the settings, the files or the server helps.
    #[error("{0}")]
    Misconfigured(String),
}

impl Trouble {
    /// With a word before it that says who it is about.
    #[must_use]
    pub(super) fn about(self, who: &dyn std::fmt::Display) -> Self {
        match self {
            Self::Unavailable(why) => Self::Unavailable(format!("{who}: {why}")),
            Self::Misconfigured(why) => Self::Misconfigured(format!("{who}: {why}")),
        }
    }
}
