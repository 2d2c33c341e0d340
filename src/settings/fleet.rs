//! `[fleet_lock]`.

use http::Uri;
use jiff::SignedDuration;

use super::listen::path;
use super::parse::{Bounds, duration, given, one_word, required};
use crate::path::NodePath;
use crate::trust::findings::{At, Findings, Quoted};
use crate::trust::toml_reader::{Field, Fields};

const KEYS: [&str; 16] = [
    "engine",
    "endpoints",
    "url",
    "group",
    "slots",
    "ttl",
    "max_unresolved",
    "id",
    "timeout",
    "ca_file",
    "certificate_file",
    "key_file",
    "username",
    "password_file",
    "token_file",
    "allow_clear_text",
];
const ONLY_ETCD: [&str; 4] = ["endpoints", "slots", "ttl", "max_unresolved"];

/// Which lock keeps the fleet from restarting everywhere at once, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    pub engine: Engine,
    /// Nodes of one group share the slots.
    pub group: String,
    pub id: NodeId,
    /// For one question to the lock, however many servers are asked for the answer.
    pub timeout: SignedDuration,
    pub files: ClientFiles,
    pub credentials: Option<Credentials>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    Etcd(Etcd),
    FleetLock(Address),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etcd {
    /// At least one; they are tried in turn.
    pub endpoints: Vec<Address>,
    /// How many nodes of the group may restart at once.
    pub slots: u32,
    /// How long a slot stays taken after its holder has died.
    pub ttl: SignedDuration,
    /// After so many nodes that took a slot and never succeeded, nobody starts any more.
    pub max_unresolved: u32,
}

/// Under which name the lock knows this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeId {
    /// Made of the machine id, and another than anybody else makes of it.
    #[default]
    Regtrust,
    /// The one that Zincati makes, which poseidon/fleetlock needs to find the node.
    Zincati,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub tls: bool,
    /// Without the brackets of an IPv6 address.
    pub host: String,
    pub port: u16,
    /// Ends with `/`.
    pub path: String,
}

/// What TLS needs. All are read anew for every connection, so a renewed certificate is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    pub ca: Option<NodePath>,
    /// Certificate and key.
    pub pair: Option<(NodePath, NodePath)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    Password { username: String, file: NodePath },
    Token { file: NodePath },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Etcd,
    FleetLock,
}

const ENGINES: [(&str, Kind); 2] = [("etcd", Kind::Etcd), ("fleetlock", Kind::FleetLock)];
const IDS: [(&str, NodeId); 2] =
    [("regtrust", NodeId::Regtrust), ("zincati-compatible", NodeId::Zincati)];

const TIMEOUT: Bounds =
    Bounds { least: SignedDuration::from_secs(1), most: SignedDuration::from_mins(30) };
const ETCD_TIMEOUT: SignedDuration = SignedDuration::from_secs(10);
/// A FleetLock server may drain the node before it answers.
const FLEETLOCK_TIMEOUT: SignedDuration = SignedDuration::from_secs(60);
/// A shorter one is lost to a slow disk of the etcd members, a longer one blocks the others for long
/// when a node dies.
const TTL: Bounds =
    Bounds { least: SignedDuration::from_secs(10), most: SignedDuration::from_hours(1) };
const USUAL_TTL: SignedDuration = SignedDuration::from_secs(60);
const ETCD_PORT: u16 = 2379;
const MOST_NODES: i64 = 100_000;

pub(super) fn fleet(fields: &Fields<'_>, findings: &mut Findings) -> Option<Fleet> {
    let fields = given(fields.table("fleet_lock", "fleet_lock.", findings))?;
    fields.refuse_unknown(&KEYS, findings);
    if fields.key("engine").is_none() {
        findings.error(fields.place(), &fields.name("engine"), "is required");
    }
    let kind = one_word(&fields, "engine", &ENGINES, findings);
    let group = group(&fields, findings);
    let id = one_word(&fields, "id", &IDS, findings).unwrap_or_default();
    let timeout = duration(&fields, "timeout", TIMEOUT, findings);
    let files = files(&fields, findings);
    let credentials = credentials(&fields, findings);
    let engine = match kind? {
        Kind::Etcd => Engine::Etcd(etcd(&fields, findings)?),
        Kind::FleetLock => Engine::FleetLock(fleetlock(&fields, findings)?),
    };
    let usual = match engine {
        Engine::Etcd(_) => ETCD_TIMEOUT,
        Engine::FleetLock(_) => FLEETLOCK_TIMEOUT,
    };
    let fleet = Fleet { engine, group, id, timeout: timeout.unwrap_or(usual), files, credentials };
    check(&fields, &fleet, findings);
    Some(fleet)
}

