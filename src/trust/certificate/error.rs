//! Why certificates are refused. No message holds a byte of what was given, but for names.

use jiff::Timestamp;

use super::judge::CertFault;
use super::pem::PemError;

pub(super) const LEAKED_KEY: &str = "remove it; whoever could read it here may have it, so have the key and its certificate replaced";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertError {
    #[error("it has {0} bytes, and at most 262144 are read")]
    TooLarge(usize),
    #[error("it holds more than 64 certificates")]
    TooMany,
    #[error(transparent)]
    Pem(#[from] PemError),
    /// Checked before everything else, so that no other message makes somebody overlook it.
    #[error("it holds a private key, which must not stand beside certificates")]
    PrivateKey,
    #[error("line {line}: the block is a `{label}`, and only `CERTIFICATE` may stand here")]
    OtherBlock { label: String, line: usize },
    #[error("line {0}: the block has header lines, and the runtimes skip such certificates")]
    Headers(usize),
    #[error("line {0}: what the block holds is no X.509 certificate")]
    NotACertificate(usize),
    #[error("line {0}: more bytes follow the certificate within its block")]
    TrailingBytes(usize),
    #[error("{which} {fault}")]
    Certificate { which: String, fault: CertFault },
    /// All of them.
    #[error("no certificate is valid any more: {dates}; it is now {now}")]
    Expired { dates: String, now: Timestamp },
    #[error("no certificate is valid yet: {dates}; it is now {now}")]
    NotYetValid { dates: String, now: Timestamp },
    #[error("no certificate is valid now: {dates}; it is now {now}")]
    NoneValid { dates: String, now: Timestamp },
    #[error("the key is protected by a passphrase, which no runtime could enter")]
    EncryptedKey,
    #[error("the key is in OpenSSH's form, which the runtimes do not read")]
    OpensshKey,
    #[error("line {line}: the block is a `{label}`, and only a private key may stand here")]
    NotAKey { label: String, line: usize },
    #[error("there is no private key in it")]
    NoKey,
    #[error("there is more than one private key in it")]
    SeveralKeys,
    #[error("the key is damaged, or not RSA of 2048 to 4096 bits, P-256, P-384 or Ed25519")]
    UnusableKey,
    #[error("the key belongs to {0}, and the first certificate must be the client's own")]
    WrongOrder(String),
    #[error("the key does not belong to {0}")]
    OtherKey(String),
}

impl CertError {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Pem(error) => error.cure(),
            Self::PrivateKey => LEAKED_KEY,
            Self::TooLarge(_) | Self::TooMany => {
                "give the registry's own CA, not a whole system's bundle"
            }
            Self::OtherBlock { label, .. } => block_cure(label),
            Self::Headers(_) => "write it without them, as `openssl x509 -in FILE` does",
            Self::NotACertificate(_) | Self::TrailingBytes(_) => {
                "copy it again; `openssl x509 -in FILE -noout -text` must understand it"
            }
            Self::Certificate { fault, .. } => fault.cure(),
            Self::Expired { .. } => "give the certificate that succeeded it",
            Self::NotYetValid { .. } | Self::NoneValid { .. } => {
                "check the node's clock, or give one that is valid"
            }
            Self::EncryptedKey => "decrypt it with `openssl pkey -in FILE -out FILE.key`",
            Self::OpensshKey => "convert it with `ssh-keygen -p -m PKCS8 -f FILE`",
            Self::NotAKey { .. } | Self::NoKey | Self::SeveralKeys => {
                "give the client's private key alone"
            }
            Self::UnusableKey => "make a new one, with `openssl genpkey`, and have it certified",
            Self::WrongOrder(_) => "put the client's certificate first, then those that issued it",
            Self::OtherKey(_) => "give the key that the certificate was requested with",
        }
    }
}

fn block_cure(label: &str) -> &'static str {
    match label {
        "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
            "a request is not yet a certificate; give what the CA made of it"
        }
        "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => {
            "convert it with `openssl x509 -in FILE -out FILE.pem`"
        }
        "PKCS7" | "PKCS #7 SIGNED DATA" => "convert it with `openssl pkcs7 -print_certs -in FILE`",
        _ => "leave this block out",
    }
}
