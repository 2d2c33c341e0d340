//! Figures beside what they may be at most.

use std::fmt::Display;
use std::process::ExitCode;

#[derive(Debug, Default)]
pub(crate) struct Bars {
    missed: Vec<String>,
}

impl Bars {
    /// `shown` is what a person reads; `is_met` is decided on the figure itself.
    pub(crate) fn hold(&mut self, what: &str, shown: impl Display, bar: &str, is_met: bool) {
        let verdict = if is_met { "met" } else { "MISSED" };
        println!("  {what:44} {:>22}   bar {bar:18} {verdict}", shown.to_string());
        if !is_met {
            self.missed.push(format!("{what}: {shown}, the bar is {bar}"));
        }
    }

    /// For what has no bar.
    pub(crate) fn show(what: &str, shown: impl Display) {
        println!("  {what:44} {:>22}", shown.to_string());
    }

    /// What could not be measured here is not met.
    pub(crate) fn unmeasured(&mut self, what: &str, why: &str) {
        println!("  {what:44} NOT MEASURED: {why}");
        self.missed.push(format!("{what}: not measured, {why}"));
    }

    pub(crate) fn finish(self) -> ExitCode {
        if self.missed.is_empty() {
            println!("\nEvery bar is met.");
            return ExitCode::SUCCESS;
        }
        println!();
        self.missed.iter().for_each(|missed| println!("MISSED: {missed}"));
        ExitCode::FAILURE
    }
}

/// The value below which a share of the sorted ones lies.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is an index")]
    let at = (last as f64 * share).round() as usize;
    sorted[at.min(last)]
}

pub(crate) fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}
