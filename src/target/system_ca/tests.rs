use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::*;
use crate::observed::Found;
use crate::trust::certificate::CaBundle;
use crate::trust::entry::{Origin, Trust};
use crate::trust::host::RegistryHost;

/// Not a certificate; nothing here looks into one.
fn certificate(seed: u8) -> CaCertificate {
    let der = vec![seed; 700];
    CaCertificate {
        fingerprint: Sha256Hex::of(&der),
        spki: Sha256Hex::of(&[seed]),
        subject: format!("CN=CA {seed}"),
        not_before: Timestamp::UNIX_EPOCH,
        not_after: Timestamp::UNIX_EPOCH,
        is_authority: true,
        rsa_bits: None,
        has_name_constraints: false,
        is_self_issued: true,
        has_server_names: false,
        pem: pem(&der, 64).into(),
    }
}

fn pem(der: &[u8], width: usize) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(width)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn entry(host: &str, seeds: &[u8]) -> Entry {
    Entry {
        host: RegistryHost::unchecked(host),
        trust: Trust::Ca(CaBundle::unchecked(seeds.iter().copied().map(certificate).collect())),
        client: None,
        system_store: true,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: vec![],
        fallback: true,
        origin: Origin { owner: "local".into(), file: "a.toml".into(), line: 1 },
    }
}

fn item(host: &str) -> Item {
    Item { host: RegistryHost::unchecked(host), on: Believer::System }
}

fn short(seed: u8) -> String {
    certificate(seed).fingerprint.short()
}

fn path(layout: CaLayout, seed: u8) -> NodePath {
    layout.anchors().join(&format!("regtrust-{}.crt", short(seed)))
}

fn store(layout: CaLayout, name: &str, bytes: &[u8]) -> Files {
    let content = Content::plain(bytes);
    let found = Found::File { content, mode: 0o644, immutable: false };
    let mut files = Files::default();
    files.insert(&layout.anchors().join(name), found);
    files.list(&layout.anchors(), [name]);
    files
}

fn owned(path: NodePath) -> BTreeMap<NodePath, OwnedFile> {
    let file = OwnedFile { target: Target::SystemCa, sha256: Sha256Hex::of(b""), mode: 0o644 };
    [(path, file)].into()
}

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

const LAYOUTS: [CaLayout; 5] =
    [CaLayout::Debian, CaLayout::Alpine, CaLayout::Redhat, CaLayout::Suse, CaLayout::Arch];

#[test]
fn each_certificate_is_a_file_of_its_own_and_registries_share_it() {
    let (a, b) = (entry("a.corp", &[1, 2]), entry("b.corp", &[2]));
    for layout in LAYOUTS {
        let wants = want(&[&a, &b], Some(layout), &Files::default(), &BTreeMap::new(), &none());
        let file = |seed, items: &[&str]| WantedFile {
            target: Target::SystemCa,
            path: path(layout, seed),
            content: Content::plain(certificate(seed).pem.as_bytes()),
            mode: 0o644,
            items: items.iter().map(|host| item(host)).collect(),
        };
        let mut files = vec![file(1, &["a.corp"]), file(2, &["a.corp", "b.corp"])];
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(wants, Wants { files, ..Wants::default() });
    }
}

#[test]
fn every_file_ends_in_a_newline_because_alpine_only_joins_them() {
    let wants = want(
        &[&entry("a.corp", &[1])],
        Some(CaLayout::Alpine),
        &Files::default(),
        &BTreeMap::new(),
        &none(),
    );
    assert!(wants.files.iter().all(|file| file.content.bytes().ends_with(b"-----\n")));
}

#[test]
fn an_entry_that_does_not_ask_for_it_is_not_trusted_by_everybody() {
    let entry = Entry { system_store: false, ..entry("a.corp", &[1]) };
    let wants =
        want(&[&entry], Some(CaLayout::Debian), &Files::default(), &BTreeMap::new(), &none());
    assert_eq!(wants, Wants::default());
}

#[test]
fn an_unknown_store_is_said_and_not_guessed() {
    let wants = want(&[&entry("a.corp", &[1])], None, &Files::default(), &BTreeMap::new(), &none());
    let mut expected = Wants::default();
    expected.note(&item("a.corp"), "how this system keeps the CAs that every program trusts is not known, so this CA is not added to them");
    expected.inexpressible.insert(item("a.corp"));
    assert_eq!(wants, expected);
}

#[test]
fn a_certificate_that_somebody_added_by_hand_is_not_added_again() {
    let wrapped = format!("# corp\n{}{}", pem(&[1; 700], 76), pem(&[9; 700], 64));
    for (layout, name, bytes) in [
        (CaLayout::Debian, "corp.crt", wrapped.as_bytes()),
        (CaLayout::Redhat, "corp.der", &[1; 700]),
    ] {
        let files = store(layout, name, bytes);
        let wants =
            want(&[&entry("a.corp", &[1])], Some(layout), &files, &BTreeMap::new(), &none());
        let mut expected = Wants::default();
        let theirs = layout.anchors().join(name);
        expected
            .note(&item("a.corp"), format!("`{theirs}` already makes the system trust CN=CA 1"));
        assert_eq!(wants, expected);
        let ours = owned(path(layout, 1));
        assert_eq!(
            want(&[&entry("a.corp", &[1])], Some(layout), &files, &ours, &none()).files.len(),
            1
        );
    }
}

