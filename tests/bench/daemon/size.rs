//! How large the program is as packages ship it: without its symbols.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::bars::Bars;

const BAR: f64 = 8.0;

pub(crate) fn measure(scratch: &Path, bars: &mut Bars) {
    println!("\nsize");
    let what = "regtrustd, stripped";
    for (name, program) in [
        ("regtrustd", env!("CARGO_BIN_EXE_regtrustd")),
        ("regtrust", env!("CARGO_BIN_EXE_regtrust")),
    ] {
        let stripped = scratch.join(name);
        let done = Command::new("strip").arg("-o").arg(&stripped).arg(program).status();
        if !done.is_ok_and(|status| status.success()) {
            return bars.unmeasured(what, "`strip` does not work here");
        }
        let bytes = fs::metadata(&stripped).expect("examine the program").len();
        let size = bytes as f64 / f64::from(1 << 20);
        let shown = format!("{size:.2} MiB");
        if name == "regtrustd" {
            bars.hold(what, shown, "8 MiB", size <= BAR);
        } else {
            Bars::show("regtrust, stripped", shown);
        }
    }
}
