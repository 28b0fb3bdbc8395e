#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: fuzz/afl.sh SOURCE BUILD TARGET…
# Builds the targets with AFL++ in BUILD, and lets each run for $FUZZ_SECONDS
# (60), in persistent mode. What it finds is in BUILD/out/TARGET/default/crashes
# and hangs; the exit status is 1 if there is anything.
set -eu
src=$(cd "$1" && pwd) build=$2
shift 2
command -v afl-clang-fast >/dev/null || {
  echo "fuzz: no afl-clang-fast; on Debian: apt-get install afl++" >&2
  exit 1
}
mkdir -p "$build/out"
cd "$build"
export AFL_QUIET=1
[ -f Makefile ] || "$src/configure" --quiet CC=afl-clang-fast CFLAGS='-g -O1' \
  --enable-fuzzer LIB_FUZZING_ENGINE=-fsanitize=fuzzer --disable-shared
[ $# -gt 0 ] || set -- $(cd "$src/fuzz/corpus" && echo *)
make -s -j"$(nproc)" $(printf 'fuzz/%s ' "$@") >&2
# No terminal, no change of the machine's settings, inputs that are too large
# for it are left out.
export AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 \
  AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_IGNORE_SEED_PROBLEMS=1
status=0
printf '%-16s %10s %9s %7s %s\n' target runs runs/s edges findings
for target; do
  dict=$src/fuzz/dict/$target.dict
  mkdir -p "in/$target"
  find "$src/fuzz/corpus/$target" -type f -size -16k \
    -exec cp {} "in/$target/" \;
  rm -rf "out/$target"
  afl-fuzz -V "${FUZZ_SECONDS:-60}" -t 1000+ -i "in/$target" \
    -o "out/$target" $([ ! -f "$dict" ] || printf -- '-x %s' "$dict") \
    -- "fuzz/$target" >"$target.log" 2>&1 || {
    echo "$target: afl-fuzz does not run: see $build/$target.log" >&2
    exit 1
  }
  awk -v t="$target" '
    $1 == "execs_done" { runs = $3 }
    $1 == "execs_per_sec" { rate = $3 }
    $1 == "edges_found" { edges = $3 }
    $1 ~ /^saved_(crashes|hangs)$/ { n += $3 }
    END { printf "%-16s %10d %9d %7d %d\n", t, runs, rate, edges, n
          exit n > 0 }' "out/$target/default/fuzzer_stats" || status=1
done
exit $status
