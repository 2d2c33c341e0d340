//! System calls, as strace writes them down.

/// Calls that change a file system, or make a change durable, by how their names begin. Opening is
/// judged by its flags.
const MUTATING: [&str; 24] = [
    "chmod",
    "chown",
    "copy_file_range",
    "creat",
    "fallocate",
    "fchmod",
    "fchown",
    "fdatasync",
    "fremovexattr",
    "fsetxattr",
    "fsync",
    "ftruncate",
    "lchown",
    "link",
    "mkdir",
    "mknod",
    "pwrite",
    "rename",
    "rmdir",
    "sendfile",
    "sync",
    "truncate",
    "unlink",
    "write",
];
const RARE: [&str; 8] = [
    "futimesat",
    "lremovexattr",
    "lsetxattr",
    "removexattr",
    "setxattr",
    "splice",
    "symlink",
    "utime",
];

/// One system call that a program made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The thread that made it.
    pub(crate) by: u32,
    pub(crate) name: String,
    /// Among that thread's calls of this name, from 1: how strace counts too.
    pub(crate) number: usize,
    pub(crate) arguments: String,
}

impl Call {
    /// Whether it changes a file, or would: standard output and error are no files of the node.
    pub(crate) fn is_mutating(&self) -> bool {
        let begins = |prefix: &&str| self.name.starts_with(*prefix);
        if self.name.starts_with("open") {
            let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"];
            return writes.iter().any(|flag| self.arguments.contains(flag));
        }
        !self.is_speech() && (MUTATING.iter().any(begins) || RARE.iter().any(begins))
    }

    /// Writing to standard output or error.
    pub(crate) fn is_speech(&self) -> bool {
        self.name.starts_with("write")
            && matches!(self.arguments.as_bytes(), [b'1' | b'2', b',', ..])
    }
}

/// Reads lines such as `812 openat(3, "etc", O_RDONLY) = 4`.
pub(crate) fn parse(log: &str) -> Vec<Call> {
    let mut numbers = std::collections::BTreeMap::<(u32, String), usize>::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((by, rest)) = line.split_once(' ') else { continue };
        let Some((name, arguments)) = rest.trim_start().split_once('(') else { continue };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !name.bytes().all(is_name) {
            continue;
        }
        let by = by.parse().expect("strace -f begins each line with the thread");
        let number = numbers.entry((by, name.to_owned())).or_default();
        *number += 1;
        let arguments = arguments.to_owned();
        calls.push(Call { by, name: name.to_owned(), number: *number, arguments });
    }
    calls
}
