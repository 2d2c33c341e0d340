//! The least that any program would have to do with the same files: what regtrust is held against.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::measure::Took;
use super::tree::Managed;

/// Opens, reads and closes each of the files that `list` names, one to a line.
pub(crate) fn read(list: &str) -> ExitCode {
    for path in fs::read_to_string(list).expect("read the list").lines() {
        fs::read(path).expect("read what regtrust wrote");
    }
    ExitCode::SUCCESS
}

/// Writes each file under another name, syncs it, renames it, and syncs its directory: what keeps
/// one file safe, once for each. Directories are made on the way.
pub(crate) fn write(root: &Path, files: &[Managed]) -> Took {
    let targets: Vec<_> = files.iter().map(|file| (root.join(&file.path), &file.bytes)).collect();
    Took::of(|| targets.iter().for_each(|(path, bytes)| replace(path, bytes)))
}

fn replace(path: &Path, bytes: &[u8]) {
    let directory = path.parent().expect("a file lies in a directory");
    fs::create_dir_all(directory).expect("make a directory");
    let staged = directory.join(".staged");
    let mut file = File::create(&staged).expect("create");
    file.write_all(bytes).expect("write");
    file.sync_all().expect("sync a file");
    fs::rename(&staged, path).expect("rename");
    File::open(directory).expect("open").sync_all().expect("sync a directory");
}
