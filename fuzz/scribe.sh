#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# usage: fuzz/scribe.sh SOURCE BUILD OUT
# Runs the engines' unit tests with scribe.c in between: what they say to an
# engine is in OUT/PROTOCOL/ afterwards, as inputs for drive.c.
set -eu
src=$(cd "$1" && pwd) build=$2 out=$3
mkdir -p "$build" "$out/iscsi" "$out/nfs" "$out/sftp"
out=$(cd "$out" && pwd)
cd "$build"
[ -f Makefile ] || "$src/configure" --quiet CFLAGS='-g -O1'
make -s fuzz/scribe.o >&2
tests=$(cd "$src" && for t in tests/unit/protocols/*/*_test.c; do
  grep -qE 'unit/protocols/.*(peer|target)\.h' "$t" && echo "${t%.c}"
done)
# Only the tests themselves are linked with it.
make -s -j"$(nproc)" $tests >&2
rm -f $tests
make -s -j"$(nproc)" $tests LDFLAGS="$PWD/fuzz/scribe.o \
-Wl,--wrap=iscsi_ops,--wrap=nfs_ops,--wrap=sftp_ops" >&2
for t in $tests; do
  FUZZ_SCRIBE=$out "./$t" >/dev/null || echo "$t fails" >&2
done
for p in iscsi nfs sftp; do
  echo "$p: $(ls "$out/$p" | wc -l) conversations"
done
