//! What a plan promises, rule by rule, on nodes in memory.

mod daemon;
mod directories;
