//! Somebody else's hosts.toml, wherever containerd may come across it.

use std::collections::{BTreeMap, BTreeSet};

use regtrust::content::Content;
use regtrust::observed::{Containerd, CriUse, Files, Found, Running, Version};
use regtrust::target::{containerd_config, containerd_hosts};
use regtrust::trust::entry::{Capability, Entry, Mirror, Origin, Trust};
use regtrust::trust::host::RegistryHost;

use super::assert_printable;

pub fn check(data: &[u8]) {
    let Ok(host) = "h.corp:5000".parse::<RegistryHost>() else { return };
    let entries = entries(&host);
    // Each input under one of the two sets of rules is enough, and twice as many inputs.
    let version = data.len().is_multiple_of(2).then_some(Version::new(2, 1, 0));
    for directory in containerd_hosts::directories(&containerd_config::default_hosts_dir(), &host) {
        let mut files = Files::default();
        let content = Content::plain(data);
        let found = Found::File { content, mode: 0o644, immutable: false };
        files.insert(&directory, Found::Directory);
        files.insert(&directory.join("hosts.toml"), found);
        files.list(&directory, ["hosts.toml"]);
        for entry in &entries {
            check_with(entry, version, &files);
        }
    }
}

fn check_with(entry: &Entry, version: Option<Version>, files: &Files) {
    let hosts_dir = containerd_config::default_hosts_dir();
    let cri = CriUse::Used("kubelet".to_owned());
    let containerd = Containerd { version, running: Running::Unknown, cri, imports: Vec::new() };
    let wants = containerd_hosts::want(&[entry], &containerd, &hosts_dir, files, &BTreeMap::new());
    for conflict in &wants.conflicts {
        assert_printable(&conflict.message);
        assert_printable(&conflict.cure);
    }
    for note in &wants.notes {
        assert_printable(&note.message);
    }
    let overwrites = wants.files.iter().any(|file| files.get(&file.path).is_some());
    assert!(!overwrites || !wants.conflicts.is_empty(), "what is theirs is never overwritten");
}

fn entries(host: &RegistryHost) -> [Entry; 3] {
    let origin = Origin { owner: "local".into(), file: "/x.toml".into(), line: 1 };
    let plain = Entry {
        host: host.clone(),
        trust: Trust::System,
        client: None,
        system_store: false,
        reason: None,
        until: None,
        runtimes: None,
        mirrors: Vec::new(),
        fallback: true,
        origin,
    };
    let mirror = Mirror {
        host: host.clone(),
        path: "/v2/hub".to_owned(),
        trust: Trust::Http,
        capabilities: BTreeSet::from([Capability::Pull]),
    };
    let unverified = Entry { trust: Trust::SkipVerify, ..plain.clone() };
    let mirrored = Entry { mirrors: vec![mirror], ..plain.clone() };
    [plain, unverified, mirrored]
}
