//! What regtrustd costs a node: its size, how soon it is ready, what it does and keeps while nothing
//! happens, and how long one more CA takes from the call to the acknowledgement that it is durable.
//!
//! The daemon is the program itself with a service manager's socket, at work on a tree with docker
//! and containerd and a hundred declared registries. It fails when a bar is missed, or when something
//! cannot be measured here.
//!
//! ```text
//! cargo bench --bench daemon                  everything: about two minutes
//! cargo bench --bench daemon -- --only ready  or size, idle, call
//! cargo bench --bench daemon -- --in DIR      on another file system
//! ```
#![expect(
    clippy::cast_precision_loss,
    clippy::semicolon_if_nothing_returned,
    clippy::format_collect,
    reason = "it prints rounded figures, and what it does beside measuring may take its time"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "a benchmark acts on the node by itself, ends when it cannot, and shares its parts"
)]

#[path = "daemon/ansible.rs"]
mod ansible;
mod bare;
#[path = "daemon/bars.rs"]
mod bars;
#[path = "daemon/call.rs"]
mod call;
#[path = "daemon/idle.rs"]
mod idle;
mod machine;
mod measure;
#[path = "daemon/ready.rs"]
mod ready;
#[path = "daemon/served.rs"]
mod served;
#[path = "daemon/size.rs"]
mod size;
mod tree;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bars::Bars;
use tempfile::TempDir;

type Measure = fn(&Path, &mut Bars);

/// On the node while anything is measured, unless it says otherwise.
const REGISTRIES: usize = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts benchmarks as well, and they are no tests.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let after = |flag: &str| arguments.iter().skip_while(|one| *one != flag).nth(1);
    let directory = after("--in")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned(), PathBuf::from);
    println!("{}", machine::line(&directory));
    let scratch = TempDir::new_in(&directory).expect("make a scratch directory");
    let parts: [(&str, Measure); 4] = [
        ("size", size::measure),
        ("ready", ready::measure),
        ("idle", idle::measure),
        ("call", call::measure),
    ];
    let mut bars = Bars::default();
    for (name, measure) in parts {
        if after("--only").is_none_or(|only| only == name) {
            measure(scratch.path(), &mut bars);
        }
    }
    bars.finish()
}

/// Kept from one run to the next.
fn directory_of_tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned()
}
