//! The command line. Help is where people learn what the program does to their node, so it says so.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::observed::Version;

#[derive(Debug, Parser)]
#[command(
    name = "regtrust",
    version,
    about = "Makes this node's container runtimes trust the right image registries",
    long_about = "Makes this node's container runtimes trust the right image registries.\n\n\
        What should be trusted is declared in /etc/regtrust/registries.d/*.toml. `regtrust plan` \
        shows what that would change, as a diff and with the cost of every change; `regtrust apply` \
        does it, all or nothing; a declaration that goes away takes back exactly what it brought.",
    after_help = "\
Start here:
  regtrust lint       are the declarations right?
  regtrust plan       what would change on this node, and what would it cost?
  regtrust apply      change it
  regtrust explain HOST   why is it (not) trusted?

Where regtrustd is at work it does all that by itself, reloads and restarts included:
  regtrust status     how does the node stand, and what waits for what?
  regtrust check      do the runtimes themselves trust the registries now?
  regtrust locks      which node of the fleet restarts, and does anything stop the others?

Exit codes:
  0 done, or nothing to do        2 (plan, status) there is something to do
  1 something is blocked          64 wrong usage        74 a file could not be read or written
  69 regtrustd is not at work     75 another regtrust is at work
  77 your role does not allow it  78 a declaration, the policy or regtrustd.toml is wrong",
    arg_required_else_help = true
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) node: NodeArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what apply would change, as a diff, with the reason and the cost of every effect
    #[command(
        after_help = "Writes nothing. Exits 2 when there is something to do, else as apply would."
    )]
    Plan,
    /// Bring the declarations onto the node, all or nothing
    #[command(
        after_help = "Writes the runtimes' files and /var/lib/regtrust; a reload or restart that a \
            running daemon needs is named, with its command, and left to you. A second apply writes \
            nothing.\n\n\
            Where regtrustd is at work it is asked to look again, to try again what was rejected or \
            has failed, and to bring it into force; the answer is how the node stands then.\n\n\
            Exits 0 when all of it is done, 1 when something is blocked or refused and the rest is \
            done, 78 when a declaration or the policy is wrong and the rest is done, 75 when another \
            regtrust is at work."
    )]
    Apply(ApplyArgs),
    /// Show what is in force, what drifted, what is blocked, and what is still due
    #[command(
        after_help = "Where regtrustd is at work it is asked, and else the files are looked at. With \
            --json the answer of regtrustd is its NodeStatus, one a line with --watch.\n\n\
            Writes nothing. Exits 2 when there is something to do, else as apply would."
    )]
    Status(StatusArgs),
    /// Ask the runtimes themselves whether they trust the registries now
    #[command(
        after_help = "Needs regtrustd; without a name all registries are asked about. No image is \
            fetched and no credential is used: a registry that wants a login is trusted.\n\n\
            Writes nothing. Exits 0 when all are trusted, 1 when one is not or could not be asked."
    )]
    Check {
        /// As in an image reference: `harbor.corp:8443`
        hosts: Vec<String>,
    },
    /// Ask whether regtrustd is at work, as a probe does
    #[command(
        after_help = "Needs regtrustd, and asks gRPC's standard health service, which answers for the \
            loop that does the work. How the node stands is another question: that is `status`.\n\n\
            Writes nothing. Exits 0 when it is at work, 69 when it is not."
    )]
    Health,
    /// Keep what was applied on trial
    #[command(
        after_help = "Needs regtrustd. A set that an owner applied with `try_for` is taken back by \
            itself unless the owner confirms it. Writes down that it stays. Exits 1 when no trial of that revision is running."
    )]
    Confirm {
        /// The revision that the apply was answered with
        revision: u64,
    },
    /// Hold back every reload and restart for a while; files are still written
    #[command(
        after_help = "Needs regtrustd, and ends by itself. A second pause replaces the first. It is \
            written down, and so outlives regtrustd. Writes nothing else. Exits 0 when it holds."
    )]
    Pause(PauseArgs),
    /// End a pause
    #[command(
        after_help = "Needs regtrustd. What was held back is done as soon as it may be. Writes nothing \
            itself. Exits 0, also when there was no pause."
    )]
    Resume,
    /// Do what is due now, whatever runs here
    #[command(
        after_help = "Needs regtrustd. Says first what it will do, what that costs and whom it will \
            interrupt; then it wants a yes. A pause, held jobs and the hour do not stop it. Policy does.\n\n\
            Writes no file of a runtime's. Exits 0 when all of it is done, 1 when something went wrong or was not due."
    )]
    Restart(RestartArgs),
    /// Keep the node from being interrupted while a job runs
    #[command(
        after_help = "Needs regtrustd. Holds for as long as its standard input is open, and until \
            Ctrl-C, so it ends with the job that started it:\n\n  \
            exec {held}> >(regtrust hold ci/42)   # in bash, at the start of the job\n\n\
            With --for it runs the job itself, holds until that has ended, and exits as it does:\n\n  \
            regtrust hold ci/42 --for make test\n\n\
            Writes nothing. Exits 0 when it was ended, 75 when regtrustd has ended and nothing is held any more."
    )]
    Hold {
        /// For people, shown in status: `ci/42`
        name: String,
        /// Run this command, and hold until it has ended
        #[arg(long = "for", num_args = 1.., allow_hyphen_values = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Show who holds the fleet's lock, and whose attempts were never heard to succeed
    #[command(
        after_help = "Needs regtrustd and its `[fleet_lock]`, and asks the lock itself. Only etcd can \
            tell; a FleetLock server has tools of its own, and knows `unlock` alone.\n\n\
            Without a subcommand it writes nothing, and exits 0, or 1 when the group has stopped."
    )]
    Locks(LocksArgs),
    /// Tell everything about one registry: which file, which rule, which paths, which effects
    #[command(after_help = "Writes nothing. Exits 0, however the registry stands.")]
    Explain {
        /// As in an image reference: `harbor.corp:8443`
        host: String,
    },
    /// Check declarations and policy without looking at the runtimes
    #[command(after_help = "Writes nothing. Exits 78 when anything is wrong; a warning is not.")]
    Lint {
        /// Files or directories; default: what this node would load
        paths: Vec<PathBuf>,
    },
    /// Take over hand-made configuration of a declared registry, so that it can be changed and
    /// withdrawn like the rest
    #[command(
        after_help = "Writes what apply writes, and exits as it does; with --dry-run it writes nothing \
            and exits 2 when there is something to take over or to change."
    )]
    Adopt(AdoptArgs),
    /// List the generations that were in force
    #[command(after_help = "Writes nothing. Exits 0.")]
    History,
    /// Pin the node to an earlier generation, visibly and for a time
    #[command(
        after_help = "Policy, ends and withdrawals are checked again: what is no longer declared \
            does not come back, because taking trust away is never rolled back.\n\n\
            Writes what apply writes, and exits as it does; 64 when the generation is not kept."
    )]
    Rollback(RollbackArgs),
    /// Print the completion script for a shell
    #[command(after_help = "Writes nothing. Exits 0.")]
    Completions { shell: clap_complete::Shell },
    /// Print a page of the manual, for `man`; without a name, which pages there are
    #[command(after_help = "Writes nothing. Exits 0; 64 when there is no such page.")]
    Man {
        /// `regtrust-apply.1`
        page: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct StatusArgs {
    /// Show it again at every change, until Ctrl-C; needs regtrustd
    #[arg(long)]
    pub(super) watch: bool,
}

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// How long, at most 7 days: `30m`, `2h`
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub(super) lasting: jiff::SignedDuration,
    /// Shown in status
    #[arg(long)]
    pub(super) reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct LocksArgs {
    #[command(subcommand)]
    pub(super) command: Option<LocksCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum LocksCommand {
    /// Take the slots of a node away from it, such as of one that is gone for good
    #[command(
        after_help = "A node that is alive hears of it before it restarts anything, or in the middle \
            of a restart, which it then finishes. What it was trying stays unresolved.\n\n\
            Writes to the lock. Exits 0, also when it held none."
    )]
    Unlock {
        /// A node's name or its id, as `regtrust locks` shows them
        node: String,
    },
    /// Forget attempts that were never heard to succeed, so that a stopped group goes on
    #[command(
        after_help = "Attempts that are under way stay. Writes to the lock. Exits 0, also when \
            there was none."
    )]
    Resolve {
        /// Only of this node
        node: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    /// Only this; default: all that is due
    #[arg(long = "effect", value_enum, value_name = "EFFECT")]
    pub(super) effects: Vec<EffectName>,
    /// Also if it interrupts somebody; else that is asked, or on no terminal refused
    #[arg(long)]
    pub(super) yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EffectName {
    CaTool,
    DockerReload,
    DockerRestart,
    ContainerdRestart,
}

#[derive(Debug, Default, Args)]
pub(super) struct ApplyArgs {
    /// A reload or restart that was done since the last apply, where it cannot be seen from files
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) acknowledge: Vec<Acknowledge>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Acknowledge {
    /// dockerd was reloaded (`systemctl reload docker`) and took it
    DockerReload,
    /// dockerd was restarted
    DockerRestart,
    /// containerd was restarted
    ContainerdRestart,
}

#[derive(Debug, Args)]
pub(super) struct AdoptArgs {
    /// Declared registries whose files, entries and keys are handed over
    #[arg(required = true)]
    pub(super) hosts: Vec<String>,
    /// Show what would be taken over and changed, and stop there
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["generation", "release"])))]
pub(super) struct RollbackArgs {
    /// A number from `regtrust history`
    pub(super) generation: Option<u64>,
    /// Follow the declarations again
    #[arg(long)]
    pub(super) release: bool,
    /// How long the pin holds: `90m`, `24h`, `3d`
    #[arg(long = "for", value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub(super) lasting: jiff::SignedDuration,
    /// Shown in status
    #[arg(long)]
    pub(super) reason: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which node")]
pub(super) struct NodeArgs {
    /// Work on a tree that is not running: an image build, a chroot
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "host_root")]
    pub(super) root: Option<PathBuf>,
    /// Work on the running host whose directories are mounted here, from inside a container
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) host_root: Option<PathBuf>,
    /// Also load declarations from this directory, such as a mounted `ConfigMap`; with
    /// --host-root it is one of the container, else one of the node
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) declarations: Vec<String>,
    /// The docker version, where it cannot be told from the node's packages
    #[arg(long, global = true, value_name = "VERSION")]
    pub(super) docker_version: Option<Version>,
    /// The containerd version, where it cannot be told from the node's packages
    #[arg(long, global = true, value_name = "VERSION")]
    pub(super) containerd_version: Option<Version>,
    /// Whether images are pulled through containerd's CRI here, where it cannot be seen
    #[arg(long, global = true, value_name = "BOOL")]
    pub(super) cri: Option<bool>,
}

#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Print one JSON document for machines
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(super) color: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}

const LONGEST_PIN: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);

fn duration(text: &str) -> Result<jiff::SignedDuration, String> {
    let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let number: i64 =
        number.parse().map_err(|_| "expected a number and a unit, such as `24h`".to_owned())?;
    let hours = match unit {
        "m" => return bounded(jiff::SignedDuration::from_mins(number.clamp(0, 1 << 20))),
        "h" => 1,
        "d" => 24,
        _ => return Err("expected `m`, `h` or `d` after the number".to_owned()),
    };
    bounded(jiff::SignedDuration::from_hours(number.clamp(0, 1 << 20) * hours))
}

fn bounded(duration: jiff::SignedDuration) -> Result<jiff::SignedDuration, String> {
    if duration.is_zero() || duration > LONGEST_PIN {
        return Err("expected between a minute and 30 days".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn pins_last_minutes_hours_or_days_and_end() {
        assert_eq!(duration("90m"), Ok(jiff::SignedDuration::from_mins(90)));
        assert_eq!(duration("3d"), Ok(jiff::SignedDuration::from_hours(72)));
        for text in ["", "h", "0h", "31d", "5", "-1h", "1w", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
