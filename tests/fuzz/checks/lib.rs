//! What must hold of any input whatever: one function for each fuzz target.
//!
//! They are ordinary functions, so that `tests/fuzz_seeds.rs` runs them as well and none can rot.
//! An assertion that fails is a finding, and so is whatever panics below it.

use std::fmt::Display;

pub mod address;
pub mod certificate;
pub mod config_toml;
pub mod daemon_json;
pub mod declarations;
pub mod hosts_toml;
pub mod journal;
pub mod policy;

pub type Check = fn(&[u8]);

/// Every target by its name, which is also that of its directory of seeds.
pub const TARGETS: [(&str, Check); 10] = [
    ("address", address::check),
    ("certificate", certificate::check),
    ("certificate_der", certificate::check_der),
    ("config_toml", config_toml::check),
    ("daemon_json", daemon_json::check),
    ("declarations", declarations::check),
    ("hosts_toml", hosts_toml::check),
    ("journal", journal::check),
    ("journal_sealed", journal::check_sealed),
    ("policy", policy::check),
];

/// Messages end up in logs and terminals: nothing in one may move a cursor or begin a second line.
fn assert_printable(message: &impl Display) {
    let message = message.to_string();
    assert!(!message.chars().any(char::is_control), "{message:?}");
}
