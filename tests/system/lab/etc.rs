//! All of /etc, to be compared with what it is later.

use std::collections::BTreeSet;

use super::node::Node;

/// Every entry with its kind, mode, owner and target, and every file's bytes.
pub(crate) fn etc(node: &Node) -> String {
    node.sh("cd /etc && find . -printf '%p %y %m %u %g %l\\n' | sort; \
         find . -type f -print0 | sort --zero-terminated | xargs --null sha256sum")
}

/// What is on one side only.
pub(crate) fn difference(before: &str, after: &str) -> Vec<String> {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, after) = (lines(before), lines(after));
    let gone = before.difference(&after).map(|line| format!("- {line}"));
    gone.chain(after.difference(&before).map(|line| format!("+ {line}"))).collect()
}
