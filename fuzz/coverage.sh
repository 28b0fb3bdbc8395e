#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: fuzz/coverage.sh SOURCE BUILD
# How much of each file the corpora alone reach: lines, by gcov. The exit status
# is 1 if that is less than 90 % of protocols/, or 80 % of one of its files.
set -eu
src=$(cd "$1" && pwd) build=$2
command -v gcovr >/dev/null || {
  echo "coverage: no gcovr; on Debian: apt-get install gcovr" >&2
  exit 1
}
mkdir -p "$build"
cd "$build"
[ -f Makefile ] || "$src/configure" --quiet CFLAGS='-g -O0 --coverage' \
  --disable-shared
make -s -j"$(nproc)" $(cd "$src/fuzz/corpus" && printf 'fuzz/%s ' *) >&2
find . \( -name '*.gcda' -o -name '*conftest*' \) -delete
srcdir=$src sh "$src/fuzz/replay.sh" >&2
# Beside protocols/: what else a target is made for.
others=$(for f in cache/address cache/agent_codec cache/chap \
  cache/conversation cache/keys cache/keys_openssh cache/known_hosts \
  cache/login cache/place cache/report cache/signer cache/store cli/conf \
  common/listing common/param gateway/catalog gateway/inflight \
  gateway/options gateway/url ipc/fill ipc/pages ipc/ring ipc/stripes \
  ipc/volume ipc/want worker/greeting; do
  printf -- '--filter %s/%s[.]c ' "$src" "$f"
done)
gcovr --root "$src" --object-directory . --filter "$src/protocols/" $others \
  --exclude "$src/protocols/.*[.]h" --csv protocols.csv --txt coverage.txt
cat coverage.txt
awk -F, '
  $1 ~ /^protocols\// {
    lines += $2; reached += $3
    if ($2 && $3 < 0.8 * $2) { print "below 80 %: " $1; low = 1 }
  }
  END {
    printf "protocols/: %d of %d lines, %.1f %%\n", reached, lines,
      100 * reached / lines
    exit low || reached < 0.9 * lines
  }' protocols.csv
