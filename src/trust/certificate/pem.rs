//! PEM, read so that nothing is left to guess, and written anew.
//!
//! Go skips a block that it cannot read and goes on, so a broken block would be trust that nobody
//! misses until a pull fails. Here everything that looks like a block must be one. What is
//! forgiven: indentation (the text came out of YAML), CRLF, a byte-order mark, lines of any length.
//!
//! So this finds the blocks and judges everything around their base64; what a well-formed block
//! holds, and which kind its label stands for, is for `rustls_pemfile` to say. It also takes base64
//! whose padding is missing, which Go skips, or whose last character has bits to spare, which no
//! encoder writes: such a block stays damaged here.
//!
//! What we hold of a key is wiped. The buffer in which `rustls_pemfile` gathers the base64 of a
//! block is out of our reach: of each key read, it leaves one copy in freed memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls_pemfile::{Item, read_one_from_slice};
use zeroize::Zeroizing;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
/// 64 columns of base64, as every tool writes them.
const BYTES_PER_LINE: usize = 48;
const LONGEST_LABEL: usize = 40;

/// What a block holds, as its label has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    Pkcs1Key,
    Pkcs8Key,
    Sec1Key,
    /// Nothing that is used here; the label says what it is.
    Other,
}

/// One block. It is wiped when dropped, because it may be a key.
pub(super) struct Block {
    pub(super) kind: Kind,
    pub(super) label: String,
    pub(super) der: Zeroizing<Vec<u8>>,
    /// Where it begins, from 1.
    pub(super) line: usize,
    /// Lines such as `Proc-Type: 4,ENCRYPTED` before the base64.
    pub(super) has_headers: bool,
}

pub(super) struct Document {
    pub(super) blocks: Vec<Block>,
    /// Lines that belong to no block and are not blank.
    pub(super) stray_lines: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("it is empty")]
    Empty,
    #[error("it is a certificate in binary form (DER), and PEM is needed")]
    BinaryCertificate,
    #[error("it is a private key in binary form, which has no business here")]
    BinaryKey,
    #[error("it is a PKCS#12 container, which usually holds a private key as well")]
    Pkcs12,
    #[error("it is text in UTF-16, as some Windows programs save it")]
    Utf16,
    #[error("it is PEM inside base64, as in the data of a Kubernetes secret")]
    Base64,
    #[error("its line breaks are the two characters `\\n`, as in JSON")]
    EscapedNewlines,
    #[error("it holds no PEM block")]
    NoBlock,
    #[error("line {0}: `BEGIN` and `END` must stand alone on a line, between five hyphens each")]
    Boundary(usize),
    #[error("line {0}: a block ends that never began")]
    MissingBegin(usize),
    #[error("line {line}: the block `{label}` has no end")]
    MissingEnd { label: String, line: usize },
    #[error("line {line}: the block `{label}` ends as another kind")]
    OtherEnd { label: String, line: usize },
    #[error("line {0}: this is not base64")]
    NotBase64(usize),
    #[error("line {0}: the base64 of this block is cut off or damaged")]
    Damaged(usize),
    #[error("line {0}: the block is empty")]
    EmptyBlock(usize),
}

impl PemError {
    pub(super) fn cure(&self) -> &'static str {
        match self {
            Self::Empty | Self::NoBlock | Self::EmptyBlock(_) => {
                "give the issuing CA's certificate, from `-----BEGIN CERTIFICATE-----` on"
            }
            Self::BinaryCertificate => {
                "convert it with `openssl x509 -inform DER -in FILE -out FILE.pem`"
            }
            Self::BinaryKey => super::error::LEAKED_KEY,
            Self::Pkcs12 => "take the certificates out with `openssl pkcs12 -in FILE -nokeys`",
            Self::Utf16 => "save it as UTF-8 or ASCII",
            Self::Base64 => "decode it once, with `base64 -d`",
            Self::EscapedNewlines => "turn each `\\n` into a line break, as `jq -r` does",
            Self::Boundary(_) => "put each line of the file on a line of its own",
            Self::MissingBegin(_)
            | Self::MissingEnd { .. }
            | Self::OtherEnd { .. }
            | Self::NotBase64(_)
            | Self::Damaged(_) => "copy the whole file again; a part is missing or damaged",
        }
    }
}

