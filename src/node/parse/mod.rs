//! What files on a node say: text in, values out. Pure.

pub mod containerd;
pub mod environment;
pub mod flags;
pub mod glob;
pub mod kubelet;
pub mod os_release;
pub mod packages;
pub mod process;
pub mod unit;
pub mod words;
