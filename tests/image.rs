//! The container image's archive: the same programs make the same bytes, both kinds of readers find
//! the same image in it, and a program that could not run there is refused.
#![expect(clippy::disallowed_methods, reason = "runs the builder")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first surprise"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use regtrust::content::Sha256Hex;
use serde_json::Value;

/// A header of a 64-bit ELF file without any program header: nothing asks for a loader.
fn without_loader() -> Vec<u8> {
    let mut program = vec![0; 64];
    program[..6].copy_from_slice(b"\x7fELF\x02\x01");
    program
}

fn build(programs: &Path, to: &Path) -> Output {
    Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/image/build.py"))
        .arg("--programs")
        .arg(programs)
        .args(["--version", "1.2.3", "--architecture", "amd64", "--output"])
        .arg(to)
        .output()
        .unwrap()
}

/// The files of a tar archive, with what their headers say beside their names.
fn members(archive: &[u8]) -> BTreeMap<String, (String, Vec<u8>)> {
    const BLOCK: usize = 512;
    let mut found = BTreeMap::new();
    let mut at = 0;
    while archive[at] != 0 {
        let header = &archive[at..at + BLOCK];
        let text = |range: std::ops::Range<usize>| {
            let text = String::from_utf8_lossy(&header[range]).into_owned();
            text.trim_end_matches(['\0', ' ']).to_owned()
        };
        let size = usize::from_str_radix(&text(124..136), 8).unwrap();
        let about =
            format!("{} {} {} {}", text(100..108), text(108..116), text(116..124), text(136..148));
        let content = archive[at + BLOCK..at + BLOCK + size].to_vec();
        found.insert(text(0..100), (about, content));
        at += BLOCK + size.next_multiple_of(BLOCK);
    }
    found
}

#[test]
fn the_same_programs_make_the_same_image_and_every_reader_finds_it() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["regtrust", "regtrustd"] {
        std::fs::write(directory.path().join(name), without_loader()).unwrap();
    }
    let archives = ["a.tar", "b.tar"].map(|name| {
        let path = directory.path().join(name);
        let output = build(directory.path(), &path);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(path).unwrap()
    });
    assert_eq!(archives[0], archives[1]);

    let files = members(&archives[0]);
    let content = |name: &str| files[name].1.as_slice();
    let json = |name: &str| serde_json::from_slice::<Value>(content(name)).unwrap();
    let blob = |described: &Value| {
        let digest = described["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let name = format!("blobs/sha256/{digest}");
        assert_eq!(Sha256Hex::of(content(&name)).to_string(), digest);
        assert_eq!(described["size"].as_u64().unwrap(), content(&name).len() as u64);
        name
    };
    let manifest = json(&blob(&json("index.json")["manifests"][0]));
    let (config, layer) = (blob(&manifest["config"]), blob(&manifest["layers"][0]));
    let older = &json("manifest.json")[0];
    assert_eq!(older["Config"], config.as_str());
    assert_eq!(older["Layers"], serde_json::json!([layer]));
    assert_eq!(older["RepoTags"], serde_json::json!(["localhost/regtrust:1.2.3"]));
    let diff = format!("sha256:{}", Sha256Hex::of(content(&layer)));
    assert_eq!(json(&config)["rootfs"]["diff_ids"], serde_json::json!([diff]));

    let inside = members(content(&layer));
    let about: Vec<(&str, &str)> =
        inside.iter().map(|(name, (about, _))| (name.as_str(), about.as_str())).collect();
    let program = "0000755 0000000 0000000 00000000000";
    assert_eq!(about, [("host/", program), ("regtrust", program), ("regtrustd", program)]);
}

#[test]
fn a_program_that_wants_a_loader_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("regtrustd"), without_loader()).unwrap();
    // What cargo builds for this system is linked dynamically.
    std::fs::copy(env!("CARGO_BIN_EXE_regtrust"), directory.path().join("regtrust")).unwrap();
    let archive = directory.path().join("image.tar");
    let output = build(directory.path(), &archive);
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("needs a dynamic loader"), "{words}");
    assert!(!archive.exists());
}
