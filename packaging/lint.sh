#!/usr/bin/env bash
# Has the packages in target/package (or OUT) examined by the distributions' own tools. What they find is
# mended, or said with its reason in rpm/rpmlint.toml and deb/lintian-overrides.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=${OUT:-target/package}
need() { command -v "$1" >/dev/null || { echo "lint: \`$1\` is missing: install Debian's package $1" >&2; exit 1; }; }
need lintian
need rpmlint
# It warns of root, under which packages are built in a container.
lintian --fail-on error,warning --allow-root "$packages"/*.deb
rpmlint --config packaging/rpm/rpmlint.toml "$packages"/*.rpm
