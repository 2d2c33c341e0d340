//! What a failed case says: its own words, and then the node's.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::node::Node;

/// Runs `case`; when it panics, prints what the node's daemons said last, while the node still is.
pub(crate) fn with_last_words(node: &Node, case: impl FnOnce()) {
    // The node is only looked at afterwards, so a half-done change in it surprises nobody.
    let outcome = catch_unwind(AssertUnwindSafe(case));
    if let Err(panic) = outcome {
        // A node that went down cannot answer; its case has failed for that reason already.
        let words = catch_unwind(AssertUnwindSafe(|| node.last_words()));
        eprintln!("{}", words.unwrap_or_default());
        resume_unwind(panic);
    }
}
