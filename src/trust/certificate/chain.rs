//! The certificates of one PEM text, in their order, and nothing else in it.

use jiff::Timestamp;

use super::error::CertError;
use super::judge::{self, CertFault, Validity};
use super::x509::{self, Facts, Unreadable};
use super::{Advice, pem};

const MOST_BYTES: usize = 256 << 10;
const MOST_CERTIFICATES: usize = 64;
/// A message that lists the dates of more than these helps nobody.
const DATES_SHOWN: usize = 3;

pub(super) struct Link {
    /// From 1, as a person counts them.
    pub(super) number: usize,
    pub(super) facts: Facts,
    pub(super) pem: String,
}

impl Link {
    /// The certificate, as messages call it.
    pub(super) fn which(&self) -> String {
        format!("certificate {} (`{}`)", self.number, self.facts.subject)
    }

    pub(super) fn refused(&self, fault: CertFault) -> CertError {
        CertError::Certificate { which: self.which(), fault }
    }
}

/// Reads at least one certificate; the advice is about text around them.
pub(super) fn read(text: &[u8]) -> Result<(Vec<Link>, Option<Advice>), CertError> {
    check_size(text)?;
    if mentions_private_key(text) {
        return Err(CertError::PrivateKey);
    }
    let document = pem::read(text)?;
    if document.blocks.len() > MOST_CERTIFICATES {
        return Err(CertError::TooMany);
    }
    let stray = document.stray_lines;
    let numbered = (1..).zip(document.blocks);
    let links = numbered.map(|(number, block)| link(number, &block)).collect::<Result<_, _>>()?;
    let advice = (stray > 0).then(|| Advice {
        message: format!("{stray} lines of other text stand around the certificates"),
        cure: "they are left out; remove them if they were meant to be more".to_owned(),
    });
    Ok((links, advice))
}

pub(super) fn check_size(text: &[u8]) -> Result<(), CertError> {
    if text.len() > MOST_BYTES { Err(CertError::TooLarge(text.len())) } else { Ok(()) }
}

/// Whether a private key of any kind begins or ends here, even one that is cut off or broken.
fn mentions_private_key(text: &[u8]) -> bool {
    pem::contains(text, b"PRIVATE KEY-----") || pem::contains(text, b"PRIVATE KEY BLOCK-----")
}

fn link(number: usize, block: &pem::Block) -> Result<Link, CertError> {
    if block.kind != pem::Kind::Certificate {
        return Err(CertError::OtherBlock { label: block.label.clone(), line: block.line });
    }
    if pem::is_private_key(&block.der) {
        return Err(CertError::PrivateKey);
    }
    if block.has_headers {
        return Err(CertError::Headers(block.line));
    }
    let facts = x509::read(&block.der).map_err(|unreadable| match unreadable {
        Unreadable::NotACertificate => CertError::NotACertificate(block.line),
        Unreadable::TrailingBytes => CertError::TrailingBytes(block.line),
    })?;
    Ok(Link { number, facts, pem: pem::write("CERTIFICATE", &block.der) })
}

/// One that is valid is enough: during a change of CAs the old and the new one stand together.
pub(super) fn check_some_valid(links: &[Link], now: Timestamp) -> Result<(), CertError> {
    let states: Vec<_> = links.iter().map(|link| judge::validity(&link.facts, now)).collect();
    if states.iter().any(|state| matches!(state, Validity::Valid | Validity::EndsSoon)) {
        return Ok(());
    }
    let dates = list_dates(links, now);
    let now = judge::in_seconds(now);
    Err(if states.iter().all(|state| *state == Validity::Ended) {
        CertError::Expired { dates, now }
    } else if states.iter().all(|state| *state == Validity::NotYet) {
        CertError::NotYetValid { dates, now }
    } else {
        CertError::NoneValid { dates, now }
    })
}

fn list_dates(links: &[Link], now: Timestamp) -> String {
    let dates = |link: &Link| judge::dates(&link.which(), &link.facts, now);
    let mut list: Vec<_> = links.iter().filter_map(dates).take(DATES_SHOWN).collect();
    if links.len() > DATES_SHOWN {
        list.push(format!("and {} more", links.len() - DATES_SHOWN));
    }
    list.join(", ")
}
