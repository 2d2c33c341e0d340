#!/usr/bin/env python3
"""Writes the container image: an archive that `docker load`, `ctr images import`, `skopeo` and
`crane` read, without a registry, a daemon or a download.

    build.py --programs DIRECTORY --version 0.1.0 --architecture amd64 --output image.tar

The same programs make the same bytes, so that anybody can check that an image is what its source
says: no clock is read, owners and times are constants, entries are sorted, and the layer is not
compressed, because what a compressor writes differs between its versions. Nothing but Python's
standard library is used.

The archive is an OCI layout with docker's older `manifest.json` beside it, over the same blobs:
docker before 25 reads only that, and everything newer only the other.
"""

import argparse
import hashlib
import io
import json
import pathlib
import sys
import tarfile

NAME = "localhost/regtrust"
# Where the manifests mount the node. It is in the image so that the daemon can say what is missing
# when nothing is mounted, instead of failing at its root.
MOUNT_POINT = "host"
PROGRAMS = ("regtrust", "regtrustd")

LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

ELF_MAGIC = b"\x7fELF"
PT_INTERP = 3


def is_static(program: bytes) -> bool:
    """Whether no loader is needed: an image from scratch has none, and a program that wants one
    fails there with the misleading words "no such file"."""
    if program[:4] != ELF_MAGIC or program[4] != 2 or program[5] != 1:
        sys.exit("only 64-bit little-endian ELF programs are known here")
    start = int.from_bytes(program[32:40], "little")
    size = int.from_bytes(program[54:56], "little")
    count = int.from_bytes(program[56:58], "little")
    headers = (program[start + n * size : start + (n + 1) * size] for n in range(count))
    return all(int.from_bytes(header[:4], "little") != PT_INTERP for header in headers)


def entry(name: str, mode: int, size: int | None = None) -> tarfile.TarInfo:
    """A directory, or with a size a file: root's, at the beginning of time."""
    info = tarfile.TarInfo(name)
    info.mode = mode
    info.type = tarfile.DIRTYPE if size is None else tarfile.REGTYPE
    info.size = size or 0
    return info


def archive(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, content in sorted(entries, key=lambda one: one[0].name):
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def dump(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


class Blobs:
    """What the archive holds, under its digest."""

    def __init__(self) -> None:
        self.entries: list[tuple[tarfile.TarInfo, bytes]] = []

    def add(self, media_type: str, content: bytes) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        self.entries.append((entry(f"blobs/sha256/{digest}", 0o644, len(content)), content))
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def layer(programs: pathlib.Path) -> bytes:
    entries = [(entry(MOUNT_POINT, 0o755), b"")]
    for name in PROGRAMS:
        content = (programs / name).read_bytes()
        if not is_static(content):
            sys.exit(f"{programs / name} needs a dynamic loader: build it statically")
        entries.append((entry(name, 0o755, len(content)), content))
    return archive(entries)


def image(programs: pathlib.Path, version: str, architecture: str) -> bytes:
    blobs = Blobs()
    content = layer(programs)
    below = blobs.add(LAYER, content)
    labels = {
        "org.opencontainers.image.title": "regtrust",
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.description":
            "Makes a node's container runtimes trust the right image registries",
    }
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {
            # Root without capabilities: it owns what it writes, and the bus knows only uid 0.
            "User": "0:0",
            "Entrypoint": ["/regtrustd"],
            "Cmd": ["--host-root", f"/{MOUNT_POINT}"],
            "Env": ["PATH=/"],
            "WorkingDir": "/",
            "Labels": labels,
        },
        "rootfs": {"type": "layers", "diff_ids": [below["digest"]]},
        "history": [{"created_by": "packaging/image/build.py"}],
    }
    described = blobs.add(CONFIG, dump(config))
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": described,
        "layers": [below],
        "annotations": labels,
    }
    listed = blobs.add(MANIFEST, dump(manifest))
    listed["platform"] = {"architecture": architecture, "os": "linux"}
    reference = f"{NAME}:{version}"
    # containerd names an image by the first of these, tools for layouts by the second.
    listed["annotations"] = {
        "io.containerd.image.name": reference,
        "org.opencontainers.image.ref.name": version,
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [listed]}
    path = lambda one: "blobs/sha256/" + one["digest"].removeprefix("sha256:")
    older = [{"Config": path(described), "Layers": [path(below)], "RepoTags": [reference]}]
    files = {
        "oci-layout": dump({"imageLayoutVersion": "1.0.0"}),
        "index.json": dump(index),
        "manifest.json": dump(older),
    }
    named = [(entry(name, 0o644, len(content)), content) for name, content in files.items()]
    return archive(blobs.entries + named)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--programs", required=True, type=pathlib.Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--architecture", required=True, choices=["amd64", "arm64"])
    parser.add_argument("--output", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    content = image(arguments.programs, arguments.version, arguments.architecture)
    # Beside it and then renamed: half an archive is never found under the name.
    partial = arguments.output.with_suffix(".partial")
    partial.write_bytes(content)
    partial.rename(arguments.output)
    print(f"{NAME}:{arguments.version}", hashlib.sha256(content).hexdigest(), arguments.output)


if __name__ == "__main__":
    main()
