//! Decides what must change on the node. Pure: reads nothing, writes nothing, cannot fail.

pub mod change;
