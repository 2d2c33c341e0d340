//! The table, and whether the bars are met.

use std::process::ExitCode;

use super::measure::{Case, Figures, Pair, Took};
use super::tree::Authorities;

/// A no-op apply against opening and reading the same files: both by the clock and in time of a
/// processor, for either could be met at the expense of the other.
const LOOK_BAR: f64 = 3.0;

/// A first apply against writing the same files, each durably by itself.
const APPLY_BAR: f64 = 4.0;

/// How much more time one registry may take when there are ten times as many. Less than this is the
/// kernel's caches; what grows with the square would be near ten.
const GROWTH_BAR: f64 = 1.5;

#[derive(Debug, Default)]
pub(crate) struct Report {
    missed: Vec<String>,
    /// Registries and the seconds that a no-op apply takes for each, of the case before.
    before: Option<(usize, f64)>,
}

impl Report {
    pub(crate) fn add(&mut self, case: &Case, figures: Figures) {
        let what = match case.authorities {
            Authorities::Shared => "5 shared CAs",
            Authorities::Distinct => "a CA of its own for each",
        };
        println!("\n{} registries, {what}: {} files on the node", case.registries, figures.files);
        println!(
            "  {:12} {:>12} {:>12} {:>7} {:>15} {:>14} {:>10}",
            "", "regtrust", "bare", "median", "(from, to)", "per registry", "memory"
        );
        let apply = row("first apply", case, &figures.applies, elapsed, figures.apply_memory);
        row("  processor", case, &figures.applies, processor, figures.apply_memory);
        let look = row("no-op apply", case, &figures.looks, elapsed, figures.look_memory);
        let look_processor =
            row("  processor", case, &figures.looks, processor, figures.look_memory);
        // What each registry's own CA costs is printed, and no bar was set for it.
        if case.authorities == Authorities::Distinct {
            return;
        }
        self.hold(case, "first apply", apply, APPLY_BAR);
        self.hold(case, "no-op apply", look, LOOK_BAR);
        self.hold(case, "no-op apply (processor)", look_processor, LOOK_BAR);
        self.growth(case, &figures.looks);
    }

    fn hold(&mut self, case: &Case, what: &str, ratio: f64, bar: f64) {
        if ratio > bar {
            let registries = case.registries;
            self.missed.push(format!(
                "{what} of {registries} registries: {ratio:.2} × the bare calls, at most {bar} × is the bar"
            ));
        }
    }

    fn growth(&mut self, case: &Case, looks: &[Pair]) {
        let each = median(looks.iter().map(|pair| processor(pair.regtrust)));
        let each = each / case.registries as f64;
        if let Some((registries, before)) = self.before {
            let growth = each / before;
            println!(
                "  one registry in a no-op apply: {growth:.2} × what it takes among {registries}"
            );
            if growth > GROWTH_BAR {
                self.missed.push(format!(
                    "no-op apply: one of {} registries takes {growth:.2} × as long as one of \
                     {registries}, at most {GROWTH_BAR} × is linear",
                    case.registries
                ));
            }
        }
        self.before = Some((case.registries, each));
    }

    pub(crate) fn finish(self) -> ExitCode {
        println!();
        if self.missed.is_empty() {
            println!(
                "All bars are met: no-op apply ≤ {LOOK_BAR} × bare open and read, first apply ≤ \
                 {APPLY_BAR} × bare write, fsync, rename and fsync of the directory, linear growth."
            );
            return ExitCode::SUCCESS;
        }
        for missed in &self.missed {
            println!("MISSED: {missed}");
        }
        ExitCode::FAILURE
    }
}

/// What somebody waits for. A first apply waits for the disk most of the time, so it is judged by
/// this alone.
fn elapsed(took: Took) -> f64 {
    took.elapsed.as_secs_f64()
}

/// What a no-op apply takes on a machine that has nothing else to do: all it reads is in the kernel's
/// cache, so it waits for nothing. Nobody else's work is in it, so this is what growth is judged by.
fn processor(took: Took) -> f64 {
    took.processor.as_secs_f64()
}

/// Prints medians, and returns that of the ratios.
fn row(name: &str, case: &Case, pairs: &[Pair], of: fn(Took) -> f64, memory: u64) -> f64 {
    let ratios = || pairs.iter().map(|pair| of(pair.regtrust) / of(pair.bare));
    let regtrust = median(pairs.iter().map(|pair| of(pair.regtrust)));
    let bare = median(pairs.iter().map(|pair| of(pair.bare)));
    let lowest = ratios().fold(f64::INFINITY, f64::min);
    let highest = ratios().fold(0.0, f64::max);
    println!(
        "  {name:12} {:>12} {:>12} {:>7.2} {:>15} {:>14} {:>10}",
        time(regtrust),
        time(bare),
        median(ratios()),
        format!("({lowest:.2}, {highest:.2})"),
        time(regtrust / case.registries as f64),
        format!("{:.1} MiB", memory as f64 / 1024.0),
    );
    median(ratios())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.001 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} µs", s * 1e6),
    }
}
