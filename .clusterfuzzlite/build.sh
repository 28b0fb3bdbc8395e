#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds all targets for ClusterFuzzLite, or OSS-Fuzz, which say by CC, CXX,
# CFLAGS, CXXFLAGS and LIB_FUZZING_ENGINE how, and by OUT where they go: each
# with its corpus and dictionary, and the libraries that the image which runs
# them does not have.
set -eux
src=$SRC/bulkhead
build=${WORK:-/tmp}/bulkhead-build
(cd "$src" && autoreconf -fi)
mkdir -p "$build" "$OUT/lib"
cd "$build"
# Its checks would hide from the sanitizer what they find.
"$src/configure" --quiet --enable-fuzzer \
  CFLAGS="$CFLAGS -U_FORTIFY_SOURCE" LIB_FUZZING_ENGINE="$LIB_FUZZING_ENGINE"
targets=$(cd "$src/fuzz/corpus" && echo *)
# A fuzzing engine is C++.
make -s -j"$(nproc)" CCLD="$CXX $CXXFLAGS" $(printf 'fuzz/%s ' $targets)
for t in $targets; do
  cp "fuzz/$t" "$OUT/"
  ldd "fuzz/$t" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' \
    | grep -vE '/lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|c\+\+)[.-]' \
    | while read -r lib; do cp -nL "$lib" "$OUT/lib/"; done
  patchelf --set-rpath '$ORIGIN/lib' "$OUT/$t"
  zip -qjr "$OUT/${t}_seed_corpus.zip" "$src/fuzz/corpus/$t"
  [ ! -f "$src/fuzz/dict/$t.dict" ] || cp "$src/fuzz/dict/$t.dict" "$OUT/"
done
