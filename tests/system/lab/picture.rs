//! The image that is pulled: one layer with a static busybox, and a configuration of its own for
//! every reference, so that removing one image never concerns another.
//!
//! It is written straight into the registry's storage. Pushing it through a runtime would need a
//! runtime that trusts the registry, which is what the cases are about.

use std::sync::OnceLock;

use regtrust::content::Sha256Hex;
use serde_json::{Value, json};

use super::archive::{Member, tar};
use super::image::{self, Suite};
use super::node::{LIMIT, Node};

/// Where every registry on a node has its images, so that each can serve all of them.
pub(crate) const STORAGE: &str = "/srv/registry";

#[derive(Debug)]
struct Blob {
    digest: String,
    content: Vec<u8>,
}

impl Blob {
    fn new(content: Vec<u8>) -> Self {
        Self { digest: Sha256Hex::of(&content).to_string(), content }
    }

    fn json(value: &Value) -> Self {
        Self::new(value.to_string().into_bytes())
    }

    fn path(&self) -> String {
        let root = "docker/registry/v2/blobs/sha256";
        format!("{STORAGE}/{root}/{}/{}/data", &self.digest[..2], self.digest)
    }

    fn described(&self, media_type: &str) -> Value {
        let digest = format!("sha256:{}", self.digest);
        json!({ "mediaType": media_type, "digest": digest, "size": self.content.len() })
    }
}

impl Node {
    /// Makes `repository:1` exist in every registry of this node that is not an empty one. `salt`
    /// makes another image of it.
    pub(crate) fn store_image(&self, repository: &str, salt: &str) {
        let files = stored(layer(self.suite), repository, salt);
        let files = files.iter().filter(|(path, _)| !self.exists(path) || path.ends_with("link"));
        let members: Vec<Member<'_>> =
            files.map(|(path, content)| Member::file(path, 0o644, content)).collect();
        self.unpack(&members);
    }

    /// Starts a docker container that runs until somebody stops it, from no registry at all.
    pub(crate) fn start_container(&self, name: &str) {
        self.import_box();
        self.sh(&format!(
            "docker run --detach --name {name} --network none lab-box:1 /bin/busybox sleep 1000000"
        ));
    }

    /// `lab-box:1`, in docker.
    pub(crate) fn import_box(&self) {
        let import = ["docker", "import", "-", "lab-box:1"];
        let archive = box_archive(self.suite);
        self.run_with(import, &archive, LIMIT).verdict().expect("an image is imported");
    }
}

/// The file system of the smallest image.
pub(crate) fn box_archive(suite: Suite) -> Vec<u8> {
    tar(&[Member::file("/bin/busybox", 0o755, &busybox(suite))])
}

/// Another one, of which no layer is one of a registry's images: containerd pulls no layer twice.
pub(super) fn pause_archive(suite: Suite) -> Vec<u8> {
    tar(&[
        Member::file("/bin/busybox", 0o755, &busybox(suite)),
        Member::file("/etc/pause", 0o644, b""),
    ])
}

/// The files of a repository in the registry's storage.
fn stored(layer: &Blob, repository: &str, salt: &str) -> Vec<(String, Vec<u8>)> {
    let configuration = Blob::json(&json!({
        "architecture": architecture(),
        "os": "linux",
        "config": { "Cmd": ["/bin/busybox", "sleep", "1000000"],
            "Labels": { "lab.image": format!("{repository} {salt}") } },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", layer.digest)] },
        "history": [{ "created_by": "the lab" }],
    }));
    let manifest = Blob::json(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": configuration.described("application/vnd.oci.image.config.v1+json"),
        "layers": [layer.described("application/vnd.oci.image.layer.v1.tar")],
    }));
    let root = format!("{STORAGE}/docker/registry/v2/repositories/{repository}");
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for blob in [layer, &configuration] {
        files.push((blob.path(), blob.content.clone()));
        files.push(link(&format!("{root}/_layers/sha256/{}", blob.digest), blob));
    }
    let manifests = format!("{root}/_manifests");
    files.push((manifest.path(), manifest.content.clone()));
    let of_manifest = [
        format!("{manifests}/revisions/sha256/{}", manifest.digest),
        format!("{manifests}/tags/1/index/sha256/{}", manifest.digest),
        format!("{manifests}/tags/1/current"),
    ];
    files.extend(of_manifest.iter().map(|directory| link(directory, &manifest)));
    files
}

fn link(directory: &str, to: &Blob) -> (String, Vec<u8>) {
    (format!("{directory}/link"), format!("sha256:{}", to.digest).into_bytes())
}

fn layer(suite: Suite) -> &'static Blob {
    static LAYERS: [OnceLock<Blob>; Suite::ALL.len()] =
        [const { OnceLock::new() }; Suite::ALL.len()];
    LAYERS[suite as usize]
        .get_or_init(|| Blob::new(tar(&[Member::file("/bin/busybox", 0o755, &busybox(suite))])))
}

fn busybox(suite: Suite) -> Vec<u8> {
    std::fs::read(image::of(suite).join("usr/bin/busybox")).expect("the image has busybox-static")
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
