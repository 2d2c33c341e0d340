#!/bin/sh
# Builds the container image into target/image/ and prints its reference, digest and place.
set -eu
cd "$(dirname "$0")/../.."
programs=$(packaging/static.sh)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
case $(uname -m) in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
  *) echo "no image for $(uname -m)" >&2; exit 1 ;;
esac
place=${CARGO_TARGET_DIR:-target}/image
mkdir -p "$place/programs"
# Symbols are kept in the programs of the build; the image is what every node pulls.
for program in regtrust regtrustd; do
  strip -o "$place/programs/$program" "$programs/$program"
done
exec python3 packaging/image/build.py --programs "$place/programs" --version "$version" \
  --architecture "$architecture" --output "$place/regtrust.tar"
