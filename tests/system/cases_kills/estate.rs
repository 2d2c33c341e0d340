//! What a control plane wants, one step after the other, and the registries that it is about.

use regtrust::api::v1::{ApplyRequest, ClientCertificate, Registry, Trust};

use crate::lab::certificates::Identity;
use crate::lab::{Authority, Node, Puller, Setup, registry};

/// One of each kind of change. Step `n` leads from state `n` to the next; the last one withdraws
/// everything.
pub(super) const STEPS: [&str; 6] = [
    "a CA, and config_path with a restart of containerd",
    "an insecure registry, with a reload",
    "a client pair",
    "a CA for the system store, with its tool and restarts",
    "another CA, another client pair, and HTTP instead of insecure",
    "nothing any more: the reload in two steps, the tool, restarts",
];

pub(super) struct Estate<'n> {
    corp: Authority,
    wide: Authority,
    next: Authority,
    pairs: [Identity; 2],
    secure: registry::Registry<'n>,
    plain: registry::Registry<'n>,
    guarded: registry::Registry<'n>,
    everywhere: registry::Registry<'n>,
    /// Never declared: what trusts it has loaded the system store.
    undeclared: registry::Registry<'n>,
}

impl<'n> Estate<'n> {
    pub(super) fn build(node: &'n Node) -> Self {
        let [corp, wide, next] = ["corp", "wide", "next"].map(Authority::new);
        let tls = |authority: &Authority| {
            let host = node.host();
            (Setup::tls(authority.server(&[&host.name])), host)
        };
        let start = |(setup, host): (Setup, _)| setup.at(&host).start(node);
        let (guarded, at) = tls(&corp);
        Self {
            secure: start(tls(&corp)),
            plain: Setup::plain().start(node),
            guarded: start((guarded.demanding_clients_of(&corp.root), at)),
            everywhere: start(tls(&wide)),
            undeclared: start(tls(&wide)),
            pairs: ["first", "second"].map(|name| corp.client(name)),
            corp,
            wide,
            next,
        }
    }

    /// Everything that is wanted in a state.
    pub(super) fn request(&self, state: usize) -> ApplyRequest {
        let (corp, both) = (self.corp.root.clone(), self.next.root.clone() + &self.corp.root);
        let is_last = state == STEPS.len() - 1;
        let secure = wanted(&self.secure, Trust::Ca, if is_last { &both } else { &corp });
        let plain = if is_last { Trust::Http } else { Trust::Insecure };
        let pair = &self.pairs[usize::from(is_last)];
        let client = ClientCertificate { certificate: pair.chain.clone(), key: pair.key.clone() };
        let guarded = wanted(&self.guarded, Trust::Ca, &corp);
        let everywhere = wanted(&self.everywhere, Trust::Ca, &self.wide.root);
        let all = [
            secure,
            wanted(&self.plain, plain, ""),
            Registry { client: Some(client), ..guarded },
            Registry { system_store: true, ..everywhere },
        ];
        ApplyRequest {
            registries: all.into_iter().take(state).collect(),
            ..ApplyRequest::default()
        }
    }

    /// Has both runtimes pull from every registry, and says who could not and should, or could and
    /// should not.
    pub(super) fn pulls(&self, node: &Node, state: usize, what: &str) {
        let declared = [&self.secure, &self.plain, &self.guarded, &self.everywhere];
        let declared = declared.into_iter().enumerate().map(|(at, one)| (one, state > at));
        for (registry, is_trusted) in declared.chain([(&self.undeclared, state >= 4)]) {
            let image = registry.image("app");
            for puller in [Puller::Docker, Puller::Containerd] {
                let pulled = puller.pull(node, &image);
                assert_eq!(pulled.is_ok(), is_trusted, "{what}: {puller:?} of {image}: {pulled:?}");
            }
        }
    }
}

fn wanted(registry: &registry::Registry<'_>, trust: Trust, ca: &str) -> Registry {
    Registry {
        host: registry.name(),
        trust: trust.into(),
        ca: ca.to_owned(),
        ..Registry::default()
    }
}
