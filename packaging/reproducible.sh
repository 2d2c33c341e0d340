#!/usr/bin/env bash
# Builds all packages twice, from two copies of the commit in two directories, and compares: whoever builds
# from the same source with the same tools gets the same bytes, and can check what was released.
#
# PROFILE=dev is quicker and proves the same of everything but the optimizer.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
for copy in one two/further/away; do
  mkdir -p "$place/$copy"
  git archive HEAD | tar -x -C "$place/$copy"
  # The directory that it is built in is part of panics' and debug data's paths, unless it is renamed.
  (cd "$place/$copy" && RUSTFLAGS="--remap-path-prefix=$PWD=/regtrust --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" \
    OUT="$PWD/packages" packaging/build.sh)
done
diff "$place/one/packages/SHA256SUMS" "$place/two/further/away/packages/SHA256SUMS"
echo "reproducible: two builds made the same bytes"
