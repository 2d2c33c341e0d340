//! What a case is, and how a module lists its own.

use crate::lab::{Node, Outfit, Suite, pool};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) suites: &'static [Suite],
    body: Body,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    /// On a node that is as it was after its boot; perhaps another case had it before.
    Clean(fn(&Node)),
    /// The same, on a Kubernetes node whose containerd looks in certs.d already.
    Kubernetes(fn(&Node)),
    /// On a node of its own: no other case could have it afterwards.
    Fresh(fn(&Node)),
    /// On as many as it boots itself.
    Alone(fn()),
}

impl Case {
    pub(crate) const fn new(name: &'static str, body: Body) -> Self {
        Self { name, suites: &Suite::ALL, body }
    }

    /// The same case, on these generations only.
    pub(crate) const fn on(self, suites: &'static [Suite]) -> Self {
        Self { suites, ..self }
    }

    /// Whether it takes a node that another case had, and leaves it to the next one.
    pub(crate) fn shares_its_node(&self) -> bool {
        matches!(self.body, Body::Clean(_) | Body::Kubernetes(_))
    }

    pub(crate) fn run(&self, suite: Suite) {
        match self.body {
            Body::Clean(body) => pool::on_a_clean_node(suite, Outfit::Packaged, body),
            Body::Kubernetes(body) => pool::on_a_clean_node(suite, Outfit::Kubernetes, body),
            Body::Fresh(body) => pool::on_a_fresh_node(suite, body),
            Body::Alone(body) => body(),
        }
    }
}

/// A case under its function's name, on all generations and on a clean node.
macro_rules! case {
    ($body:ident) => {
        $crate::case::case!(Clean $body)
    };
    ($kind:ident $body:ident) => {
        $crate::case::Case::new(stringify!($body), $crate::case::Body::$kind($body))
    };
}
pub(crate) use case;
