//! Why daemon.json is not edited.

use super::Key;

/// Something about daemon.json that makes an edit unsafe, or useless because dockerd would refuse
/// the file anyway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    #[error("daemon.json is not valid JSON: {reason} at line {line}, column {column}")]
    Syntax { reason: String, line: usize, column: usize },
    /// Docker 20.10 reads the first value and ignores the rest; 23 and later refuse the file.
    #[error("daemon.json goes on after its closing brace, at line {line}, column {column}")]
    TrailingText { line: usize, column: usize },
    #[error("daemon.json does not hold an object")]
    NotAnObject,
    /// Docker takes the last one, people read the first one.
    #[error("daemon.json has the key `{key}` twice")]
    DuplicateKey { key: String },
    /// To docker it is an unknown key, and it does not start with one.
    #[error("daemon.json has the key `{found}`, which docker does not know: it spells it `{key}`")]
    WrongCase { found: String, key: Key },
    #[error("`{key}` in daemon.json is not a list of strings")]
    WrongType { key: Key },
    /// The same about `live-restore`.
    #[error("the edit of `live-restore` would change more of daemon.json than what is ours")]
    UnsoundSwitch,
    /// A mistake of ours that is found before it is written.
    #[error("the edit of `{key}` would change more of daemon.json than what is ours")]
    Unsound { key: Key },
}

impl MergeError {
    pub fn cure(&self) -> String {
        match self {
            Self::Syntax { .. } | Self::NotAnObject => {
                "correct daemon.json; dockerd does not start with it as it is".into()
            }
            Self::TrailingText { .. } => {
                "remove what follows the closing brace; docker 23 and later refuse it".into()
            }
            Self::DuplicateKey { key } => format!("keep one `{key}`"),
            Self::WrongCase { key, .. } => format!("spell it `{key}`"),
            Self::WrongType { key } => format!("write `\"{key}\": [\"…\"]`"),
            Self::Unsound { .. } | Self::UnsoundSwitch => {
                "report this with the file; until then make the change by hand".into()
            }
        }
    }
}
