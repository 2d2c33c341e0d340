//! What a plan promises, rule by rule, on nodes in memory.

mod blocked;
mod cautions;
mod config;
mod daemon;
mod directories;
mod effects;
mod files;
mod refused;
mod rejected;
mod store;
mod work;
