#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# NFSv4.1 and 4.2 against NFS-Ganesha: copies, random I/O against a model while
# workers, connections and servers go, with and without a grace period; holes,
# trim and zero; exclusive=yes; lists; which version is taken.
time_limit=280
. "$(dirname "$0")/lib.sh"
. "$lib_dir/ganesha.sh"

need_ganesha
random_file source "$(mib 32)"
ganesha_export 1 "$dir/srv/export" "Access_Type = RW;"
mkdir -p srv/export/a/b
cp source srv/export/a/b/disk.img
start_ganesha
url=nfs://127.0.0.1/pseudo1

for version in 4.1 4.2; do
  cp source srv/export/a/b/disk.img
  start_nbdkit "copy$version" bulkhead "$url/a/b/disk.img" "version=$version"
  nbdcopy "$uri" copy
  cmp source copy
  random_file other "$(mib 32)"
  nbdcopy --flush other "$uri"
  cmp other srv/export/a/b/disk.img
  ok "version $version: copied from the server and to it"
  stop_nbdkit

  random_file srv/export/small 16
  start_nbdkit "model$version" bulkhead "$url/small" "version=$version"
  with_kills 0.4 "$model" --seconds 5 --connections 2 --max-bytes 524288 \
    --out expected "$uri"
  [ "$kills" -ge 2 ] || die "only $kills workers were killed"
  cmp expected srv/export/small
  ok "version $version: random I/O equals the model with $kills workers killed"

  model_begins --seconds 6 --connections 2 --max-bytes 524288 --out expected \
    "$uri"
  for i in 1 2; do
    sleep 1
    kill_ganesha
    start_ganesha
  done
  wait "$client" || die "the model failed: $(tail -n 3 client.log)"
  cmp expected srv/export/small
  ok "version $version: random I/O equals the model with 2 servers killed"
  stop_nbdkit
done

# Several connections of one session.
start_nbdkit many bulkhead "$url/small" connections=3
with_kills 0.4 "$model" --seconds 5 --connections 3 --max-bytes 524288 \
  --out expected "$uri"
cmp expected srv/export/small
ok "three connections: random I/O equals the model with $kills workers killed"
stop_nbdkit

# With exclusive=yes nobody else may write, while our connections are one session.
cp srv/export/small srv/export/alone
start_nbdkit alone bulkhead "$url/alone" exclusive=yes connections=2
"$model" --seconds 3 --connections 2 --max-bytes 524288 --out expected "$uri"
cmp expected srv/export/alone
mkdir -m 0700 "$dir/runtime2"
status=0
BULKHEAD_RUNTIME_DIR=$dir/runtime2 timeout 30 "$run" nbdkit -f \
  -U "$dir/second.sock" bulkhead "$url/alone" client-id=other \
  version=4.2 >second.log 2>&1 </dev/null || status=$?
[ "$status" != 0 ] || die 'exclusive=yes: another one opens the file'
grep -q SHARE_DENIED second.log || die "exclusive=yes: $(cat second.log)"
ok 'exclusive=yes denies other writers'
stop_nbdkit

# Holes, trim, zero.
if "$run" nbdkit --dump-plugin bulkhead | grep -q '^has_extents=1'; then
  truncate -s 8M srv/export/sparse
  dd if=source of=srv/export/sparse bs=1M count=1 seek=2 conv=notrunc \
    status=none
  start_nbdkit sparse bulkhead "$url/sparse" version=4.2
  nbdinfo --map "$uri" >map
  cat >map.expected <<END
         0     2097152    3  hole,zero
   2097152     1048576    0  data
   3145728     5242880    3  hole,zero
END
  diff -b map.expected map || die "the map is $(cat map)"
  ok 'the map of a sparse file shows its holes'
  # Ganesha 4.3 has READ_PLUS wrong: one session ends by it, no more.
  nbdcopy --no-extents "$uri" copy
  cmp copy srv/export/sparse
  [ "$(grep -c 'READ_PLUS.* is broken' sparse.log)" -le 1 ] \
    || die "asked again: $(tail -n 3 sparse.log)"
  ok 'what is read of it, holes included'
  stop_nbdkit
fi
cp source srv/export/full
cp source holey
dd if=/dev/zero of=holey bs=1M count=4 seek=1 conv=notrunc status=none
fallocate --dig-holes holey
before=$(stat -c %b srv/export/full)
start_nbdkit zero bulkhead "$url/full" version=4.2
nbdcopy --flush holey "$uri"
cmp holey srv/export/full
[ "$(stat -c %b srv/export/full)" -lt $((before - 4096)) ] \
  || die 'zeroes free no space on the server'
ok 'zeroes free space on the server'
stop_nbdkit

# The best version that there is; lists.
start_nbdkit best -v bulkhead "$url/small" 
grep -q 'NFSv4.2' best.log || die 'NFSv4.2 is not taken by default'
ok 'the best version is NFSv4.2'
stop_nbdkit
start_nbdkit list bulkhead "$url/a/b/" 
nbdinfo --list "$uri" >list.txt
grep -q 'disk.img' list.txt || die "the list is $(cat list.txt)"
ok 'a directory is listed'
stop_nbdkit

# A server with a grace period: what was open is reclaimed.
ganesha_graceless=false
kill_ganesha
start_ganesha
random_file srv/export/reclaimed 16
start_nbdkit grace bulkhead "$url/reclaimed" version=4.2
model_begins --seconds 8 --connections 2 --max-bytes 524288 --out expected \
  "$uri"
sleep 1
kill_ganesha
start_ganesha
wait "$client" || die "the model failed: $(tail -n 3 client.log)"
cmp expected srv/export/reclaimed
ok 'random I/O equals the model with a server killed that has a grace period'
stop_nbdkit
