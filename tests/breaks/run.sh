#!/usr/bin/env bash
# Breaks the product deliberately, once for every patch beside this script, and demands that the cases
# which the patch names fail on real nodes with the words that it expects. Each case must pass before.
# Names of patches as arguments: only those. The sources are copied; nothing in this tree changes.
set -euo pipefail
cd "$(dirname "$0")/../.."

scratch=$PWD/target/breaks
tree=$scratch/tree
mkdir -p "$scratch"
# Kept, so that what the product is built from is built once and not at every run.
export CARGO_TARGET_DIR=$scratch RUST_BACKTRACE=0

fresh_copy() {
  rm -rf "$tree"
  mkdir "$tree"
  git ls-files -z --cached --others --exclude-standard -- . ':!tests/breaks' |
    tar --create --null --files-from=- | tar --extract --directory "$tree"
  # The copies are as old as the files, and cargo goes by the clock: it would take what was broken
  # last for what is here now.
  touch "$tree/src/lib.rs" "$tree/tests/system/main.rs"
}
build() { (cd "$tree" && cargo test --quiet --locked --test system --no-run); }
run() { (cd "$tree" && cargo test --quiet --locked --test system -- --exact "$1" 2>&1); }

if [ $# -gt 0 ]; then patches=("${@/%/.patch}"); else patches=($(cd tests/breaks && ls -- *.patch)); fi
fresh_copy
build
for patch in "${patches[@]}"; do
  sed -n 's/^case: //p' "tests/breaks/$patch" | while read -r case; do
    run "$case" >"$scratch/log" || { cat "$scratch/log"; echo "$case fails without a break" >&2; exit 1; }
    # Where nodes cannot be booted nothing was shown.
    grep -q '1 passed' "$scratch/log" || { cat "$scratch/log"; echo "$case did not run" >&2; exit 1; }
  done
done

for patch in "${patches[@]}"; do
  fresh_copy
  # The copy lies in this repository and is no part of it.
  (cd "$tree" && GIT_CEILING_DIRECTORIES=$scratch git apply --whitespace=nowarn) <"tests/breaks/$patch"
  build
  says=$(sed -n 's/^says: //p' "tests/breaks/$patch")
  sed -n 's/^case: //p' "tests/breaks/$patch" | while read -r case; do
    if run "$case" >"$scratch/log"; then
      echo "${patch%.patch}: $case did not notice" >&2
      exit 1
    fi
    grep -qF "test panicked" "$scratch/log" && grep -qF -- "$says" "$scratch/log" || {
      cat "$scratch/log"
      echo "${patch%.patch}: $case failed for another reason" >&2
      exit 1
    }
    echo "${patch%.patch}: noticed by $case"
  done
done
