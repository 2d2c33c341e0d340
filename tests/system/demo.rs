//! `make demo`: what the README promises, shown on a node that is booted for it.
//!
//! Two processes. The inner one boots the node, tells the story and may be interrupted at any time;
//! the outer one outlives it, and looks whether anything of it is left on this machine.

use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use crate::lab;
use crate::lab::image::{self, Suite};
use stage::{Stage, tell};
use traces::Traces;

mod scratch;
mod stage;
mod story;
mod traces;

/// The first argument that makes this program the demo.
pub(crate) const ARGUMENT: &str = "show-demo";

/// And the one that makes it the inner process.
pub(crate) const STORY: &str = "tell-demo";

/// Set for the inner process, and so for all that it starts on this machine.
const MARK: &str = "REGTRUST_DEMO";

/// The generation that most machines have.
const SUITE: Suite = Suite::Trixie;

pub(crate) fn show() -> ExitCode {
    let mut stage = Stage::new();
    if let Some(why) = lab::machine::obstacle() {
        return scratch::show(&mut stage, &why);
    }
    image::of(SUITE);
    let began = Instant::now();
    let before = Traces::on_this_machine();
    let signals = interruptions();
    signals.thread_block().expect("signals can be held back");
    let mut story = Command::new(std::env::current_exe().expect("this program has a path"))
        .arg(STORY)
        .env(MARK, std::process::id().to_string())
        .spawn()
        .expect("the story begins");
    pass_on(signals, &story);
    let told = story.wait().expect("the story ends");

    let left = before.left_by(&story, Duration::from_secs(20));
    println!();
    if let Some(left) = &left {
        stage.warn(&format!("Still on this machine: {left}"));
    } else {
        let cache = image::cache();
        tell(&format!(
            "Left on this machine: no process, no mount, no network, no control group. The image \
             stays in {} for the next time.",
            cache.display()
        ));
    }
    if let Some(signal) = told.signal() {
        stage.warn("Interrupted.");
        return ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX));
    }
    if told.success() && left.is_none() {
        tell(&format!("That took {} s.", began.elapsed().as_secs()));
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

fn interruptions() -> SigSet {
    SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM])
}

/// What a terminal sends, it sends to both; what `kill` sends, to this process alone.
fn pass_on(signals: SigSet, story: &Child) {
    let story = Pid::from_raw(story.id().cast_signed());
    std::thread::spawn(move || {
        while let Ok(signal) = signals.wait() {
            // It may have ended by itself.
            _ = kill(story, signal);
        }
    });
}

/// What the inner process does.
pub(crate) fn perform() -> ExitCode {
    // What is held back out there is held back from whatever is started as well.
    interruptions().thread_unblock().expect("signals can be let through");
    story::perform(&mut Stage::new());
    ExitCode::SUCCESS
}

fn is_for_people() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
