//! tar, as much of it as a container image's layer and a handful of files on their way to a node
//! need.

const BLOCK: usize = 512;

/// A file in an archive, with its path from `/`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub(super) path: &'a str,
    pub(super) mode: u32,
    pub(super) content: &'a [u8],
}

impl<'a> Member<'a> {
    pub(crate) fn file(path: &'a str, mode: u32, content: &'a [u8]) -> Self {
        Self { path: path.trim_start_matches('/'), mode, content }
    }
}

/// Directories are not listed: who unpacks makes them.
pub(crate) fn tar(members: &[Member<'_>]) -> Vec<u8> {
    let mut archive = Vec::new();
    for member in members {
        archive.extend(header(member));
        archive.extend(member.content);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

fn header(member: &Member<'_>) -> [u8; BLOCK] {
    let (prefix, name) = split(member.path);
    let mut header = [0; BLOCK];
    let mut put = |offset: usize, text: &str| {
        header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, name);
    put(100, &format!("{:07o}", member.mode));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", member.content.len()));
    put(136, "00000000000");
    put(148, "        "); // the checksum counts itself as blanks
    put(156, "0");
    put(257, "ustar\x0000");
    put(345, prefix);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A name has room for 100 bytes and the directories before it for 155.
fn split(path: &str) -> (&str, &str) {
    if path.len() <= 100 {
        return ("", path);
    }
    let slash = path.len() - 100 + path[path.len() - 100..].find('/').expect("a short file name");
    (&path[..slash], &path[slash + 1..])
}
