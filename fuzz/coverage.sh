#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: fuzz/coverage.sh SOURCE BUILD
# How much of each file the corpora alone reach: lines, by gcov.
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
gcovr --root "$src" --object-directory . --filter "$src/protocols/" \
  --filter "$src/common/" --filter "$src/cache/known_hosts.c" \
  --filter "$src/cache/agent_codec.c" --filter "$src/cache/keys"
