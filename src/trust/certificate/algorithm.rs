//! Which keys and signatures a certificate uses, and whether every runtime can use them.

use x509_parser::public_key::PublicKey;
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Rsa {
        bits: usize,
    },
    /// P-256, P-384, P-521 or Ed25519.
    Modern,
    /// By its name, or its object identifier.
    Unsupported(String),
    Malformed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Sound,
    Sha1,
    /// Its digest, for which collisions are made on a laptop.
    Broken(&'static str),
    Unsupported(String),
}

/// Go takes exponents up to 2³¹-1, and an even one or 1 is no key at all.
const EXPONENTS: std::ops::RangeInclusive<u64> = 3..=0x7fff_ffff;

pub(super) fn key(info: &SubjectPublicKeyInfo<'_>) -> Key {
    let unsupported = |name: &str| Key::Unsupported(name.to_owned());
    match info.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => rsa(info),
        "1.2.840.10045.2.1" => elliptic(info),
        "1.3.101.112" => {
            let is_plain = info.algorithm.parameters.is_none();
            if is_plain && info.subject_public_key.data.len() == 32 {
                Key::Modern
            } else {
                Key::Malformed
            }
        }
        "1.2.840.10040.4.1" => unsupported("DSA"),
        "1.3.101.113" => unsupported("Ed448"),
        "1.2.840.113549.1.1.10" => unsupported("RSA-PSS"),
        oid => unsupported(oid),
    }
}

fn rsa(info: &SubjectPublicKeyInfo<'_>) -> Key {
    // Go wants the NULL that the standard asks for.
    let has_null = info.algorithm.parameters.as_ref().is_some_and(|any| any.as_null().is_ok());
    let Ok(PublicKey::RSA(key)) = info.parsed() else { return Key::Malformed };
    let is_sane = key.try_exponent().is_ok_and(|e| EXPONENTS.contains(&e) && e % 2 == 1);
    let is_positive = key.modulus.first().is_some_and(|first| first & 0x80 == 0);
    if !has_null || !is_sane || !is_positive {
        return Key::Malformed;
    }
    Key::Rsa { bits: bits(key.modulus) }
}

fn bits(modulus: &[u8]) -> usize {
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let first = modulus.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize);
    (modulus.len() - zeros) * 8 - first
}

/// Points are uncompressed, because Go reads no others.
fn elliptic(info: &SubjectPublicKeyInfo<'_>) -> Key {
    let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    let size = match curve.map(|oid| oid.to_id_string()).as_deref() {
        Some("1.2.840.10045.3.1.7") => 65, // P-256
        Some("1.3.132.0.34") => 97,        // P-384
        Some("1.3.132.0.35") => 133,       // P-521
        Some("1.3.132.0.33") => return Key::Unsupported("P-224".to_owned()),
        Some("1.3.132.0.10") => return Key::Unsupported("secp256k1".to_owned()),
        Some(oid) => return Key::Unsupported(format!("elliptic curve {oid}")),
        None => return Key::Malformed,
    };
    let point = &info.subject_public_key.data;
    if point.len() == size && point.first() == Some(&4) { Key::Modern } else { Key::Malformed }
}

pub(super) fn signature(algorithm: &AlgorithmIdentifier<'_>) -> Signature {
    match algorithm.algorithm.to_id_string().as_str() {
        // SHA-256, SHA-384 and SHA-512 with RSA, then with ECDSA; Ed25519.
        "1.2.840.113549.1.1.11"
        | "1.2.840.113549.1.1.12"
        | "1.2.840.113549.1.1.13"
        | "1.2.840.10045.4.3.2"
        | "1.2.840.10045.4.3.3"
        | "1.2.840.10045.4.3.4"
        | "1.3.101.112" => Signature::Sound,
        "1.2.840.113549.1.1.10" => pss(algorithm),
        // With RSA (twice: ISO had its own number), DSA and ECDSA.
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" | "1.2.840.10040.4.3" | "1.2.840.10045.4.1" => {
            Signature::Sha1
        }
        "1.2.840.113549.1.1.2" => Signature::Broken("MD2"),
        "1.2.840.113549.1.1.3" => Signature::Broken("MD4"),
        "1.2.840.113549.1.1.4" => Signature::Broken("MD5"),
        oid => Signature::Unsupported(oid.to_owned()),
    }
}

fn pss(algorithm: &AlgorithmIdentifier<'_>) -> Signature {
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(algorithm)
    else {
        return Signature::Unsupported("RSA-PSS without parameters".to_owned());
    };
    match parameters.hash_algorithm_oid().to_id_string().as_str() {
        "2.16.840.1.101.3.4.2.1" | "2.16.840.1.101.3.4.2.2" | "2.16.840.1.101.3.4.2.3" => {
            Signature::Sound
        }
        "1.3.14.3.2.26" => Signature::Sha1,
        oid => Signature::Unsupported(format!("RSA-PSS with {oid}")),
    }
}
