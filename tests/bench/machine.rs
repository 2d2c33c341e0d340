//! Where the numbers were measured, without which they say nothing.

use std::fs;
use std::path::Path;

/// One line: processors, kernel, file system.
pub(crate) fn line(directory: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = text("/proc/sys/kernel/osrelease");
    let load = text("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{cores} cores ({}), Linux {}, {}, load {load}",
        processor(),
        kernel.trim(),
        file_system(directory)
    )
}

fn processor() -> String {
    let known = text("/proc/cpuinfo");
    let name = known.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("unknown processor", |(_, name)| name).to_owned()
}

/// The type and device of the mount with the longest prefix of the path.
fn file_system(directory: &Path) -> String {
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let mounts = text("/proc/self/mounts");
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let above = fields.filter(|(_, point, _)| directory.starts_with(point));
    above.max_by_key(|(_, point, _)| point.len()).map_or_else(
        || "unknown file system".to_owned(),
        |(device, point, kind)| format!("{kind} on {point} ({device})"),
    )
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