impl Fleet {
    pub fn addresses(&self) -> &[Address] {
        match &self.engine {
            Engine::Etcd(etcd) => &etcd.endpoints,
            Engine::FleetLock(base) => std::slice::from_ref(base),
        }
    }
}

fn etcd(fields: &Fields<'_>, findings: &mut Findings) -> Option<Etcd> {
    if let Some(place) = fields.key("url") {
        *findings.error(place, &fields.name("url"), "is for FleetLock") =
            Some("name the members of etcd in `endpoints`".to_owned());
    }
    let endpoints = fields.strings("endpoints", findings);
    let endpoints = required(fields, "endpoints", endpoints, findings)?;
    if endpoints.is_empty() {
        findings.error(fields.place(), &fields.name("endpoints"), "names nobody");
    }
    let endpoints: Vec<_> = endpoints
        .into_iter()
        .filter_map(|at| address(at, fields, "endpoints", Some(ETCD_PORT), findings))
        .collect();
    Some(Etcd {
        endpoints,
        slots: count(fields, "slots", findings),
        ttl: duration(fields, "ttl", TTL, findings).unwrap_or(USUAL_TTL),
        max_unresolved: count(fields, "max_unresolved", findings),
    })
}

fn fleetlock(fields: &Fields<'_>, findings: &mut Findings) -> Option<Address> {
    for key in ONLY_ETCD {
        if let Some(place) = fields.key(key) {
            *findings.error(place, &fields.name(key), "is for etcd") =
                Some("a FleetLock server has settings of its own for that".to_owned());
        }
    }
    let url = fields.string("url", findings);
    let url = url.and_then(|at| {
        let place = at.place;
        address(at, fields, "url", None, findings).map(|value| At { value, place })
    });
    required(fields, "url", url, findings)
}

fn group(fields: &Fields<'_>, findings: &mut Findings) -> String {
    let group = fields.string("group", findings).and_then(|at| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        // The protocol's own grammar, so that one name will do with every engine.
        if at.value.is_empty() || at.value.len() > 100 || !at.value.chars().all(is_known) {
            let message = format!("{} is no name of a group", Quoted(at.value));
            *findings.error(at.place, &fields.name("group"), message) =
                Some("use letters, digits, `.` and `-`".to_owned());
            return None;
        }
        Some(at.map(ToOwned::to_owned))
    });
    given(group).unwrap_or_else(|| "default".to_owned())
}

/// From 1; 1 where nothing is said.
fn count(fields: &Fields<'_>, key: &str, findings: &mut Findings) -> u32 {
    let number = fields.integer(key, findings).and_then(|at| {
        let number = u32::try_from(at.value).ok().filter(|_| (1..=MOST_NODES).contains(&at.value));
        if number.is_none() {
            let message = format!("{} is no number of nodes", at.value);
            *findings.error(at.place, &fields.name(key), message) =
                Some(format!("choose from 1 to {MOST_NODES}"));
        }
        number.map(|value| At { value, place: at.place })
    });
    given(number).unwrap_or(1)
}

fn address(
    at: At<&str>,
    fields: &Fields<'_>,
    key: &str,
    usual_port: Option<u16>,
    findings: &mut Findings,
) -> Option<Address> {
    let address = parse_address(at.value, usual_port);
    if address.is_none() {
        let example = if usual_port.is_some() { "etcd-1.corp:2379" } else { "fleetlock.corp/" };
        let message = format!("{} is no address", Quoted(at.value));
        *findings.error(at.place, &fields.name(key), message) =
            Some(format!("write it like \"https://{example}\", without a name or password in it"));
    }
    address
}

