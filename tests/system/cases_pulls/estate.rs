//! Registries that are trusted throughout, and the ways in which their declarations may change
//! meanwhile.

use crate::lab::certificates::Identity;
use crate::lab::registry::Registry;
use crate::lab::{Authority, Declaration, Node, Setup};

/// One of them: an image in it can be pulled with every one of its declarations.
pub(super) struct Steady<'n> {
    /// Its declaration's file.
    pub(super) name: &'static str,
    pub(super) image: String,
    /// All with the same trust as far as a pull can tell.
    pub(super) variants: Vec<Declaration>,
    /// `None`: not on this node.
    pub(super) registry: Option<Registry<'n>>,
    /// By a mirror, so that not every pull asks the registry itself.
    pub(super) may_be_served_elsewhere: bool,
}

/// The registries and what they need beside them, which must run as long.
pub(super) struct Estate<'n> {
    pub(super) steady: Vec<Steady<'n>>,
    _mirrors: Vec<Registry<'n>>,
}

struct Authorities {
    own: Authority,
    others: [Authority; 2],
}

impl Authorities {
    /// Bundles with our own authority in them: what a rotation goes through.
    fn bundles(&self) -> Vec<String> {
        let (own, [second, third]) = (&self.own.root, &self.others);
        let (second, third) = (&second.root, &third.root);
        vec![
            own.clone(),
            format!("{own}{second}"),
            format!("{second}{own}"),
            format!("{third}{own}{second}"),
        ]
    }
}

impl<'n> Estate<'n> {
    pub(super) fn build(node: &'n Node) -> Self {
        let new = |name| Authorities {
            own: Authority::new(name),
            others: ["next", "last"].map(Authority::new),
        };
        let (authorities, of_mirrors) = (new("corp"), new("mirrors"));
        let host = node.host();
        let mirror = Setup::tls(of_mirrors.own.server(&[&host.name])).at(&host).start(node);
        let plain_mirror = Setup::plain().start(node);
        let mirrors = Mirrors {
            tls: mirror.name(),
            bundles: of_mirrors.bundles(),
            plain: plain_mirror.name(),
        };
        let steady = vec![
            private_ca(node, &authorities),
            client(node, &authorities),
            plain(node),
            another_name(node, &authorities),
            mirrored(node, &mirrors),
            hub(node, &mirrors),
        ];
        Self { steady, _mirrors: vec![mirror, plain_mirror] }
    }
}

fn private_ca<'n>(node: &'n Node, authorities: &Authorities) -> Steady<'n> {
    let host = node.host();
    let registry = Setup::tls(authorities.own.server(&[&host.name])).at(&host).start(node);
    let declaration = |bundle: &String| Declaration::ca(&registry.name(), bundle);
    let variants = authorities.bundles().iter().map(declaration).collect();
    Steady {
        name: "private-ca",
        image: registry.image("app"),
        variants,
        registry: Some(registry),
        may_be_served_elsewhere: false,
    }
}

/// The pair stays the same. To renew it is the one change that cannot be made unseen: dockerd opens
/// the certificate and then the key, and what happens to the directory in between is a pair that
/// does not match, whoever writes it and however.
fn client<'n>(node: &'n Node, authorities: &Authorities) -> Steady<'n> {
    let host = node.host();
    let setup = Setup::tls(authorities.own.server(&[&host.name]));
    let setup = setup.demanding_clients_of(&authorities.own.root);
    let registry = setup.at(&host).start(node);
    let pair: Identity = authorities.own.client("node");
    let declaration = |bundle: &String| Declaration::ca(&registry.name(), bundle).client(&pair);
    let variants = authorities.bundles().iter().map(declaration).collect();
    Steady {
        name: "client",
        image: registry.image("app"),
        variants,
        registry: Some(registry),
        may_be_served_elsewhere: false,
    }
}

fn plain(node: &Node) -> Steady<'_> {
    let registry = Setup::plain().start(node);
    let variants = ["http", "insecure"].map(|trust| Declaration::of(&registry.name(), trust));
    let image = registry.image("app");
    Steady {
        name: "plain",
        image,
        variants: variants.into(),
        registry: Some(registry),
        may_be_served_elsewhere: false,
    }
}

/// Its certificate is another host's, so it is not verified at all.
fn another_name<'n>(node: &'n Node, authorities: &Authorities) -> Steady<'n> {
    let registry = Setup::tls(authorities.own.server(&["other.lab"])).start(node);
    let declaration = Declaration::of(&registry.name(), "insecure");
    let reason = |why: &str| declaration.clone().line(&format!("reason = \"{why}\""));
    let variants = vec![declaration.clone(), reason("a lab"), reason("still a lab")];
    let image = registry.image("app");
    Steady {
        name: "another-name",
        image,
        variants,
        registry: Some(registry),
        may_be_served_elsewhere: false,
    }
}

struct Mirrors {
    tls: String,
    /// CAs for it: each of them is right.
    bundles: Vec<String>,
    plain: String,
}

impl Mirrors {
    fn with_tls(&self, bundle: usize) -> String {
        let (name, ca) = (&self.tls, &self.bundles[bundle]);
        format!("[[registry.mirror]]\nurl = \"https://{name}\"\ntrust = \"ca\"\nca = '''{ca}'''")
    }

    fn without(&self) -> String {
        format!("[[registry.mirror]]\nurl = \"http://{}\"\ntrust = \"http\"", self.plain)
    }
}

/// Its own place is the last that is asked, and always trusted, so mirrors may come and go.
fn mirrored<'n>(node: &'n Node, mirrors: &Mirrors) -> Steady<'n> {
    let registry = Setup::plain().start(node);
    let own = |trust| Declaration::of(&registry.name(), trust).line("fallback = true");
    let variants = vec![
        own("http").line(&mirrors.with_tls(0)),
        own("http"),
        own("http").line(&mirrors.with_tls(1)).line(&mirrors.without()),
        own("insecure").line(&mirrors.without()).line(&mirrors.with_tls(2)),
        own("http").line(&mirrors.without()),
    ];
    let image = registry.image("app");
    let registry = Some(registry);
    Steady { name: "mirrored", image, variants, registry, may_be_served_elsewhere: true }
}

/// Docker Hub, which nobody can reach from here: only a mirror has the image. The one with TLS is
/// always there, because a running dockerd goes on asking the old mirrors until it is told.
fn hub<'n>(node: &'n Node, mirrors: &Mirrors) -> Steady<'n> {
    let own = || Declaration::of("docker.io", "system");
    let variants = vec![
        own().line(&mirrors.with_tls(0)),
        own().line(&mirrors.with_tls(1)).line(&mirrors.without()),
        own().line(&mirrors.without()).line(&mirrors.with_tls(3)),
    ];
    let repository = "lab-hub/app";
    node.store_image(repository, "");
    let image = format!("docker.io/{repository}:1");
    Steady { name: "hub", image, variants, registry: None, may_be_served_elsewhere: true }
}
