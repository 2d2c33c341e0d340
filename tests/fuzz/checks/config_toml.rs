//! containerd's config.toml: the same, and only `config_path` ever differs.

use regtrust::content::Content;
use regtrust::observed::{Containerd, CriUse, Files, Found, Running, Version};
use regtrust::target::containerd_config::{Merged, config_file, examine, merge};

use super::assert_printable;

const DIRECTORY: &str = "/etc/containerd/certs.d";
const VERSIONS: [Option<Version>; 3] =
    [None, Some(Version::new(1, 7, 24)), Some(Version::new(2, 2, 0))];

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for version in VERSIONS {
        check_examined(text, version);
        check_merged(text, version);
    }
}

fn check_examined(text: &str, version: Option<Version>) {
    let cri = CriUse::Used("kubelet".to_owned());
    let containerd = Containerd { version, running: Running::Unknown, cri, imports: Vec::new() };
    let mut files = Files::default();
    let content = Content::plain(text);
    files.insert(&config_file(), Found::File { content, mode: 0o644, immutable: false });
    let state = examine(&containerd, &files, None);
    // A directory that it names is one that can be opened beneath the root.
    assert!(!state.directory().as_str().is_empty());
}

fn check_merged(text: &str, version: Option<Version>) {
    let again = |merged: &Merged, want| {
        let (text, owned) = (merged.text.as_deref(), merged.owned.as_ref());
        merge(text, owned, want, version).ok()
    };
    let set = match merge(Some(text), None, Some(DIRECTORY), version) {
        Ok(set) => set,
        Err(error) => return assert_printable(&error),
    };
    assert_eq!(again(&set, Some(DIRECTORY)).as_ref(), Some(&set), "merging again changes nothing");
    let clean = Merged { text: Some(text.to_owned()), owned: None };
    assert_eq!(again(&set, None).as_ref(), Some(&clean), "taken out");
    if set.owned.is_some() {
        let moved = again(&set, Some("/srv/certs.d"));
        let back = moved.as_ref().and_then(|moved| again(moved, None));
        assert_eq!(back, Some(clean), "moved, and taken out");
    }
}