fn parse_address(text: &str, usual_port: Option<u16>) -> Option<Address> {
    let uri: Uri = text.parse().ok()?;
    let tls = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = uri.authority()?;
    // A password in an address ends up in logs and process lists.
    if uri.query().is_some() || authority.as_str().contains('@') || text.contains('#') {
        return None;
    }
    // Members of etcd have no paths.
    if usual_port.is_some() && !matches!(uri.path(), "" | "/") {
        return None;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let has_port = authority.as_str().len() > authority.host().len();
    let port = match authority.port_u16() {
        Some(port) => port,
        None if has_port => return None,
        None => usual_port.unwrap_or(if tls { 443 } else { 80 }),
    };
    // Joined to a base without it, `v1/pre-reboot` would replace the last component.
    let path = format!("{}/", uri.path().trim_end_matches('/'));
    (!host.is_empty() && port != 0).then(|| Address { tls, host: host.to_owned(), port, path })
}

fn files(fields: &Fields<'_>, findings: &mut Findings) -> ClientFiles {
    let ca = given(path(fields, "ca_file", findings));
    let certificate = path(fields, "certificate_file", findings);
    let key = path(fields, "key_file", findings);
    for (one, other, missing) in
        [(&certificate, &key, "key_file"), (&key, &certificate, "certificate_file")]
    {
        if one.given().is_some() && other.is_absent() {
            findings.error(fields.place(), &fields.name(missing), "is required");
        }
    }
    ClientFiles { ca, pair: given(certificate).zip(given(key)) }
}

fn credentials(fields: &Fields<'_>, findings: &mut Findings) -> Option<Credentials> {
    let username = fields.string("username", findings);
    let password = path(fields, "password_file", findings);
    let token = path(fields, "token_file", findings);
    if let (Some(at), true) = (token.given(), fields.key("username").is_some()) {
        *findings.error(at.place, &fields.name("token_file"), "stands beside a username") =
            Some("give either a token or a username with a password".to_owned());
    }
    if username.is_absent() && password.is_absent() {
        return given(token).map(|file| Credentials::Token { file });
    }
    let username = username.and_then(|at| {
        // It would end where the password begins.
        let is_whole = !at.value.is_empty() && !at.value.contains([':', '\n', '\r']);
        if !is_whole {
            let message = format!("{} is no name of a user", Quoted(at.value));
            findings.error(at.place, &fields.name("username"), message);
        }
        is_whole.then(|| at.map(ToOwned::to_owned))
    });
    let username = required(fields, "username", username, findings);
    let file = required(fields, "password_file", password, findings);
    Some(Credentials::Password { username: username?, file: file? })
}

/// What is understood, and cannot work or is not safe.
fn check(fields: &Fields<'_>, fleet: &Fleet, findings: &mut Findings) {
    let has_tls = fleet.addresses().iter().any(|address| address.tls);
    if has_tls && fleet.files.ca.is_none() && fields.key("ca_file").is_none() {
        *findings.error(fields.place(), &fields.name("ca_file"), "is required for https") = Some(
            "the machine's own list is /etc/ssl/certs/ca-certificates.crt or \
             /etc/pki/tls/certs/ca-bundle.crt"
                .to_owned(),
        );
    }
    let is_far = |address: &&Address| !address.tls && !address.is_this_machine();
    let is_allowed =
        matches!(fields.boolean("allow_clear_text", findings), Field::Given(at) if at.value);
    if let Some(address) = fleet.addresses().iter().find(is_far).filter(|_| !is_allowed) {
        // Whoever is on the way can grant the lock to everybody at once, which is an outage.
        let message = format!("{} is spoken to without TLS", address.host);
        *findings.error(fields.place(), "fleet_lock", message) = Some(
            "use https, or say `allow_clear_text = true` where the network is trusted".to_owned(),
        );
    }
    if fleet.id == NodeId::Zincati {
        let place = fields.key("id").unwrap_or(fields.place());
        let message = "a server that knows this name may cordon and DRAIN the node when it grants \
                       the lock, and Zincati on this machine can release it";
        *findings.warning(place, &fields.name("id"), message) =
            Some("leave `id` out unless the server is poseidon/fleetlock".to_owned());
    }
}

impl Address {
    pub fn is_this_machine(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// As HTTP names it: with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        let host = &self.host;
        if host.contains(':') {
            format!("[{host}]:{}", self.port)
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path.trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests;