#[test]
fn a_name_that_debians_tool_passes_over_makes_nobody_trust_it() {
    let files = store(CaLayout::Debian, "corp.pem", pem(&[1; 700], 64).as_bytes());
    let wants =
        want(&[&entry("a.corp", &[1])], Some(CaLayout::Debian), &files, &BTreeMap::new(), &none());
    assert_eq!((wants.files.len(), wants.notes), (1, vec![]));
}

/// Otherwise its withdrawal would ask for the tool for ever: the distribution keeps it in the bundle.
#[test]
fn a_certificate_that_the_distribution_brings_is_not_added_again() {
    let layout = CaLayout::Debian;
    let content = Content::plain(pem(&[1; 700], 76));
    let found = Found::File { content, mode: 0o644, immutable: false };
    let mut files = Files::default();
    files.insert(&layout.bundle(), found);
    let entry = entry("a.corp", &[1]);
    let files_of = |owned: &BTreeMap<_, _>, leaving: &BTreeSet<_>| {
        want(&[&entry], Some(layout), &files, owned, leaving).files.len()
    };
    assert_eq!(files_of(&BTreeMap::new(), &none()), 0);
    assert_eq!(files_of(&owned(path(layout, 1)), &none()), 1, "it is there because of us");
    assert_eq!(files_of(&BTreeMap::new(), &[short(1)].into()), 1, "it was, a moment ago");
}

#[test]
fn what_others_add_is_told_from_what_we_add() {
    let files = store(CaLayout::Debian, "corp.crt", pem(&[1; 700], 64).as_bytes());
    let ours = owned(CaLayout::Debian.anchors().join("corp.crt"));
    for (owned, theirs) in [(BTreeMap::new(), [short(1)].into()), (ours, none())] {
        assert_eq!(added_by_others(CaLayout::Debian, &files, &owned), theirs);
    }
}

#[test]
fn the_tool_is_due_when_the_bundle_differs_however_it_is_wrapped() {
    let blocks: Vec<_> = (1..=3)
        .map(|seed| {
            format!(
                "# CA {seed}
{}",
                pem(&[seed; 700], 76)
            )
        })
        .collect();
    let bundle = blocks.concat();
    let bundle = bundle.replace('\n', "\r\n");
    let set = |seeds: &[u8]| seeds.iter().copied().map(short).collect::<BTreeSet<_>>();
    let need = |wanted: &[u8], withdrawn: &[u8]| {
        missing_from_bundle(Some(bundle.as_bytes()), &set(wanted), &set(withdrawn))
    };
    let is = |missing: &[u8], lingering: &[u8]| CaToolNeed {
        missing: set(missing),
        lingering: set(lingering),
    };
    assert_eq!(need(&[1, 2], &[]), is(&[], &[]));
    assert!(!need(&[1, 2], &[4]).is_due());
    assert_eq!(need(&[1, 4], &[]), is(&[4], &[]));
    assert_eq!(need(&[], &[3, 4]), is(&[], &[3]));
    assert_eq!(need(&[3], &[3]), is(&[], &[]), "another registry still wants it");
    assert_eq!(missing_from_bundle(None, &set(&[1]), &set(&[2])), is(&[1], &[]));
    let broken = &bundle.as_bytes()[..bundle.len() - 40];
    assert_eq!(missing_from_bundle(Some(broken), &set(&[3]), &set(&[])), is(&[3], &[]));
}

#[test]
fn a_removal_needs_debians_tool_to_drop_dead_links() {
    let removal = CaToolNeed { lingering: [short(1)].into(), ..CaToolNeed::default() };
    let addition = CaToolNeed { missing: [short(1)].into(), ..CaToolNeed::default() };
    for (layout, add, remove) in [
        (
            CaLayout::Debian,
            "/usr/sbin/update-ca-certificates",
            "/usr/sbin/update-ca-certificates --fresh",
        ),
        (
            CaLayout::Alpine,
            "/usr/sbin/update-ca-certificates",
            "/usr/sbin/update-ca-certificates --fresh",
        ),
        (CaLayout::Suse, "/usr/sbin/update-ca-certificates", "/usr/sbin/update-ca-certificates"),
        (CaLayout::Redhat, "/usr/bin/update-ca-trust extract", "/usr/bin/update-ca-trust extract"),
        (CaLayout::Arch, "/usr/bin/update-ca-trust", "/usr/bin/update-ca-trust"),
    ] {
        assert_eq!(addition.argv(tool(layout)).join(" "), add);
        assert_eq!(removal.argv(tool(layout)).join(" "), remove);
    }
}

#[test]
fn a_file_of_ours_is_known_by_its_name() {
    let ours = path(CaLayout::Debian, 1);
    assert_eq!(fingerprint_in(&ours), Some(&*short(1)));
    assert_eq!(fingerprint_in(&CaLayout::Debian.anchors().join("corp.crt")), None);
}
