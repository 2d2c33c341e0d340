#!/usr/bin/env bash
# What `make demo` shows: three registries on a scratch node, step by step, and how they go again.
# The node is a directory with the files of a Debian machine; nothing outside it is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

regtrust=$PWD/target/release/regtrust
certificates=$PWD/tests/fixtures/certs
node=$(mktemp -d)
trap 'rm -rf "$node" "$node.before"' EXIT

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' off=$'\e[0m' colour=always; else bold= dim= off= colour=never; fi
say() { printf '\n%s== %s%s\n' "$bold" "$1" "$off"; }
run() { # run EXPECTED-EXIT ARGUMENT…
  local expected=$1 got=0
  shift
  printf '%s$ regtrust --root NODE %s%s\n' "$dim" "$*" "$off"
  "$regtrust" --color "$colour" --root "$node" "$@" || got=$?
  [ "$got" = "$expected" ] || { echo "expected exit $expected, got $got" >&2; exit 1; }
}

mkdir -p "$node"/{usr/bin,usr/sbin,etc/docker,etc/containerd,etc/regtrust/registries.d} \
  "$node"/{var/lib/dpkg,var/lib/kubelet,etc/ssl/certs}
touch "$node"/usr/bin/{dockerd,containerd} "$node/usr/sbin/update-ca-certificates" \
  "$node/var/lib/kubelet/config.yaml"
echo 'ID=debian' >"$node/etc/os-release"
cat >"$node/var/lib/dpkg/status" <<'STATUS'
Package: docker.io
Status: install ok installed
Version: 26.1.5+dfsg1-9

Package: containerd
Status: install ok installed
Version: 1.7.24~ds1-6
STATUS
cat >"$node/etc/docker/daemon.json" <<'JSON'
{
    "log-driver": "journald",
    "insecure-registries": ["old.corp:5000"]
}
JSON
cat >"$node/etc/containerd/config.toml" <<'TOML'
version = 2

[plugins]
  # set by the platform team; kubelet depends on it
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = true
TOML
cp -a "$node" "$node.before"

say "A node with docker 26.1, containerd 1.7 and a kubelet, configured by hand"
cat "$node/etc/docker/daemon.json" "$node/etc/containerd/config.toml"

say "Three registries are declared"
cp "$certificates/ca.pem" "$node/etc/regtrust/registries.d/harbor-ca.pem"
cat >"$node/etc/regtrust/registries.d/corp.toml" <<'TOML'
[[registry]]
host = "https://Harbor.corp:8443/"
trust = "ca"
ca_file = "harbor-ca.pem"

[[registry]]
host = "plain.corp:5080"
trust = "http"
reason = "lab registry without TLS"
until = 2099-01-31T00:00:00Z

[[registry]]
host = "docker.io"
trust = "system"
[[registry.mirror]]
url = "https://mirror.corp"
trust = "ca"
ca_file = "harbor-ca.pem"
TOML
cat "$node/etc/regtrust/registries.d/corp.toml"
run 0 lint

say "What would that change, and what would it cost?"
run 2 plan

say "Change it, all or nothing"
run 0 apply
run 0 status

say "A second apply writes nothing"
run 0 apply

say "The declarations are withdrawn"
rm "$node"/etc/regtrust/registries.d/*
run 0 apply
if diff -r --exclude=regtrust "$node.before" "$node"; then
  say "Every file of the node is again what it was, byte for byte"
else
  echo "the node differs from what it was" >&2
  exit 1
fi
