#!/usr/bin/env bash
# Everything that a release has to pass, and its files, in target/package. It uploads nothing and makes no tag:
# those are the last two lines that it prints, for whoever decides.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "release: $*" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
grep -q "^## $version\( \|$\)" CHANGELOG.md || fail "CHANGELOG.md has no section \`## $version\`"
! git rev-parse --quiet --verify "v$version" >/dev/null || fail "v$version is released already"

# The oldest Rust that is promised, with the very same dependencies.
oldest=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
toolchain=$(rustup toolchain list 2>/dev/null | grep -o "^$oldest[.0-9]*" | head -n 1 || true)
[ -n "$toolchain" ] || fail "the oldest promised toolchain is missing: rustup toolchain install $oldest"
cargo "+$toolchain" check --locked --all-targets

make test
make check
packaging/reproducible.sh
make package
packaging/lint.sh
echo "release: everything passed; what is left is yours:"
grep -q "^## $version (unreleased)" CHANGELOG.md && echo "  in CHANGELOG.md, the day of the release in place of \`(unreleased)\`"
echo "  git tag --sign v$version && git push origin v$version"
echo "  publish $(find target/package -maxdepth 1 -type f -printf '%p ' | sort)"
