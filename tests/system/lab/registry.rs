//! Registries: the distribution project's own, as Debian packages it, one process each.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::archive::Member;
use super::certificates::Identity;
use super::node::{Host, Node};
use super::picture;
use super::wait::eventually;

/// How a registry is served.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    /// Without it the registry speaks plain HTTP.
    tls: Option<Identity>,
    /// The authority whose client certificates it demands.
    clients: Option<String>,
    /// The one user and password that it demands.
    login: Option<(String, String)>,
    port: Option<u16>,
    host: Option<Host>,
    empty: bool,
}

impl Setup {
    pub(crate) fn plain() -> Self {
        Self::default()
    }

    pub(crate) fn tls(identity: Identity) -> Self {
        Self { tls: Some(identity), ..Self::default() }
    }

    /// Only who shows a certificate of this authority is let in.
    pub(crate) fn demanding_clients_of(self, root: &str) -> Self {
        Self { clients: Some(root.to_owned()), ..self }
    }

    pub(crate) fn with_login(self, user: &str, password: &str) -> Self {
        Self { login: Some((user.to_owned(), password.to_owned())), ..self }
    }

    /// Without it: 443 with TLS, which references do not mention, and 5080 without.
    pub(crate) fn on_port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// Under a name from [`Node::host`] that is known already, because a certificate was made for
    /// it or because another registry is to take its place.
    pub(crate) fn at(self, host: &Host) -> Self {
        Self { host: Some(host.clone()), ..self }
    }

    /// Without the images of the node's other registries: everything that is asked of it is not
    /// there.
    pub(crate) fn empty(self) -> Self {
        Self { empty: true, ..self }
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(self, node: &Node) -> Registry<'_> {
        let host = self.host.clone().unwrap_or_else(|| node.host());
        let port = self.port.unwrap_or(if self.tls.is_some() { 443 } else { 5080 });
        let registry = Registry { node, unit: format!("lab-{}-{port}", host.slug()), host, port };
        registry.start(&self);
        registry
    }
}

/// A registry that runs until it is dropped.
pub(crate) struct Registry<'a> {
    node: &'a Node,
    unit: String,
    pub(crate) host: Host,
    port: u16,
}

impl Registry<'_> {
    /// As references spell it: `r7.lab`, `r7.lab:5080`.
    pub(crate) fn name(&self) -> String {
        match self.port {
            443 => self.host.name.clone(),
            port => format!("{}:{port}", self.host.name),
        }
    }

    /// Makes an image exist here (and in the node's other registries) and says how to refer to it.
    ///
    /// BuildKit remembers for minutes how it once spoke to a repository, so every step of a case
    /// that builds wants a repository of its own.
    pub(crate) fn image(&self, repository: &str) -> String {
        self.image_anew(repository, "")
    }

    /// The same reference with another image behind it.
    pub(crate) fn image_anew(&self, repository: &str, salt: &str) -> String {
        let repository = format!("{}/{repository}", self.host.slug());
        self.node.store_image(&repository, salt);
        format!("{}/{repository}:1", self.name())
    }

    /// How many requests it has answered: whether anybody asked it at all.
    pub(crate) fn requests(&self) -> usize {
        let journal = self.node.journal(&self.unit);
        journal.lines().filter(|line| line.contains("\"GET /") || line.contains("\"HEAD /")).count()
    }

    /// Stops it before its time: from now on nothing listens there.
    pub(crate) fn stop(&self) {
        self.node.sh(&format!("systemctl stop {}", self.unit));
    }

    fn start(&self, setup: &Setup) {
        let home = format!("/srv/{}", self.unit);
        let yaml = configuration(setup, &home, &self.host.address, self.port);
        let config = format!("{home}/config.yml");
        let mut files = vec![Member::file(&config, 0o644, yaml.as_bytes())];
        let [chain, key, clients] =
            ["tls.crt", "tls.key", "clients.crt"].map(|name| format!("{home}/{name}"));
        if let Some(tls) = &setup.tls {
            files.push(Member::file(&chain, 0o644, tls.chain.as_bytes()));
            files.push(Member::file(&key, 0o600, tls.key.as_bytes()));
        }
        if let Some(root) = &setup.clients {
            files.push(Member::file(&clients, 0o644, root.as_bytes()));
        }
        self.node.unpack(&files);
        if let Some((user, password)) = &setup.login {
            self.node.sh(&format!("htpasswd -Bbc {home}/htpasswd {user} {password}"));
        }
        let unit = format!("--unit={}", self.unit);
        let run = ["systemd-run", "--quiet", "--collect", &unit, "docker-registry", "serve"];
        let output = self.node.run(run.into_iter().chain([config.as_str()]));
        assert_eq!(output.code, 0, "{}", output.stderr);
        eventually("a registry listens", || {
            self.node.listens(&self.host.address, self.port).then_some(())
        });
    }
}

impl Node {
    /// Whether a server is there. Read in the kernel's own table, because to ask is a connection that a case
    /// may count.
    pub(crate) fn listens(&self, address: &str, port: u16) -> bool {
        const LISTENS: &str = "0A";
        let (table, address) = in_kernels_words(address);
        let wanted = format!("{address}:{port:04X}");
        let table = std::fs::read_to_string(format!("/proc/{}/net/{table}", self.init()));
        table.unwrap_or_default().lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next() == Some(&wanted) && words.nth(1) == Some(LISTENS)
        })
    }
}

/// Which table of sockets an address is in, and how it is written there: by words as they lie in memory.
fn in_kernels_words(address: &str) -> (&'static str, String) {
    let bare = address.trim_matches(['[', ']']);
    let (table, bytes) = match bare.parse().expect("an address") {
        IpAddr::V4(address) => ("tcp", address.octets().to_vec()),
        IpAddr::V6(address) => ("tcp6", address.octets().to_vec()),
    };
    let mut text = String::new();
    for word in bytes.chunks_exact(4) {
        let word = u32::from_ne_bytes(word.try_into().expect("four bytes"));
        _ = write!(text, "{word:08X}");
    }
    (table, text)
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        // A panic may be on its way, and the node with the registry is thrown away then.
        _ = self.node.run(["systemctl", "stop", &self.unit]);
    }
}

fn configuration(setup: &Setup, home: &str, address: &str, port: u16) -> String {
    let storage = if setup.empty { format!("{home}/storage") } else { picture::STORAGE.to_owned() };
    let mut yaml = format!(
        "version: 0.1\nlog: {{ level: warn }}\nstorage: {{ filesystem: {{ rootdirectory: {storage} }} }}\n\
         http:\n  addr: \"{address}:{port}\"\n"
    );
    if setup.tls.is_some() {
        _ = writeln!(yaml, "  tls:\n    certificate: {home}/tls.crt\n    key: {home}/tls.key");
    }
    if setup.clients.is_some() {
        _ = writeln!(yaml, "    clientcas: [{home}/clients.crt]");
    }
    if setup.login.is_some() {
        _ = writeln!(yaml, "auth: {{ htpasswd: {{ realm: lab, path: {home}/htpasswd }} }}");
    }
    yaml
}
