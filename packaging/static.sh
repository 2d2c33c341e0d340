#!/bin/sh
# Builds regtrust and regtrustd so that they need nothing from the system they run on, and prints the
# directory they are in. PROFILE: cargo's profile, `release` unless it is set.
#
# musl where its target is installed (`rustup target add x86_64-unknown-linux-musl`), else the static
# glibc that every C compiler's package brings. musl is preferred because its programs are whole:
# glibc's still want to load libraries for some of getaddrinfo's answers.
set -eu
cd "$(dirname "$0")/.."
# What cargo tells the tests that it runs: with it in the environment `ring`, and all that needs it, would be
# compiled once more.
for variable in $(env | sed -n 's/^\(CARGO_\(PKG\|MANIFEST\)_[A-Z_]*\)=.*/\1/p'); do unset "$variable"; done
profile=${PROFILE:-release}
machine=$(uname -m)
musl=$machine-unknown-linux-musl
target=$machine-unknown-linux-gnu
libraries=$(rustc --print sysroot)/lib/rustlib/$musl
if [ -d "$libraries" ]; then
  target=$musl
  # The C in `ring` is free of libc, so the compiler for this system does; musl's own wrapper, where
  # it is installed, is taken all the same.
  variable=CC_$(echo "$musl" | tr - _)
  command -v musl-gcc >/dev/null 2>&1 || export "$variable=${CC:-cc}"
else
  export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static"
fi
${CARGO:-cargo} build --locked --quiet --bins --target "$target" --profile "$profile" >&2
[ "$profile" = dev ] && profile=debug
echo "${CARGO_TARGET_DIR:-target}/$target/$profile"