pub(super) fn read(input: &[u8]) -> Result<Document, PemError> {
    let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    if text.trim_ascii().is_empty() {
        return Err(PemError::Empty);
    }
    let mut reader = Reader { lines: text.split(|byte| *byte == b'\n'), number: 0 };
    let mut document = Document { blocks: Vec::new(), stray_lines: 0 };
    while let Some(line) = reader.next() {
        match classify(line) {
            Line::Blank => {}
            Line::Begin(label) => document.blocks.push(reader.block(label)?),
            Line::Text => document.stray_lines += 1,
            Line::End(_) => return Err(PemError::MissingBegin(reader.number)),
            Line::Broken if has_escaped_newlines(text) => return Err(PemError::EscapedNewlines),
            Line::Broken => return Err(PemError::Boundary(reader.number)),
        }
    }
    if document.blocks.is_empty() { Err(what_else(text)) } else { Ok(document) }
}

/// Writes one block. A key passes through no buffer that stays behind.
pub(super) fn write(label: &str, der: &[u8]) -> String {
    let lines = der.len().div_ceil(BYTES_PER_LINE);
    let mut text = String::with_capacity(2 * label.len() + 40 + lines * 65);
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut line = Zeroizing::new([0; 64]);
    for chunk in der.chunks(BYTES_PER_LINE) {
        // 48 bytes are exactly 64 characters, so this cannot fail.
        let written = STANDARD.encode_slice(chunk, line.as_mut_slice()).unwrap_or_default();
        let encoded = line.get(..written).unwrap_or_default();
        text.push_str(std::str::from_utf8(encoded).unwrap_or_default());
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

enum Line<'a> {
    Blank,
    Begin(&'a str),
    End(&'a str),
    /// Begins or ends a block, but not as a line may.
    Broken,
    Text,
}

fn classify(line: &[u8]) -> Line<'_> {
    if line.is_empty() {
        Line::Blank
    } else if let Some(label) = label(line, BEGIN) {
        Line::Begin(label)
    } else if let Some(label) = label(line, END) {
        Line::End(label)
    } else if [b"-----BEGIN".as_slice(), b"-----END", b"BEGIN CERTIFICATE", b"END CERTIFICATE"]
        .iter()
        .any(|marker| contains(line, marker))
    {
        Line::Broken
    } else {
        Line::Text
    }
}

fn label<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a str> {
    let label = line.strip_prefix(start)?.strip_suffix(DASHES)?;
    let plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let fits = !label.is_empty() && label.len() <= LONGEST_LABEL && label.iter().all(plain);
    if fits { std::str::from_utf8(label).ok() } else { None }
}

struct Reader<I> {
    lines: I,
    number: usize,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Reader<I> {
    fn next(&mut self) -> Option<&'a [u8]> {
        self.number += 1;
        self.lines.next().map(<[u8]>::trim_ascii)
    }

    /// Reads from behind `BEGIN` to `END`.
    fn block(&mut self, label: &str) -> Result<Block, PemError> {
        let begin = self.number;
        let mut body = Vec::new();
        let mut has_headers = false;
        while let Some(line) = self.next() {
            match classify(line) {
                Line::Blank => {}
                Line::End(end) if end == label => {
                    let (kind, der) = decode(label, &body, begin)?;
                    let label = label.to_owned();
                    return Ok(Block { kind, label, der, line: begin, has_headers });
                }
                Line::End(_) => {
                    return Err(PemError::OtherEnd { label: label.to_owned(), line: self.number });
                }
                Line::Begin(_) => break,
                Line::Broken => return Err(PemError::Boundary(self.number)),
                Line::Text if body.is_empty() && line.contains(&b':') => has_headers = true,
                Line::Text if line.iter().copied().all(is_base64) => body.push(line),
                Line::Text => return Err(PemError::NotBase64(self.number)),
            }
        }
        Err(PemError::MissingEnd { label: label.to_owned(), line: begin })
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn decode(
    label: &str,
    body: &[&[u8]],
    line: usize,
) -> Result<(Kind, Zeroizing<Vec<u8>>), PemError> {
    if body.is_empty() {
        return Err(PemError::EmptyBlock(line));
    }
    let decoded = match read_one_from_slice(&block_of(label, body)) {
        Ok(Some((item, _))) => take(item),
        // It decodes no label that it does not know. Whether such a block is damaged counts all the
        // same, and this label is one of those it decodes in constant time.
        Ok(None) => match read_one_from_slice(&block_of("PRIVATE KEY", body)) {
            Ok(Some((item, _))) => take(item).map(|(_, der)| (Kind::Other, der)),
            _ => None,
        },
        // Its message quotes what it could not decode, which may be a part of a key.
        Err(_) => None,
    };
    decoded.filter(|(_, der)| ends_as_encoded(body, der)).ok_or(PemError::Damaged(line))
}

/// The block as tools write it, but for the length of its one line: a buffer that is filled at once
/// leaves no smaller copies behind, here and in `rustls_pemfile`.
fn block_of(label: &str, body: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let frame: [&[u8]; 6] =
        [BEGIN, label.as_bytes(), b"-----\n", b"\n-----END ", label.as_bytes(), DASHES];
    let length = frame.iter().chain(body).map(|part| part.len()).sum();
    let mut block = Zeroizing::new(Vec::with_capacity(length));
    let (head, tail) = frame.split_at(3);
    for part in head.iter().chain(body).chain(tail) {
        block.extend_from_slice(part);
    }
    block
}

/// `None`: a kind that `rustls_pemfile` did not have when this was written.
fn take(item: Item) -> Option<(Kind, Zeroizing<Vec<u8>>)> {
    let public = |kind, der: &[u8]| Some((kind, Zeroizing::new(der.to_vec())));
    let secret = |kind, key: PrivateKeyDer<'static>| {
        let key = Zeroizing::new(key);
        Some((kind, Zeroizing::new(key.secret_der().to_vec())))
    };
    match item {
        Item::X509Certificate(der) => public(Kind::Certificate, &der),
        Item::Pkcs1Key(key) => secret(Kind::Pkcs1Key, key.into()),
        Item::Pkcs8Key(key) => secret(Kind::Pkcs8Key, key.into()),
        Item::Sec1Key(key) => secret(Kind::Sec1Key, key.into()),
        Item::SubjectPublicKeyInfo(der) => public(Kind::Other, &der),
        Item::Crl(der) => public(Kind::Other, &der),
        Item::Csr(der) => public(Kind::Other, &der),
        _ => None,
    }
}

/// Whether the last four characters are those that an encoder writes.
fn ends_as_encoded(body: &[&[u8]], der: &[u8]) -> bool {
    let Some(last) = der.chunks(3).next_back() else { return false };
    let mut expected = Zeroizing::new([0; 4]);
    STANDARD.encode_slice(last, expected.as_mut_slice()).is_ok()
        && body.iter().rev().flat_map(|line| line.iter().rev()).take(4).eq(expected.iter().rev())
}

fn has_escaped_newlines(text: &[u8]) -> bool {
    contains(text, br"-----\n") || contains(text, br"-----\r")
}

/// Names what was given instead of PEM.
fn what_else(text: &[u8]) -> PemError {
    if begins_with(text, &[0x30]) {
        PemError::BinaryCertificate
    } else if is_private_key(text) {
        PemError::BinaryKey
    } else if begins_with(text, &[0x02, 1, 3]) {
        PemError::Pkcs12
    } else if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
        PemError::Utf16
    } else if text.trim_ascii_start().starts_with(b"LS0tLS1CRUdJTi") {
        PemError::Base64
    } else {
        PemError::NoBlock
    }
}

/// Whether this is the DER of a private key, whatever the label around it says.
pub(super) fn is_private_key(der: &[u8]) -> bool {
    begins_with(der, &[0x02, 1, 0]) || begins_with(der, &[0x02, 1, 1])
}

/// Whether this is a DER sequence with such a beginning.
fn begins_with(der: &[u8], start: &[u8]) -> bool {
    match der {
        [0x30, 0x82, _, _, content @ ..]
        | [0x30, 0x81, _, content @ ..]
        | [0x30, 0x00..=0x7f, content @ ..] => content.starts_with(start),
        _ => false,
    }
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
