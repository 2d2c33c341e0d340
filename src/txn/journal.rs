//! What survives a crash: the whole transaction, in one file that is durable before anything else
//! is touched.
//!
//! Contents stand in it once, by digest, however many files share them. Key material never stands
//! in it, only its digest: the bytes are in [`blobs`](super::blobs), where they can be erased.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::content::{Content, Sha256Hex};
use crate::path::NodePath;

/// A newer one is refused, not guessed.
const FORMAT: u32 = 1;

pub(super) const NAME: &str = "journal.json";
pub(super) const STAGED_NAME: &str = "journal.json.tmp";
/// What an operator calls a journal whose change is to be neither finished nor taken back.
pub(super) const ABANDONED_NAME: &str = "journal.abandoned";

pub(super) fn path() -> NodePath {
    super::lock::state_directory().join(NAME)
}

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal `{path}` has format {format}, this program reads up to {FORMAT}")]
    Newer { path: NodePath, format: u32 },
    /// A crash of ours cannot leave one: it is whole before it gets its name.
    #[error("the journal `{path}` is unreadable; refusing to guess what was applied")]
    Unreadable { path: NodePath, source: serde_json::Error },
    #[error("the journal `{path}` is damaged: {what}; refusing to guess what was applied")]
    Damaged { path: NodePath, what: &'static str },
}

/// Where a target stands, or shall stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

/// A transaction, as the journal has it. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Journal {
    /// Names what is staged. It follows from the rest, so it needs neither a clock nor chance.
    pub(super) id: String,
    /// Only those that were not there.
    pub(super) make_directories: Vec<NodePath>,
    pub(super) units: Vec<Unit>,
    pub(super) remove_directories: Vec<NodePath>,
    pub(super) contents: BTreeMap<Sha256Hex, Content>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unit {
    pub(super) number: usize,
    pub(super) directory: Option<Directory>,
    pub(super) edits: Vec<Edit>,
}

impl Unit {
    /// The directory that is to be gone with the last file in it. Where it cannot be moved it is
    /// emptied file by file, and a crash may come before it is removed.
    pub(super) fn emptied(&self) -> Option<&NodePath> {
        let directory = self.directory.as_ref()?;
        let goes = directory.existed && !directory.keep;
        (goes && self.edits.iter().all(|edit| edit.after.is_none())).then_some(&directory.path)
    }
}

/// A directory that changes as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Directory {
    pub(super) path: NodePath,
    pub(super) existed: bool,
    /// It stays when nothing is left in it: it was there before anything of ours.
    pub(super) keep: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    pub(super) number: usize,
    pub(super) path: NodePath,
    pub(super) before: Option<Image>,
    pub(super) after: Option<Image>,
}

impl Edit {
    pub(super) fn image(&self, side: Side) -> Option<&Image> {
        match side {
            Side::Old => self.before.as_ref(),
            Side::New => self.after.as_ref(),
        }
    }

    /// Only then does the mode tell the two apart. Otherwise a `chmod` by somebody else would make
    /// the target look like neither.
    pub(super) fn changes_only_the_mode(&self) -> bool {
        let digest = |image: &Option<Image>| image.as_ref().map(|image| image.sha256);
        digest(&self.before) == digest(&self.after)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    pub(super) sha256: Sha256Hex,
    pub(super) mode: Option<u32>,
    pub(super) owner: Option<(u32, u32)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    /// Of the body as we print it. The rename protects against a torn file, this against a disk
    /// that returns other bytes than it was given.
    sha256: Sha256Hex,
    body: Body,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    make_directories: Vec<NodePath>,
    units: Vec<Unit>,
    remove_directories: Vec<NodePath>,
    contents: BTreeMap<Sha256Hex, Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    Base64(String),
    Blob,
}

/// The one field that every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl Journal {
    /// Returns the journal's bytes, and sets the `id` that follows from them.
    pub(super) fn print(&mut self) -> Result<Vec<u8>, JournalError> {
        let body = Body {
            make_directories: self.make_directories.clone(),
            units: self.units.clone(),
            remove_directories: self.remove_directories.clone(),
            contents: self
                .contents
                .iter()
                .map(|(digest, content)| (*digest, keep(content)))
                .collect(),
        };
        let sha256 = digest_of(&body)?;
        self.id = sha256.short();
        serde_json::to_vec(&Document { format: FORMAT, sha256, body }).map_err(unreadable)
    }

    /// `blob` returns the bytes that are kept apart.
    pub(super) fn parse<E: From<JournalError>>(
        text: &[u8],
        mut blob: impl FnMut(&Sha256Hex) -> Result<Content, E>,
    ) -> Result<Self, E> {
        let Format { format } = serde_json::from_slice(text).map_err(unreadable)?;
        if format > FORMAT {
            return Err(JournalError::Newer { path: path(), format }.into());
        }
        let Document { sha256, body, .. } = serde_json::from_slice(text).map_err(unreadable)?;
        if digest_of(&body)? != sha256 {
            return Err(damaged("its checksum is another").into());
        }
        let mut contents = BTreeMap::new();
        for (digest, kept) in body.contents {
            let content = match kept {
                Kept::Blob => blob(&digest)?,
                Kept::Base64(text) => Content::plain(
                    STANDARD.decode(text).map_err(|_| damaged("a content is not base64"))?,
                ),
            };
            contents.insert(digest, content);
        }
        Ok(Self {
            id: sha256.short(),
            make_directories: body.make_directories,
            units: body.units,
            remove_directories: body.remove_directories,
            contents,
        })
    }

    /// The bytes of an image. They are always there: the journal is made and checked as a whole.
    pub(super) fn content(&self, image: &Image) -> Result<&Content, JournalError> {
        self.contents.get(&image.sha256).ok_or_else(|| damaged("a content is missing"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.make_directories.is_empty()
            && self.units.is_empty()
            && self.remove_directories.is_empty()
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &Content> {
        self.contents.values().filter(|content| content.is_secret())
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("id", &self.id)
            .field("units", &self.units.len())
            .field("contents", &self.contents.len())
            .finish_non_exhaustive()
    }
}

fn keep(content: &Content) -> Kept {
    match content {
        Content::Secret(_) => Kept::Blob,
        Content::Plain(_) => Kept::Base64(STANDARD.encode(content.bytes())),
    }
}

fn digest_of(body: &Body) -> Result<Sha256Hex, JournalError> {
    serde_json::to_vec(body).map(|text| Sha256Hex::of(&text)).map_err(unreadable)
}

fn unreadable(source: serde_json::Error) -> JournalError {
    JournalError::Unreadable { path: path(), source }
}

fn damaged(what: &'static str) -> JournalError {
    JournalError::Damaged { path: path(), what }
}
