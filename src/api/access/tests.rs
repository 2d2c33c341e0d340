use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::*;
use crate::content::Sha256Hex;
use crate::identity::SpiffeId;
use crate::settings::parse_settings;

/// Path, whether the client streams, whether the server streams.
fn calls(descriptors: &[u8]) -> BTreeMap<String, (bool, bool)> {
    let set = FileDescriptorSet::decode(descriptors).unwrap();
    let mut calls = BTreeMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                calls.insert(path, (method.client_streaming(), method.server_streaming()));
            }
        }
    }
    calls
}

#[test]
fn every_call_has_a_role_and_every_role_a_call() {
    let mut calls = calls(crate::api::DESCRIPTORS);
    assert!(calls.len() >= 15, "{calls:?}");
    calls.append(&mut self::calls(tonic_health::pb::FILE_DESCRIPTOR_SET));
    calls.append(&mut self::calls(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
    let ruled: BTreeMap<String, (bool, bool)> = RULES
        .iter()
        .map(|rule| {
            let streams = match rule.shape {
                Shape::Prompt | Shape::Waiting => (false, false),
                Shape::Stream => (false, true),
                Shape::Conversation => (true, true),
            };
            (rule.path.to_owned(), streams)
        })
        .collect();
    assert_eq!(ruled.len(), RULES.len(), "a call stands twice in the table");
    assert_eq!(ruled, calls);
}

/// The definitions say above each call which role it needs, and people read them there.
#[test]
fn the_definitions_state_the_roles_that_are_enforced() {
    let text = include_str!("../../../proto/regtrust/v1/regtrust.proto");
    let mut stated = None;
    let mut checked = 0;
    for line in text.lines().map(str::trim) {
        if let Some((_, role)) = line.strip_prefix("//").and_then(|line| line.split_once("Role: "))
        {
            stated = role.split(['.', ';']).next();
        } else if let Some(call) = line.strip_prefix("rpc ") {
            let name = call.split('(').next().unwrap();
            let rule = rule_of(&format!("/regtrust.v1.Node/{name}")).unwrap();
            assert_eq!(stated.take(), Some(rule.role.word()), "{name}");
            checked += 1;
        }
    }
    assert_eq!(checked, 18);
}

#[test]
fn what_is_not_in_the_table_may_not_be_called() {
    for path in ["", "/", "/regtrust.v1.Node/", "/regtrust.v1.Node/apply", "/x/Apply"] {
        assert_eq!(rule_of(path), None, "{path}");
    }
}

fn access(text: &str) -> Access {
    Access::new(&parse_settings(text, "/d").unwrap())
}

fn unix(uid: u32, gid: u32) -> Identity {
    Identity::Unix { uid, gid, pid: Some(1) }
}

fn role(access: &Access, identity: &Identity, entrance: Entrance) -> Option<Role> {
    access.of(identity, entrance).map(|caller| caller.role)
}

#[test]
fn without_configuration_there_is_only_root() {
    let access = access("");
    for (uid, entrance, expected) in [
        (0, Entrance::AdminSocket, Some(Admin)),
        (0, Entrance::ReadSocket, Some(Reader)),
        (1, Entrance::AdminSocket, None),
        (1, Entrance::ReadSocket, None),
        (65_534, Entrance::AdminSocket, None),
    ] {
        assert_eq!(role(&access, &unix(uid, 0), entrance), expected, "{uid} {entrance:?}");
    }
    let san = SpiffeId::parse("spiffe://corp/admin").unwrap();
    let certificate = Identity::Certificate { san, fingerprint: Sha256Hex::of(b"") };
    assert_eq!(role(&access, &certificate, Entrance::Tcp), None);
}

#[test]
fn a_role_is_given_by_the_closest_name_and_capped_on_the_read_socket() {
    let access = access(
        "[[access]]\nrole = \"admin\"\ngid = 9\n[[access]]\nrole = \"reader\"\nuid = 7\n\
         [[access]]\nrole = \"operator\"\nuid = 8\n[[access]]\nrole = \"reader\"\nsocket = \"read\"",
    );
    for (identity, on_admin, on_read) in [
        (unix(7, 9), Some(Reader), Some(Reader)),
        (unix(8, 9), Some(Operator), Some(Reader)),
        (unix(6, 9), Some(Admin), Some(Reader)),
        (unix(6, 6), None, Some(Reader)),
        (unix(0, 9), Some(Admin), Some(Reader)),
    ] {
        assert_eq!(role(&access, &identity, Entrance::AdminSocket), on_admin, "{identity}");
        assert_eq!(role(&access, &identity, Entrance::ReadSocket), on_read, "{identity}");
    }
}

#[test]
fn root_may_be_given_less() {
    let access = access("[[access]]\nrole = \"reader\"\nuid = 0");
    assert_eq!(role(&access, &unix(0, 0), Entrance::AdminSocket), Some(Reader));
}

#[test]
fn who_owns_something_need_not_be_allowed_anything() {
    let text = "[[owner]]\nname = \"z\"\nhosts = [\"*\"]\nuid = 7\n";
    assert_eq!(access(text).of(&unix(7, 7), Entrance::AdminSocket), None);
    let text = format!("{text}[[access]]\nrole = \"admin\"\nuid = 7");
    let caller = access(&text).of(&unix(7, 7), Entrance::AdminSocket).unwrap();
    assert_eq!(caller.owner, Some(OwnerName::parse("z").unwrap()));
    let root = access(&text).of(&unix(0, 0), Entrance::AdminSocket).unwrap();
    assert_eq!(root.owner, None);
}

#[test]
fn a_set_of_ten_thousand_registries_is_not_too_large() {
    use crate::api::v1::{ApplyRequest, Registry};
    let ca = "x".repeat(3 << 10);
    let one = |at: usize| Registry {
        host: format!("registry-{at}.some.quite.long.name.example:8443"),
        ca: ca.clone(),
        ..Registry::default()
    };
    let request = ApplyRequest { registries: (0..10_000).map(one).collect(), ..Default::default() };
    assert!(request.encoded_len() < Declarations.bytes(Admin), "{}", request.encoded_len());
    assert_eq!(Declarations.bytes(Reader), 1 << 20, "who may not apply sends nothing large");
}
