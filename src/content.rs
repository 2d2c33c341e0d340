//! Bytes of files, and which of them must never be seen.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::text;

/// What a file holds. Cloning is cheap: one CA may stand in thousands of directories.
#[derive(Clone)]
pub enum Content {
    Plain(Arc<Plain>),
    /// Key material. It is wiped when the last clone goes, and its `Debug` says nothing.
    Secret(Arc<Zeroizing<Vec<u8>>>),
}

/// Bytes that anybody may see. Their digest is computed once for all clones.
pub struct Plain {
    bytes: Vec<u8>,
    digest: OnceLock<Sha256Hex>,
}

/// The same bytes are the same content. Whether they are shown is no part of it: else a file whose
/// text gives it away as a key would differ for ever from what was planned as plain.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            // One CA stands in thousands of places.
            (Self::Plain(one), Self::Plain(other)) if Arc::ptr_eq(one, other) => true,
            _ => self.bytes() == other.bytes(),
        }
    }
}

impl Eq for Content {}

impl Content {
    pub fn plain(bytes: impl AsRef<[u8]>) -> Self {
        Self::plain_from(bytes.as_ref().to_vec())
    }

    /// The same without a copy.
    pub fn plain_from(bytes: Vec<u8>) -> Self {
        Self::Plain(Arc::new(Plain { bytes, digest: OnceLock::new() }))
    }

    pub fn secret(bytes: Vec<u8>) -> Self {
        Self::Secret(Arc::new(Zeroizing::new(bytes)))
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(plain) => &plain.bytes,
            Self::Secret(bytes) => bytes,
        }
    }

    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    pub fn digest(&self) -> Sha256Hex {
        match self {
            Self::Plain(plain) => *plain.digest.get_or_init(|| Sha256Hex::of(&plain.bytes)),
            Self::Secret(bytes) => Sha256Hex::of(bytes),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(plain) => write!(f, "{plain:?}"),
            Self::Secret(bytes) => write!(f, "<{} secret bytes>", bytes.len()),
        }
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.bytes))
    }
}

/// A SHA-256 in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Hex([u8; 32]);

impl Sha256Hex {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// By hand, because there are three of these for each registry, and `{:02x}` takes its time.
    fn digits(self) -> [u8; 64] {
        let digit = |half: u8| if half < 10 { b'0' + half } else { b'a' + half - 10 };
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        digits
    }

    /// The first 16 hexadecimal digits: enough to tell certificates apart in names and messages.
    pub fn short(&self) -> String {
        self.to_string().chars().take(16).collect()
    }
}

/// Computes a digest of what comes in pieces, however small they are.
#[derive(Default)]
pub struct Digesting {
    digest: Sha256,
    pending: Vec<u8>,
}

impl Digesting {
    const PIECE: usize = 4096;

    pub fn add(&mut self, piece: &[u8]) {
        self.pending.extend_from_slice(piece);
        if self.pending.len() >= Self::PIECE {
            self.digest.update(&self.pending);
            self.pending.clear();
        }
    }

    pub fn finish(mut self) -> Sha256Hex {
        self.digest.update(&self.pending);
        Sha256Hex(self.digest.finalize().into())
    }
}

impl fmt::Debug for Digesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digesting").finish_non_exhaustive()
    }
}

impl fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        f.pad(str::from_utf8(&digits).unwrap_or_default())
    }
}

impl fmt::Debug for Sha256Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Sha256Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Sha256Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer, str::parse)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("expected a SHA-256 of 64 hexadecimal digits")]
pub struct DigestError;

impl FromStr for Sha256Hex {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digit = |digit: u8| VALUES[usize::from(digit)];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(DigestError);
        }
        let (mut bytes, mut all) = ([0; 32], 0);
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (digit(*high), digit(*low));
            all |= high | low;
            *byte = high << 4 | low;
        }
        if all == NO_DIGIT { Err(DigestError) } else { Ok(Self(bytes)) }
    }
}

/// More than four bits, so that it shows whatever it is combined with.
const NO_DIGIT: u8 = 0xff;

/// What each byte is worth as a digit. Looked up, because which branch a digit of a digest would
/// take cannot be predicted, and a ledger has two hundred of them for each registry.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        values[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

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
        assert_eq!(digest.to_string().parse::<Sha256Hex>().unwrap(), digest);
        assert!("zz".repeat(32).parse::<Sha256Hex>().is_err());
        assert_eq!(digest.to_string().to_uppercase().parse::<Sha256Hex>().unwrap(), digest);
        assert!("+1".repeat(32).parse::<Sha256Hex>().is_err());
    }
}
