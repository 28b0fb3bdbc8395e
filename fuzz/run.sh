#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: fuzz/run.sh SOURCE BUILD [TARGET…]
# Builds the targets with clang's libFuzzer in BUILD, and lets each run for
# $FUZZ_SECONDS (60; 0: not at all). $FUZZ_SANITIZER (address,undefined): which
# sanitizers; "no": none, to see how fast a target is. What it finds stays in
# BUILD/findings, what it learnt in BUILD/corpus; the exit status is 1 if there
# is a finding.
set -eu
src=$(cd "$1" && pwd) build=$2
shift 2
command -v clang >/dev/null || {
  echo "fuzz: no clang; on Debian: apt-get install clang" >&2
  exit 1
}
mkdir -p "$build/findings"
cd "$build"
[ -f Makefile ] || "$src/configure" --quiet CC=clang CFLAGS='-g -O1' \
  --enable-fuzzer --enable-sanitizer="${FUZZ_SANITIZER:-address,undefined}"
[ $# -gt 0 ] || set -- $(cd "$src/fuzz/corpus" && echo *)
make -s -j"$(nproc)" $(printf 'fuzz/%s ' "$@") >&2
[ "${FUZZ_SECONDS:-60}" != 0 ] || exit 0
# Little of what was freed is kept: engines are a megabyte each.
export ASAN_OPTIONS="${ASAN_OPTIONS:-quarantine_size_mb=8}"
status=0
printf '%-16s %10s %9s %7s %s\n' target runs runs/s edges findings
for target; do
  dict=$src/fuzz/dict/$target.dict
  mkdir -p "corpus/$target"
  "fuzz/$target" -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 \
    -max_len="${FUZZ_BYTES:-8192}" -print_final_stats=1 \
    -artifact_prefix="findings/$target-" \
    $([ ! -f "$dict" ] || printf -- '-dict=%s' "$dict") \
    "corpus/$target" "$src/fuzz/corpus/$target" >"$target.log" 2>&1 || status=1
  awk -v t="$target" -v n="$(find findings -name "$target-*" | wc -l)" '
    /cov:/ { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
    /number_of_executed_units/ { runs = $NF }
    /average_exec_per_sec/ { rate = $NF }
    END { printf "%-16s %10d %9d %7d %d\n", t, runs, rate, edges, n }' \
    "$target.log"
done
if [ "$status" != 0 ]; then
  echo "There are findings: see $build/*.log, and $build/findings" >&2
fi
exit $status
