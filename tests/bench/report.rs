//! The table, and whether the bars are met.

use std::process::ExitCode;
use std::time::Duration;

use super::measure::{Case, Figures, Pair};
use super::tree::Authorities;

/// A no-op apply against opening and reading the same files.
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
            "", "regtrust", "bare", "ratio", "(from, to)", "per registry", "memory"
        );
        let apply = self.row("first apply", case, &figures.applies, figures.apply_memory);
        let look = self.row("no-op apply", case, &figures.looks, figures.look_memory);
        // What each registry's own CA costs is printed, and no bar was set for it.
        if case.authorities == Authorities::Distinct {
            return;
        }
        self.hold(case, "first apply", apply, APPLY_BAR);
        self.hold(case, "no-op apply", look, LOOK_BAR);
        self.growth(case, &figures.looks);
    }

    fn row(&self, name: &str, case: &Case, pairs: &[Pair], memory: u64) -> f64 {
        let ratios = sorted(pairs.iter().map(Pair::ratio));
        let regtrust = median(&sorted(pairs.iter().map(|pair| pair.regtrust.as_secs_f64())));
        let bare = median(&sorted(pairs.iter().map(|pair| pair.bare.as_secs_f64())));
        println!(
            "  {name:12} {:>12} {:>12} {:>7.2} {:>15} {:>14} {:>10}",
            time(regtrust),
            time(bare),
            median(&ratios),
            format!("({:.2}, {:.2})", ratios[0], ratios[ratios.len() - 1]),
            time(regtrust / case.registries as f64),
            format!("{:.1} MiB", memory as f64 / 1024.0),
        );
        median(&ratios)
    }

    fn hold(&mut self, case: &Case, what: &str, ratio: f64, bar: f64) {
        if ratio > bar {
            let registries = case.registries;
            self.missed.push(format!(
                "{what} of {registries} registries: {ratio:.2} × the bare calls, at most {bar} × is the bar"
            ));
        }
    }

    /// Of the fastest runs: they are what the program does, the others are what the machine did.
    fn growth(&mut self, case: &Case, looks: &[Pair]) {
        let fastest = looks.iter().map(|pair| pair.regtrust).min().unwrap_or(Duration::ZERO);
        let each = fastest.as_secs_f64() / case.registries as f64;
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

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let upper = sorted.len() / 2;
    let lower = (sorted.len() - 1) / 2;
    f64::midpoint(sorted[lower], sorted[upper])
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.001 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} µs", s * 1e6),
    }
}
