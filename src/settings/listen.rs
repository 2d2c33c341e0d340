//! `[listen]`.

use std::net::SocketAddr;

use super::parse::{given, required};
use super::people::number;
use super::{Listen, Tcp};
use crate::path::NodePath;
use crate::trust::findings::{At, Findings, Quoted};
use crate::trust::toml_reader::{Field, Fields};

const KEYS: [&str; 4] = ["admin_socket", "read_socket", "read_gid", "tcp"];
const TCP_KEYS: [&str; 5] =
    ["address", "certificate_file", "key_file", "client_ca_file", "crl_file"];

pub(super) fn listen(fields: &Fields<'_>, findings: &mut Findings) -> Listen {
    let default = Listen::default();
    let Some(fields) = given(fields.table("listen", "listen.", findings)) else { return default };
    fields.refuse_unknown(&KEYS, findings);
    let admin_socket = path(&fields, "admin_socket", findings);
    let read_socket = path(&fields, "read_socket", findings);
    let place = admin_socket.given().or(read_socket.given()).map(|at| at.place);
    let listen = Listen {
        admin_socket: given(admin_socket).unwrap_or(default.admin_socket),
        read_socket: given(read_socket).unwrap_or(default.read_socket),
        read_gid: number(&fields, "read_gid", findings).map(|at| at.value),
        tcp: tcp(&fields, findings),
    };
    // Who may read has to be let into the directory, and must not find the admin socket there.
    if listen.admin_socket.parent() == listen.read_socket.parent() {
        let place = place.unwrap_or(fields.place());
        let message = "the two sockets are in one directory";
        *findings.error(place, &fields.name("read_socket"), message) =
            Some("put each into a directory of its own".to_owned());
    }
    listen
}

fn tcp(fields: &Fields<'_>, findings: &mut Findings) -> Option<Tcp> {
    let fields = given(fields.table("tcp", "listen.tcp.", findings))?;
    fields.refuse_unknown(&TCP_KEYS, findings);
    let address = fields.string("address", findings);
    let address = address.and_then(|at| parse_address(at, &fields, findings));
    let address = required(&fields, "address", address, findings);
    let mut file = |key| {
        let path = path(&fields, key, findings);
        required(&fields, key, path, findings)
    };
    let certificate_file = file("certificate_file");
    let key_file = file("key_file");
    let client_ca_file = file("client_ca_file");
    let crl_file = given(path(&fields, "crl_file", findings));
    Some(Tcp {
        address: address?,
        certificate_file: certificate_file?,
        key_file: key_file?,
        client_ca_file: client_ca_file?,
        crl_file,
    })
}

fn parse_address(
    at: At<&str>,
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> Option<At<SocketAddr>> {
    let address = at.value.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
    if address.is_none() {
        let message = format!("{} is no address with a port", Quoted(at.value));
        *findings.error(at.place, &fields.name("address"), message) =
            Some("write it like \"10.0.0.7:7443\", \"0.0.0.0:7443\" or \"[::]:7443\"".to_owned());
    }
    address.map(|value| At { value, place: at.place })
}

pub(super) fn path(fields: &Fields<'_>, key: &str, findings: &mut Findings) -> Field<NodePath> {
    fields.string(key, findings).and_then(|At { value, place }| {
        let path = NodePath::new(value).ok().filter(|path| {
            // Something must stand before the name: no socket and no key lies in the root itself.
            value.starts_with('/') && path.parent().is_some() && !value.ends_with('/')
        });
        if path.is_none() {
            let message = format!("{} is no plain absolute path of a file", Quoted(value));
            findings.error(place, &fields.name(key), message);
        }
        path.map(|value| At { value, place })
    })
}
