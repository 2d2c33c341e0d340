//! From the start of the process to `READY=1`, with which whoever waits for regtrustd goes on.

use std::path::Path;

use super::REGISTRIES;
use super::bars::{Bars, milliseconds, quantile, sorted};
use super::served::{Served, make};

const STARTS: usize = 40;
const BAR: f64 = 0.050;

pub(crate) fn measure(scratch: &Path, bars: &mut Bars) {
    println!("\nfrom start to READY, {REGISTRIES} registries");
    let tree = scratch.join("ready");
    make(&tree, REGISTRIES);
    let first = Served::start(scratch, &tree).ready.as_secs_f64();
    let again = sorted((0..STARTS).map(|_| Served::start(scratch, &tree).ready.as_secs_f64()));
    let shown = milliseconds(quantile(&again, 0.5));
    bars.hold(&format!("median of {STARTS} starts"), shown, "50 ms", quantile(&again, 0.5) <= BAR);
    Bars::show("the slowest of them", milliseconds(quantile(&again, 1.0)));
    // As many durable writes as there are files: what a new node waits for once.
    Bars::show("the very first, which writes all files", milliseconds(first));
}
