//! regtrust makes a node's container runtimes trust the right image registries.
//!
//! ```text
//!  source/        trust/            target/ + plan          txn/          effect/     verify/
//!  drop-in files ─▶ DesiredState ┐
//!  owners' sets     + Policy     ├─▶ effective ─▶ render ─┐
//!  state            (generation) ┘                        ├─▶ Plan ─▶ Transaction ─▶ Effects ─▶ Proof
//!  node/            NodeRoot ─▶ observe ──────────────────┘  (data)   (journal)      (systemd)  (ask)
//!  └─ IO ─┘         └──────────────── PURE ───────────────┘          └──────────── IO ────────────┘
//! ```
//!
//! The left decides and cannot touch the node; the right acts and may not decide. Only a
//! [`plan::Plan`] crosses, so what `plan` prints, what `--json` says and what `apply` does are the
//! same value. The linter holds the wall: the pure modules cannot name a file, a process, a clock or
//! the environment, and `grep -rn 'expect(clippy::disallowed' src` lists the code that can.
//!
//! [`reconcile`] is the only module that knows the order of one run, and [`agent`] the only one that
//! knows what follows from it.
//!
//! # Where to look
//!
//! | to learn | read |
//! |---|---|
//! | what a declaration may say | [`trust::declaration`], [`trust::host`], [`trust::certificate`] |
//! | what wins when things contradict | [`trust::effective`] |
//! | what a runtime version needs | `target/`, one file per thing that is configured |
//! | what is ours, and what happens to it | [`ledger`], [`plan`] |
//! | why a crash cannot leave half of it | [`txn`] |
//! | what a reload or a restart is due for | [`plan::effect`] |
//! | how it is done, and what counts as done | [`effect`] |
//! | what a restart would interrupt | [`jobs`] |
//! | what a runtime's own words about a registry mean | [`verify::classify`] |
//! | who may call the daemon, and what | [`settings`], [`identity`], [`owners`], [`api::access`] |
//! | who is at work here without a container engine | [`occupied`] |
//! | how new work is kept away during a restart | [`hold`] |
//! | when a restart may begin, as far as the calendar goes | [`window`] |
//! | what Prometheus is told | [`metrics`] |
//! | what keeps hostile peers from the others | [`api`], one file per line of its picture |
//!
//! # Choices that span modules
//!
//! * **rustix opens, nix identifies.** Everything with a file descriptor goes through rustix: it has
//!   `openat2`, `renameat2` with exchange, `statx` and extended attributes on every libc, musl
//!   included. nix is for what the process is: whether it may be dumped, what it may use.
//! * **Text is spliced, not printed.** `daemon.json` and `config.toml` belong to administrators. A
//!   parser finds where our key stands, the text around it is kept, and the result is parsed again
//!   and compared before it may be written.
//! * **No memory of how a file was.** What is ours is taken out of the file as it is *now*, so that
//!   nothing that others did since is lost.

pub mod agent;
pub mod api;
pub mod blocking;
pub mod cli;
pub mod content;
pub mod daemon;
pub mod effect;
pub mod fleet;
pub mod gate;
pub mod generation;
pub mod hold;
pub mod identity;
pub mod jobs;
pub mod ledger;
pub mod metrics;
pub mod node;
pub mod observed;
pub mod occupied;
pub mod owners;
pub mod path;
pub mod plan;
pub mod process;
pub mod pushed;
pub mod reconcile;
pub mod runtime;
pub mod settings;
mod sorted;
pub mod source;
pub mod state;
pub mod status;
pub mod target;
pub mod telemetry;
mod text;
pub mod trust;
pub mod txn;
pub mod verify;
pub mod window;
