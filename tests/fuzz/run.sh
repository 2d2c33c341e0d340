#!/usr/bin/env bash
# Runs every fuzz target for FUZZ_SECONDS (60), or those that are named, and says how often each ran.
# What it finds stays in tests/fuzz/artifacts; what it learns, in tests/fuzz/corpus. Both are ignored
# by git: make a small seed of a finding, so that `make test` keeps it.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${FUZZ_SECONDS:-60}
cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked

# The sanitizer is a flag of the compiler that only nightly admits to having.
if toolchain=$(rustup toolchain list 2>/dev/null | grep -o '^nightly[^ ]*' | head -n 1) && [ -n "$toolchain" ]; then
  fuzz=(cargo "+$toolchain" fuzz)
else
  export RUSTC_BOOTSTRAP=1
  fuzz=(cargo fuzz)
fi

targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <("${fuzz[@]}" list --fuzz-dir tests/fuzz)
"${fuzz[@]}" build --fuzz-dir tests/fuzz

failed=()
for target in "${targets[@]}"; do
  corpus=tests/fuzz/corpus/$target log=tests/fuzz/corpus/$target.log
  mkdir -p "$corpus"
  if "${fuzz[@]}" run --fuzz-dir tests/fuzz "$target" "$corpus" "tests/fuzz/seeds/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 >"$log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(grep -o 'cov: [0-9]*' "$log" | tail -n 1 || true)
    printf '%-16s %10s runs in %s s  %s\n' "$target" "$runs" "$seconds" "$covered"
  else
    failed+=("$target")
    printf '%-16s FAILED\n' "$target"
    tail -n 40 "$log" | cut -c 1-200
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "findings in: ${failed[*]}" >&2; exit 1; }
