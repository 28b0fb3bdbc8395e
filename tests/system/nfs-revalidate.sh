#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# revalidate=SECONDS with NFS, against NFS-Ganesha: what somebody else writes is
# seen, by mtime, ctime and size (version 3) and by the change attribute (4.2);
# our own writes keep the cache; a file that shrinks is told.
time_limit=180
. "$(dirname "$0")/lib.sh"
. "$lib_dir/ganesha.sh"

need_ganesha
steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps
disk=$dir/srv/export/disk

page () {
  head -c 4096 /dev/zero | tr '\0' "$1"
}

# put PAGE LETTER: past us, on the server's own disk.
put () {
  page "$2" | dd of="$disk" bs=4096 seek="$1" conv=notrunc status=none
}

hits_of () { # NAME: of the log's last line of statistics
  sed -n 's/.*pages: \([0-9]*\) from the cache.*/\1/p' "$dir/$1.log" | tail -n 1
}

# Ganesha believes for so many seconds that nobody but its clients changes the
# file.
ganesha_export 1 "$dir/srv/export" 'Access_Type = RW;' \
  'Attr_Expiration_Time = 0;'
start_ganesha

for version in ${NFS_VERSIONS-3 4.2}; do
  case $version in
    3) url=nfs://127.0.0.1$disk ;;
    *) url=nfs://127.0.0.1/pseudo1/disk ;;
  esac
  gateway () {
    local name=$1$version
    shift
    start_nbdkit "$name" -D bulkhead.stats=1 bulkhead "$url" \
      version=$version "$@"
  }

  rm -f "$disk"
  truncate -s 1M "$disk"
  for i in 0 1 2 3; do put $i a; done

  # Both processes have it cached: a loop of hits in between.
  gateway a revalidate=1
  a=$uri a_pid=$nbdkit_pid
  gateway b
  b=$uri b_pid=$nbdkit_pid
  "$steps" "$a" "$b" -- 0:read:0:a 1:read:1:a 0:loop:0:50 1:loop:1:50 \
    >warm.log
  put 0 B
  put 1 B
  "$steps" "$a" "$b" -- 0:becomes:0:B 1:becomes:1:B >seen.log \
    || die "$(cat seen.log)"
  put 0 C
  "$steps" "$a" "$b" -- 0:loop:1:300 0:becomes:0:C 1:read:0:C >again.log \
    || die "$(cat again.log)"
  ok "version $version: what another one writes is seen by both processes:" \
    "$(tail -n 2 seen.log | tr '\n' ' ')"
  stop_nbdkit "$b_pid"

  # While nobody could look.
  wait_for 20 one_worker || die "workers: $(worker_pids)"
  "$steps" "$a" -- 0:loop:0:50 >lost.log
  kill_ganesha
  put 0 D
  start_ganesha
  "$steps" "$a" -- 0:becomes:0:D >>lost.log || die "$(cat lost.log)"
  ok "version $version: and what was written while the server was away"

  truncate -s 512K "$disk"
  cut_down () {
    grep -q 'cut it down from 1048576 to 524288 bytes' "$dir/a$version.log"
  }
  wait_for 30 cut_down || die "$(tail -n 3 "a$version.log")"
  ok "version $version: a file that shrank is told"
  stop_nbdkit "$a_pid"
  truncate -s 1M "$disk"

  # Reads of a cached page over several intervals with a write in each: all but
  # those before the page was cached are hits.
  gateway own revalidate=1
  own=()
  for i in 1 2 3; do
    own+=("0:write:$((10 + i)):w" 0:flush 0:loop:0:100 "0:rest:0:600")
  done
  "$steps" "$uri" -- 0:becomes:0:D 0:loop:0:200 0:rest:0:1500 "${own[@]}" \
    0:loop:0:100 >own.steps || die "$(cat own.steps)"
  stop_nbdkit
  hits=$(hits_of "own$version")
  [ "$hits" -ge 480 ] || die "$(grep 'from the cache' "own$version.log")"
  ok "version $version: own writes keep the cache: $hits hits of about 600" \
    "reads over three seconds"
done
