//! What a case is, and how a module lists its own.

use crate::lab::{Node, Suite, pool};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) suites: &'static [Suite],
    /// For cases that restart daemons: no other case could have the node afterwards, and they
    /// should find daemons that have just started.
    pub(crate) fresh: bool,
    pub(crate) body: fn(&Node),
}

impl Case {
    pub(crate) fn run(&self, suite: Suite) {
        if self.fresh {
            pool::on_a_fresh_node(suite, self.body);
        } else {
            pool::on_a_clean_node(suite, self.body);
        }
    }

    /// The same case, on these generations only.
    pub(crate) const fn on(self, suites: &'static [Suite]) -> Self {
        Self { suites, ..self }
    }

    /// The same case, on a node of its own.
    pub(crate) const fn fresh(self) -> Self {
        Self { fresh: true, ..self }
    }
}

/// A case under its function's name, on all generations.
macro_rules! case {
    ($body:ident) => {
        $crate::case::Case {
            name: stringify!($body),
            suites: &$crate::lab::Suite::ALL,
            fresh: false,
            body: $body,
        }
    };
}
pub(crate) use case;
