//! Bytes of files, and which of them must never be seen.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What a file holds. Cloning is cheap: one CA may stand in thousands of directories.
#[derive(Clone, Eq)]
pub enum Content {
    Plain(Arc<[u8]>),
    /// Key material. It is wiped when the last clone goes, and its `Debug` says nothing.
    Secret(Arc<Zeroizing<Vec<u8>>>),
}

/// The same bytes are the same content. Whether they are shown is no part of it: else a file whose
/// text gives it away as a key would differ for ever from what was planned as plain.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Content {
    pub fn plain(bytes: impl AsRef<[u8]>) -> Self {
        Self::Plain(bytes.as_ref().into())
    }

    pub fn secret(bytes: Vec<u8>) -> Self {
        Self::Secret(Arc::new(Zeroizing::new(bytes)))
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Secret(bytes) => bytes,
        }
    }

    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    pub fn digest(&self) -> Sha256Hex {
        Sha256Hex::of(self.bytes())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(bytes) => write!(f, "{:?}", String::from_utf8_lossy(bytes)),
            Self::Secret(bytes) => write!(f, "<{} secret bytes>", bytes.len()),
        }
    }
}

/// A SHA-256 in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Hex([u8; 32]);

impl Sha256Hex {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first 16 hexadecimal digits: enough to tell certificates apart in names and messages.
    pub fn short(&self) -> String {
        self.to_string().chars().take(16).collect()
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<Sha256Hex> for String {
    fn from(digest: Sha256Hex) -> Self {
        digest.to_string()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("expected a SHA-256 of 64 hexadecimal digits")]
pub struct DigestError;

impl TryFrom<String> for Sha256Hex {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(DigestError);
        }
        for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
            let digits = text.get(at..at + 2).ok_or(DigestError)?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(DigestError);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| DigestError)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Content::secret(b"hunter2".to_vec())), "<7 secret bytes>");
    }

    #[test]
    fn content_is_its_bytes() {
        assert_eq!(Content::secret(b"x".to_vec()), Content::plain("x"));
        assert_ne!(Content::plain("x"), Content::plain("y"));
    }

    #[test]
    fn a_digest_survives_its_text() {
        let digest = Sha256Hex::of(b"x");
        assert_eq!(Sha256Hex::try_from(digest.to_string()).unwrap(), digest);
        assert!(Sha256Hex::try_from("zz".repeat(32)).is_err());
        assert!(Sha256Hex::try_from("+1".repeat(32)).is_err());
    }
}
