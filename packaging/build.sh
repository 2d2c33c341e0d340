#!/usr/bin/env bash
# Builds what is released: a .deb, an .rpm, a tarball with static programs, an SBOM and checksums, in
# target/package. `make package` calls it.
#
#     packaging/build.sh [deb] [rpm] [tarball] [sbom]      default: all
#
# PROFILE=dev packages a debug build. PROGRAMS=DIR (and STATIC_PROGRAMS=DIR for the tarball) packages
# programs that are built already. OUT, VERSION and COMPRESSION are for tests. Two runs from one commit make the same bytes: every time is the commit's, every list is
# sorted, and everything belongs to root (`packaging/reproducible.sh` checks it).
set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC
umask 022
cd "$(dirname "$0")/.."
readonly project=$PWD packages=${OUT:-$PWD/target/package} compression=${COMPRESSION:-xz}

fail() { echo "packaging: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "\`$1\` is missing: install Debian's package $2"; }

version=${VERSION:-$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)}
[ -n "$version" ] || fail "Cargo.toml names no version"
# A tarball of the source has no history; then it is as old as its newest changelog.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}"
export SOURCE_DATE_EPOCH
readonly machine=$(uname -m)
case $machine in
  x86_64) debian=amd64 ;;
  aarch64) debian=arm64 ;;
  *) fail "no package is made for $machine" ;;
esac
readonly profile=${PROFILE:-release}
case $profile in dev) built=debug ;; *) built=$profile ;; esac

# The dynamic programs, for packages: they get the distribution's fixes of its C library.
dynamic_programs() {
  if [ -n "${PROGRAMS:-}" ]; then echo "$PROGRAMS"; return; fi
  cargo build --locked --profile "$profile" --bins >&2
  echo "$project/target/$built"
}

# The static ones, for the tarball.
static_programs() {
  if [ -n "${STATIC_PROGRAMS:-}" ]; then echo "$STATIC_PROGRAMS"; return; fi
  PROFILE=$profile packaging/static.sh
}

put() { # put MODE FILE PLACE: a copy of a file in the tree that is being made
  install -D -m "$1" "$2" "$tree$3"
}

make_same() { # nothing in the tree may tell when or by whom it was made
  find "$1" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}

# stage PROGRAMS: makes $tree, which looks like / after an installation
stage() {
  local from=$1 program page shell file
  rm -rf "$tree"
  for program in regtrust regtrustd; do
    [ -x "$from/$program" ] || fail "$from/$program is not built"
    put 755 "$from/$program" "/usr/bin/$program"
    strip "$tree/usr/bin/$program"
    [ -n "$debug" ] || continue
    # What a backtrace needs goes into an archive of its own, which the program names.
    mkdir -p "$debug"
    objcopy --only-keep-debug --compress-debug-sections=zlib "$from/$program" "$debug/$program.debug"
    (cd "$debug" && objcopy --add-gnu-debuglink="$program.debug" "$tree/usr/bin/$program")
  done
  local regtrust=$from/regtrust
  for file in systemd/*.service systemd/*.socket; do
    put 644 "$file" "/usr/lib/systemd/system/${file#systemd/}"
  done
  for file in systemd/*.conf; do put 644 "$file" "/usr/share/regtrust/${file#systemd/}"; done
  put 755 packaging/withdraw /usr/lib/regtrust/withdraw
  (cd packaging/etc && find . -type f | sort) | while read -r file; do
    put 644 "packaging/etc/${file#./}" "/etc/${file#./}"
  done
  # A policy and settings that people write name who may do what.
  chmod 755 "$tree/etc/regtrust" "$tree/etc/regtrust/registries.d"
  "$regtrust" man | while read -r page; do
    mkdir -p "$tree/usr/share/man/man${page##*.}"
    "$regtrust" man "$page" | gzip -9n >"$tree/usr/share/man/man${page##*.}/$page.gz"
  done
  for shell in bash/bash-completion/completions/regtrust zsh/zsh/vendor-completions/_regtrust \
    fish/fish/vendor_completions.d/regtrust.fish; do
    file=$tree/usr/share/${shell#*/}
    mkdir -p "${file%/*}"
    "$regtrust" completions "${shell%%/*}" >"$file"
  done
  put 644 README.md /usr/share/doc/regtrust/README.md
  for file in docs/*.md; do put 644 "$file" "/usr/share/doc/regtrust/$file"; done
  put 644 proto/regtrust/v1/regtrust.proto /usr/share/doc/regtrust/regtrust.proto
}

build_deb() {
  need dpkg-deb dpkg
  local tree=$packages/deb debug="" control size libraries file
  stage "$programs"
  # The licence of Debian's packages is told in a file of this name; all of the text is on every system.
  put 644 packaging/deb/copyright /usr/share/doc/regtrust/copyright
  debian_changelog | gzip -9n >"$tree/usr/share/doc/regtrust/changelog.gz"
  gzip -9n <CHANGELOG.md >"$tree/usr/share/doc/regtrust/CHANGELOG.md.gz"
  put 644 packaging/deb/lintian-overrides /usr/share/lintian/overrides/regtrust
  find "$tree/usr/share/doc/regtrust" -type f -exec chmod 644 {} +
  control=$tree/DEBIAN
  libraries=$(needed "$tree/usr/bin/regtrust" "$tree/usr/bin/regtrustd")
  size=$(du -k --apparent-size --summarize "$tree" | cut -f1)
  mkdir "$control"
  sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$debian/; s/@SIZE@/$size/; s/@DEPENDS@/$libraries/" \
    packaging/deb/control >"$control/control"
  # A static program depends on nothing.
  sed -i '/^Depends: $/d' "$control/control"
  (cd "$tree" && find etc -type f | sort | sed 's,^,/,') >"$control/conffiles"
  for file in postinst prerm postrm; do install -m 755 "packaging/deb/$file" "$control/$file"; done
  (cd "$tree" && find usr -type f | sort | xargs md5sum) >"$control/md5sums"
  make_same "$tree"
  dpkg-deb --root-owner-group -Z"$compression" --build "$tree" "$packages/regtrust_${version}_$debian.deb" >&2
}

# needed PROGRAM…: Debian's packages with the C library's version that the symbols ask for
needed() {
  local version
  readelf --dynamic "$@" | grep -q '(NEEDED)' || return 0
  version=$(readelf --version-info "$@" | grep -o 'GLIBC_2\.[0-9]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1)
  echo "libc6 (>= $version), libgcc-s1"
}

# Under the name that Debian's tools look for there has to be one in their form.
debian_changelog() {
  echo "regtrust ($version) unstable; urgency=medium"
  printf '\n  * What has changed is told in CHANGELOG.md.gz.\n\n'
  echo " -- $(sed -n 's/^Maintainer: //p' packaging/deb/control)  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")"
}

build_rpm() {
  need rpmbuild rpm
  local tree=$packages/rpm debug="" top=$packages/rpmbuild
  stage "$programs"
  mkdir -p "$tree/usr/share/zsh/site-functions"
  mv "$tree/usr/share/zsh/vendor-completions/_regtrust" "$tree/usr/share/zsh/site-functions/"
  rmdir "$tree/usr/share/zsh/vendor-completions"
  put 644 LICENSE /usr/share/licenses/regtrust/LICENSE
  make_same "$tree"
  rm -rf "$top"
  # A pre-release's hyphen is no part of an RPM's version, and sorts before the release as `~`.
  rpmbuild -bb --quiet --target "$machine-linux" \
    --define "_topdir $top" --define "_rpmdir $packages" --define "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm" \
    --define "tree $tree" --define "version ${version/-/\~}" \
    --define "_buildhost localhost" --define "use_source_date_epoch_as_buildtime 1" \
    --define "clamp_mtime_to_source_date_epoch 1" --define "_build_id_links none" \
    packaging/rpm/regtrust.spec >&2
  rm -rf "$top"
}

build_tarball() {
  local name=regtrust-$version-$machine-linux
  local tree=$packages/$name debug=$packages/$name-debug static
  static=$(static_programs)
  rm -rf "$debug"
  stage "$static"
  ! readelf --dynamic "$tree/usr/bin/regtrustd" | grep -q '(NEEDED)' || fail "regtrustd is not static"
  # Not beside `usr` and `etc`: it is unpacked in /.
  put 644 LICENSE /usr/share/doc/regtrust/LICENSE
  put 644 CHANGELOG.md /usr/share/doc/regtrust/CHANGELOG.md
  make_same "$tree"
  make_same "$debug"
  local archive
  for archive in "$name" "$name-debug"; do
    tar --create --sort=name --owner=0 --group=0 --numeric-owner --format=gnu \
      --mtime="@$SOURCE_DATE_EPOCH" --directory="$packages" "$archive" | gzip -9n >"$packages/$archive.tar.gz"
  done
  rm -rf "$debug"
}

build_sbom() {
  need python3 python3
  cargo metadata --locked --format-version 1 --filter-platform "$machine-unknown-linux-gnu" |
    python3 packaging/sbom.py Cargo.lock >"$packages/regtrust-$version.cdx.json"
}

wanted=${*:-deb rpm tarball sbom}
mkdir -p "$packages"
rm -rf "$packages"/{deb,rpm} "$packages"/*.{deb,rpm,tar.gz,json} "$packages/SHA256SUMS"
programs=""
case " $wanted " in *" deb "* | *" rpm "*) need strip binutils; programs=$(dynamic_programs) ;; esac
for what in $wanted; do
  case $what in
    deb | rpm | tarball | sbom) "build_$what" ;;
    *) fail "what is \`$what\`?" ;;
  esac
done
(cd "$packages" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
rm -rf "$packages"/{deb,rpm} "$packages"/regtrust-*-linux
cat "$packages/SHA256SUMS"
