"""A CycloneDX 1.5 bill of materials: every crate that is linked into the programs, from what cargo says.

    cargo metadata --locked --format-version 1 | packaging/sbom.py Cargo.lock

What only builds or tests is left out: it is on no node. Made from the same lock file it is the same bytes.
"""

import datetime
import json
import os
import sys
import tomllib
import uuid


def linked(metadata):
    """The packages that the root reaches over normal dependencies, by id, each with what it links."""
    graph = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    proc_macros = {
        package["id"]
        for package in metadata["packages"]
        if any("proc-macro" in target["kind"] for target in package["targets"])
    }
    found, waiting = {}, [metadata["resolve"]["root"]]
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        found[package] = sorted(
            dependency["pkg"]
            for dependency in graph[package]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
            and dependency["pkg"] not in proc_macros
        )
        waiting.extend(found[package])
    return found


def component(package, checksums):
    name, version = package["name"], package["version"]
    described = {
        "type": "library",
        "bom-ref": purl(package),
        "name": name,
        "version": version,
        "purl": purl(package),
    }
    if package.get("license"):
        # Cargo once allowed `MIT/Apache-2.0`, which is no SPDX expression.
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if (name, version) in checksums:
        described["hashes"] = [{"alg": "SHA-256", "content": checksums[name, version]}]
    return described


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def main():
    metadata = json.load(sys.stdin)
    with open(sys.argv[1], "rb") as lock:
        locked = tomllib.load(lock)["package"]
    checksums = {(one["name"], one["version"]): one["checksum"] for one in locked if "checksum" in one}
    packages = {package["id"]: package for package in metadata["packages"]}
    graph, root = linked(metadata), metadata["resolve"]["root"]
    components = [component(packages[one], checksums) for one in graph if one != root]
    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**component(packages[root], {}), "type": "application"},
        },
        "components": sorted(components, key=lambda one: one["bom-ref"]),
        "dependencies": sorted(
            ({"ref": purl(packages[one]), "dependsOn": sorted(purl(packages[other]) for other in others)}
             for one, others in graph.items()),
            key=lambda one: one["ref"],
        ),
    }
    identity = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))
    json.dump({"serialNumber": f"urn:uuid:{identity}", **bill}, sys.stdout, indent=2)
    print()


main()
