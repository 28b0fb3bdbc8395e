#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Engines and the request, prefetch, eviction and lease logic make no system
# call, read no clock and know no thread: what their objects ask of others is
# memory, strings, assertions, and one another. So a simulator or a fuzzer can
# link the very objects.
set -eu
b=${BULKHEAD_BUILDDIR:-.}

objects=$(find "$b/protocols" -path '*/.libs/*.o' ! -name params.o
  for o in gateway/inflight gateway/join gateway/prefetch gateway/retained \
    gateway/revalidate \
    common/stranger common/text \
    cache/store cache/lease cache/report \
    ipc/ring ipc/pages ipc/stripes ipc/fill; do
    echo "$b/${o%/*}/.libs/${o##*/}.o"
  done)

# What libc may be asked for; then what sanitizers and the compiler add.
libc='mem(chr|cmp|cpy|move|set)|explicit_bzero|str(case)?cmp|str(n?cpy|len|chr|rchr|ncmp|c?spn)|v?snprintf|calloc|malloc|realloc|aligned_alloc|free'
# ISA-L: computes over memory it is given, and asks the processor what it can.
isal='crc32_iscsi'
compiler='_GLOBAL_OFFSET_TABLE_|__assert_fail|__stack_chk_fail|__(asan|ubsan|tsan)_.*|__tsan_.*'
allowed="^(($libc)|__($libc)_chk|$isal|$compiler)\$"

for o in $objects; do
  [ -f "$o" ] || { echo "no object $o"; exit 1; }
done
own=$(nm -g --defined-only $objects "$b/common/.libs/err.o" \
  "$b/common/.libs/listing.o" | awk 'NF == 3 {print $3}')
foreign=$(nm -u $objects | awk '$1 == "U" {print $2}' | sort -u \
  | grep -Ev "$allowed" | grep -Fxv "$own" || :)
count=$(echo "$objects" | wc -l)
if [ -n "$foreign" ]; then
  echo "pure objects ask for: $foreign"
  exit 1
fi
# It must be able to see an impure one.
nm -u "$b/ipc/.libs/control.o" | grep -q ' sendmsg' || {
  echo "nm shows nothing: this test sees nothing"
  exit 1
}
echo "PASS: $count objects are pure"
