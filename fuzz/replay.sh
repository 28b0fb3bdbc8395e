#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Each target over its corpus, by whatever compiler built it, and under
# $REPLAY_UNDER if that is set.
set -eu
src=${srcdir:-.}
export LSAN_OPTIONS=detect_leaks=1
for corpus in "$src"/fuzz/corpus/*; do
  target=$(basename "$corpus")
  printf '%s: ' "$target"
  ${REPLAY_UNDER:-} "fuzz/$target" "$corpus" 2>fuzz/replay-"$target".err || {
    echo "the last of these breaks it:"
    tail -n 30 fuzz/replay-"$target".err
    exit 1
  }
  rm -f fuzz/replay-"$target".err
done
