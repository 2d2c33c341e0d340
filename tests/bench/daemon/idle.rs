//! What a daemon does and keeps while nothing happens and nothing is pending.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regtrust::api::v1::GetStatusRequest;

use super::REGISTRIES;
use super::bars::Bars;
use super::served::{Served, make, runtime};

const IDLE: Duration = Duration::from_mins(1);
/// The threads that read and wrote files end when they have had nothing to do for ten seconds.
const SETTLE: Duration = Duration::from_secs(12);

/// System calls further apart than this belong to different wake-ups, in seconds. What a wake-up
/// does takes microseconds, and a tracer makes that a few milliseconds.
const APART: f64 = 0.25;

pub(crate) fn measure(scratch: &Path, bars: &mut Bars) {
    println!("\nidle for {} s, {REGISTRIES} registries", IDLE.as_secs());
    let tree = scratch.join("idle");
    make(&tree, REGISTRIES);
    let served = Served::start(scratch, &tree);
    // It has served somebody before it idles, as it has on any node.
    runtime().block_on(async {
        let mut client = served.client().await;
        client.get_status(GetStatusRequest {}).await.expect("ask for the status");
    });
    std::thread::sleep(SETTLE);

    let before = served.beats.load(Ordering::Relaxed);
    let trace = scratch.join("trace");
    let traced = traced(served.pid(), &trace);
    let beats = served.beats.load(Ordering::Relaxed) - before;
    if let Err(why) = traced {
        bars.unmeasured("wake-ups", &why);
    } else {
        let text = fs::read_to_string(&trace).expect("read the trace");
        let groups = wake_ups(&text);
        let others: Vec<_> = groups.iter().filter(|group| !is_beat(group)).collect();
        let shown = format!("{} of {}", others.len(), groups.len());
        // A trace without the watchdog's would have watched something else.
        let is_met = others.is_empty() && beats > 0 && groups.len() == beats;
        bars.hold("wake-ups that are not the watchdog's", shown, "0", is_met);
        Bars::show("watchdog messages meanwhile", beats);
        for group in others {
            println!("    {}", calls(group));
        }
    }
    let memory = memory(served.pid());
    let mib = |name: &str| memory.get(name).map_or(f64::NAN, |kib| *kib as f64 / 1024.0);
    for (name, bar) in [("RssAnon", 6.0), ("VmRSS", 14.0)] {
        let shown = format!("{:.2} MiB", mib(name));
        bars.hold(name, shown, &format!("{bar} MiB"), mib(name) <= bar);
    }
    Bars::show("VmHWM (the most it ever was)", format!("{:.2} MiB", mib("VmHWM")));
}

fn traced(pid: u32, file: &Path) -> Result<(), String> {
    let mut command = Command::new("strace");
    command.args(["-f", "-ttt", "-s", "256", "-p", &pid.to_string(), "-o"]).arg(file);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut strace = command.spawn().map_err(|error| format!("strace: {error}"))?;
    std::thread::sleep(IDLE);
    let id = i32::try_from(strace.id()).expect("a process id");
    // It lets go of the daemon and ends; killed, it would take the daemon with it.
    kill(Pid::from_raw(id), Signal::SIGINT).expect("end strace");
    strace.wait().expect("wait for strace");
    match fs::read_to_string(file) {
        Ok(text) if !text.is_empty() => Ok(()),
        _ => Err("strace may not look at the daemon".to_owned()),
    }
}

/// The lines of each wake-up, in order. A call that sleeps is written with the time it began, so the
/// first lines, one for each thread, are where the threads slept when the tracer came.
fn wake_ups(trace: &str) -> Vec<Vec<&str>> {
    let mut groups: Vec<(f64, Vec<&str>)> = Vec::new();
    let lines = trace.lines().filter(|line| !line.contains("<detached"));
    for line in lines {
        let at = line.split_whitespace().nth(1).and_then(|at| at.parse::<f64>().ok());
        let at = at.expect("each line has a time");
        match groups.last_mut() {
            Some((last, group)) if at - *last < APART => {
                *last = at;
                group.push(line);
            }
            _ => groups.push((at, vec![line])),
        }
    }
    groups.into_iter().skip(1).map(|(_, group)| group).collect()
}

fn is_beat(group: &[&str]) -> bool {
    group.iter().any(|line| line.contains("WATCHDOG=1"))
}

/// `epoll_wait ×2, read ×1`.
fn calls(group: &[&str]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in group {
        let call = line.split_whitespace().nth(2).and_then(|call| call.split('(').next());
        *counts.entry(call.unwrap_or("?")).or_default() += 1;
    }
    counts.iter().map(|(call, count)| format!("{call} ×{count} ")).collect()
}

/// In KiB, by the kernel's names.
fn memory(pid: u32) -> BTreeMap<String, u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("regtrustd is alive");
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().strip_suffix(" kB")?.parse().ok()?))
    };
    status.lines().filter_map(field).collect()
}
