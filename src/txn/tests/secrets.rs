//! Key material stands in its target and among the blobs, and nowhere else.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::content::Sha256Hex;
use crate::txn::blobs::{self, BlobError};
use crate::txn::steps::Transaction;

const HOST: &str = "etc/docker/certs.d/a.corp";
const CANARY: &str = "CANARY";

/// Replaces an administrator's key, which the plan read as it reads any file, by one of ours, and
/// his certificate file that ends in its key.
fn scenario(node: &Node) -> Changes {
    let combined = "PEM\n-----BEGIN PRIVATE KEY-----\nCANARY combined";
    node.put(&format!("{HOST}/client.cert"), combined, 0o600);
    node.put(&format!("{HOST}/client.key"), "CANARY old", 0o600);
    let mut unit = registry(
        HOST,
        &[("client.key", Some("CANARY old"), None), ("client.cert", Some(combined), Some("C"))],
    );
    unit.edits[0].after = Some(Content::secret(b"CANARY new".to_vec()));
    let mut token = file(with_mode(0o600, edit("etc/docker/token", None, None)));
    token.edits[0].after = Some(Content::secret(b"CANARY unmarked".to_vec()));
    changes([unit, token])
}

/// Every file below the state directory, with its path below it.
fn state(node: &Node) -> Vec<(String, Vec<u8>, u32)> {
    let base = node.at("var/lib/regtrust");
    let mut files = Vec::new();
    walk(&base, &mut |path, metadata| {
        let name = path.strip_prefix(&base).unwrap().display().to_string();
        let bytes = if metadata.is_file() { fs::read(path).unwrap() } else { Vec::new() };
        files.push((name, bytes, metadata.mode() & 0o7777));
    });
    files
}

/// The bytes, and the bytes behind everything in them that could be base64.
fn shows_canary(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let decoded = text.split('"').filter_map(|part| STANDARD.decode(part).ok());
    let has = |bytes: &[u8]| bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
    has(bytes) || decoded.into_iter().any(|bytes| has(&bytes))
}

#[test]
fn a_key_is_in_no_file_of_ours_but_the_blobs_at_any_step() {
    let node = Node::new();
    let changes = scenario(&node);
    let mut journal = node.journal(&changes);
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    for step in txn.forward().chain(txn.finish()) {
        txn.perform(step).unwrap();
        for (name, bytes, mode) in state(&node) {
            let is_blob = name.starts_with("blobs/");
            assert!(is_blob || !shows_canary(&bytes), "{name} after {step:?}");
            assert_eq!(mode, if name == "blobs" { 0o700 } else { 0o600 }, "{name} after {step:?}");
        }
        assert!(!format!("{step:?}").contains(CANARY));
    }
    let state_mode = fs::metadata(node.at("var/lib/regtrust")).unwrap().mode() & 0o7777;
    assert_eq!(state_mode, 0o700);
    assert_eq!(node.has(&format!("{HOST}/client.key")).unwrap(), "CANARY new");
}

#[test]
fn neither_debug_nor_an_error_shows_a_key() {
    let node = Node::new();
    let changes = scenario(&node);
    assert!(!format!("{:?}", node.journal(&changes)).contains(CANARY));
    node.put(&format!("{HOST}/client.key"), "CANARY later", 0o600);
    let error = node.commit(&changes).unwrap_err();
    assert!(!format!("{error:?} {error} {:?}", error.hint()).contains(CANARY));
}

#[test]
fn a_change_with_keys_is_recovered_from_the_blobs() {
    let node = Node::new();
    let changes = scenario(&node);
    let expected = applied(node.contents(), &changes);
    let mut journal = node.journal(&changes);
    let mut txn = Transaction::begin(&node.root, &node.lock, &mut journal).unwrap();
    for step in txn.forward().take(3) {
        txn.perform(step).unwrap();
    }
    let erased = blobs::erase_except(&node.root, &node.lock, &BTreeSet::new());
    assert!(matches!(erased, Err(BlobError::Interrupted { .. })), "it still needs them");

    node.recover().unwrap();

    assert_eq!(node.contents(), expected);
}

#[test]
fn blobs_are_kept_by_digest_and_erased_when_nothing_needs_them() {
    let node = Node::new();
    let (a, b) = (Content::secret(b"a".to_vec()), Content::plain("b"));
    blobs::store(&node.root, &node.lock, [&a, &b, &a]).unwrap();
    node.put("var/lib/regtrust/blobs/.x.tmp", "half", 0o600);
    assert_eq!(blobs::read(&node.root, &a.digest()).unwrap(), a);
    assert_eq!(blobs::read(&node.root, &b.digest()).unwrap().bytes(), b"b");

    blobs::erase_except(&node.root, &node.lock, &BTreeSet::from([b.digest()])).unwrap();

    let names = |node: &Node| state(node).into_iter().map(|file| file.0).collect::<BTreeSet<_>>();
    let left = ["lock".to_owned(), "blobs".to_owned(), format!("blobs/{}", b.digest())];
    assert_eq!(names(&node), BTreeSet::from(left));
    let missing = blobs::read(&node.root, &a.digest()).unwrap_err();
    assert!(matches!(missing, BlobError::Missing { .. }));
}

#[test]
fn a_damaged_blob_is_refused_and_written_anew() {
    let node = Node::new();
    let content = Content::secret(b"key".to_vec());
    blobs::store(&node.root, &node.lock, [&content]).unwrap();
    let name = format!("var/lib/regtrust/blobs/{}", Sha256Hex::of(b"key"));
    node.put(&name, "kex", 0o600);
    let error = blobs::read(&node.root, &content.digest()).unwrap_err();
    assert!(matches!(error, BlobError::Damaged { .. }));
    blobs::store(&node.root, &node.lock, [&content]).unwrap();
    assert_eq!(blobs::read(&node.root, &content.digest()).unwrap(), content);
}

#[test]
fn what_a_crash_left_of_a_blob_or_a_journal_is_removed() {
    let node = Node::new();
    for name in ["journal.json.tmp", ".regtrust-0-0-0.tmp", "blobs/.x.tmp"] {
        node.put(&format!("var/lib/regtrust/{name}"), "half", 0o600);
    }
    node.recover().unwrap();
    let names: BTreeSet<_> = state(&node).into_iter().map(|file| file.0).collect();
    assert_eq!(names, BTreeSet::from(["lock".to_owned(), "blobs".to_owned()]));
}
