//! The API on sockets of its own, with settings as people write them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regtrust::api::access::Access;
use regtrust::api::listen::{Inherited, Listeners};
use regtrust::api::tls::Tls;
use regtrust::api::{Doors, Inside, Metrics, routes, serve};
use regtrust::node::root::NodeRoot;
use regtrust::settings::{Settings, parse_settings};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::pki::{Pki, Shown};
use crate::yes::Yes;

pub(crate) struct Daemon {
    pub(crate) directory: TempDir,
    pub(crate) node: Yes,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) port: u16,
    access: watch::Sender<Arc<Access>>,
    stop: watch::Sender<bool>,
    serving: Option<JoinHandle<()>>,
}

/// What is shown under `/metrics`.
pub(crate) const PAGE: &str = "# one page\n";

/// What follows it in the file decides who may do what.
const TCP: &str = "[listen.tcp]\naddress = \"127.0.0.1:1\"\ncertificate_file = \"/tls/server.crt\"\n\
                   key_file = \"/tls/server.key\"\nclient_ca_file = \"/tls/ca.crt\"\n";

impl Daemon {
    /// Without TCP.
    pub(crate) async fn local(people: &str) -> Self {
        Self::start(people, None).await
    }

    /// With TCP; `crl` tells whether there is a revocation list.
    pub(crate) async fn remote(people: &str, pki: &Pki, crl: bool) -> Self {
        let crl = if crl { "crl_file = \"/tls/crl.pem\"\n" } else { "" };
        Self::start(&format!("{TCP}{crl}{people}"), Some(pki)).await
    }

    async fn start(text: &str, pki: Option<&Pki>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(pki) = pki {
            fs::create_dir(directory.path().join("tls")).unwrap();
            let server = pki.server();
            write(&directory, "ca.crt", &pki.root_pem());
            write(&directory, "crl.pem", &pki.crl(&[]));
            write_server(&directory, &server);
        }
        let settings = settings(text);
        let root = Arc::new(NodeRoot::open(directory.path()).unwrap());
        let mut listen = settings.listen.clone();
        if let Some(tcp) = &mut listen.tcp {
            tcp.address.set_port(0);
        }
        let listeners = Listeners::open(&root, &listen, Inherited::default()).await.unwrap();
        let port = listeners.tcp_address().map_or(0, |address| address.port());
        let tls = match settings.listen.tcp.clone() {
            Some(files) => Some(Tls::open(Arc::clone(&root), files).await),
            None => None,
        };
        if let Some(tls) = &tls {
            assert_eq!(*tls.trouble().borrow(), None);
        }
        let node = Yes::default();
        let (services, _health) = routes(node.clone(), node.alive()).await.unwrap();
        let access = watch::Sender::new(Arc::new(Access::new(&settings)));
        let stop = watch::Sender::new(false);
        let doors = Doors { listeners, tls: tls.clone() };
        let metrics = Metrics::new(|| PAGE.to_owned());
        let inside = Inside { routes: services, metrics };
        let serving = serve(doors, access.subscribe(), inside, stop.subscribe());
        let serving = Some(tokio::spawn(serving));
        Self { directory, node, tls, port, access, stop, serving }
    }

    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.directory.path().join("run/regtrust/admin.sock")
    }

    pub(crate) fn read_socket(&self) -> PathBuf {
        self.directory.path().join("run/regtrust-read/read.sock")
    }

    /// Other people, from now on.
    pub(crate) fn change_access(&self, people: &str) {
        let settings = settings(&format!("{TCP}{people}"));
        self.access.send_replace(Arc::new(Access::new(&settings)));
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        write(&self.directory, name, text);
    }

    pub(crate) fn write_server(&self, server: &Shown) {
        write_server(&self.directory, server);
    }

    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let serving = self.serving.take().unwrap();
        tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
        assert!(!self.admin_socket().exists(), "a socket stays behind that nobody listens on");
    }
}

fn write(directory: &TempDir, name: &str, text: &str) {
    fs::write(directory.path().join("tls").join(name), text).unwrap();
}

fn write_server(directory: &TempDir, server: &Shown) {
    write(directory, "server.crt", &server.pem());
    write(directory, "server.key", &server.key.serialize_pem());
}

fn settings(text: &str) -> Settings {
    parse_settings(text, "/d").unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}
