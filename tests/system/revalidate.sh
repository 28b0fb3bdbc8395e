#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# revalidate=SECONDS: a write past us is seen, our own writes keep the cache.
. "$(dirname "$0")/lib.sh"

steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps

page () {
  head -c 4096 /dev/zero | tr '\0' "$1"
}

# put PAGE LETTER: past us. The time of the change is told in whole seconds, so
# each of ours is another one.
stamp=0
put () {
  page "$2" | dd of=disk bs=4096 seek="$1" conv=notrunc status=none
  stamp=$((stamp + 60))
  touch -d "@$((1700000000 + stamp))" disk
}

hits_of () { # NAME: of the log's last line of statistics
  sed -n 's/.*pages: \([0-9]*\) from the cache.*/\1/p' "$dir/$1.log" | tail -n 1
}

gateway () {
  local name=$1
  shift
  start_nbdkit "$name" -v -D bulkhead.stats=1 bulkhead "$(sftp_url "$dir/disk")" \
    identity="$dir/id" known-hosts="$known_hosts" "$@"
}

start_sshd
truncate -s 1M disk
for i in 0 1 2 3; do put $i a; done

# ------------------------------------------------------------ a write past us
gateway a revalidate=1
a=$uri a_pid=$nbdkit_pid
gateway b
b=$uri b_pid=$nbdkit_pid
# Both have it cached: a loop of hits in between.
"$steps" "$a" "$b" -- 0:read:0:a 1:read:1:a 0:loop:0:50 1:loop:1:50 \
  >warm.log
put 0 B
put 1 B
"$steps" "$a" "$b" -- 0:becomes:0:B 1:becomes:1:B >seen.log \
  || die "$(cat seen.log)"
ok "a write past us is seen: $(tail -n 2 seen.log | tr '\n' ' ')"
"$steps" "$a" "$b" -- 0:loop:0:300 0:becomes:0:B >again.log
put 0 C
"$steps" "$a" "$b" -- 0:becomes:0:C 1:read:0:C >>again.log
ok "and the next one, by every gateway of the volume"
stop_nbdkit "$b_pid"

# ------------------------------------------------- when the session is lost
wait_for 20 one_worker || die "workers: $(worker_pids)"
"$steps" "$a" -- 0:loop:0:50 >lost.log
stop_sshd
for p in $(worker_pids); do kill -KILL "$p" 2>/dev/null || :; done
put 0 D
start_sshd
"$steps" "$a" -- 0:becomes:0:D >>lost.log || die "$(cat lost.log)"
ok "what was written while the server was away is seen by the next session"

# ------------------------------------------------------------------- its size
truncate -s 512K disk
cut_down () {
  grep -q 'cut it down from 1048576 to 524288 bytes' "$dir/a.log"
}
wait_for 30 cut_down || die "$(tail -n 3 a.log)"
ok "a file that shrank is told: $(grep -o 'somebody has cut.*' a.log | head -n 1)"
stop_nbdkit "$a_pid"
truncate -s 1M disk

# Writes all the time; both sessions must know of it before it is served.
gateway grow revalidate=1 connections=2
"$model" --seconds 8 --connections 2 "$uri" >model.log 2>&1 &
client=$!
grown () {
  [ "$(nbdinfo --size "$uri")" = 2097152 ]
}
! grown || die "it is as large already"
wait_for 10 grep -q begins model.log
truncate -s 2M disk
wait_for 30 grown || die "$(tail -n 3 grow.log)"
"$steps" "$uri" -- 0:write:400:g 0:flush 0:read:400:g >grown.log || die "$(cat grown.log)"
wait "$client" || die "the model failed: $(tail -n 3 model.log)"
ok "a file that grows is served in full to new connections: $(grep -o 'it has grown.*' \
  grow.log | head -n 1)"
stop_nbdkit
truncate -s 1M disk
for i in 0 1 2 3; do put $i a; done
put 0 D

# ------------------------------------------------------------ our own writes
# Reads of a cached page, over several intervals with a write in each: all but
# those before the page was cached are hits.
gateway own revalidate=1
own=()
for i in 1 2 3 4 5 6; do
  own+=("0:write:$((10 + i)):w" 0:loop:0:100 "0:rest:0:600")
done
"$steps" "$uri" -- 0:becomes:0:D 0:loop:0:200 0:rest:0:1500 "${own[@]}" \
  0:loop:0:100 >own.steps || die "$(cat own.steps)"
stop_nbdkit
hits=$(hits_of own)
[ "$hits" -ge 780 ] || die "$(grep 'from the cache' own.log)"
ok "own writes keep the cache: $hits hits of about 900 reads over five seconds"

# ------------------------------------ without: only when a session begins
gateway never prefetch=0
"$steps" "$uri" -- 0:becomes:0:D 0:loop:0:200 >never.steps
put 0 E
"$steps" "$uri" -- 0:rest:0:2500 0:read:0:D >>never.steps || die "$(cat never.steps)"
ok "without revalidate= nobody looks"

# new_session: the old one is lost.
new_session () {
  local p
  for p in $(worker_pids); do kill -KILL "$p" 2>/dev/null || :; done
  wait_for 20 one_worker || die "workers: $(worker_pids)"
  "$steps" "$uri" -- "0:loop:$1:1" >>never.steps # not cached: it serves
}

new_session 100
"$steps" "$uri" -- 0:read:0:E 0:loop:0:200 >>never.steps || die "$(cat never.steps)"
grep -q 'somebody else has written to it: the cache is dropped' never.log \
  || die "$(tail -n 3 never.log)"
ok "but a new session finds it changed"

# Own writes: the server is asked when they have come to rest, so that the next
# session has something to compare with.
drops_of () {
  grep -c 'the cache is dropped' "$dir/$1.log" || :
}

"$steps" "$uri" -- 0:write:50:o 0:flush 0:rest:0:2500 0:loop:0:200 >>never.steps
drops=$(drops_of never)
new_session 101
"$steps" "$uri" -- 0:read:0:E 0:read:50:o >>never.steps
[ "$(drops_of never)" = "$drops" ] || die "$(tail -n 3 never.log)"
ok "own writes keep the cache over a new session"
put 0 F
new_session 102
"$steps" "$uri" -- 0:read:0:F >>never.steps || die "$(cat never.steps)"
ok "and somebody else's after them do not"

# ------------------------------------------ own writes, then nobody serves it
"$steps" "$uri" -- 0:write:51:o 0:flush 0:rest:0:2500 0:loop:0:200 >>never.steps
stop_nbdkit
gateway kept
"$steps" "$uri" -- 0:read:0:F >kept.steps
stop_nbdkit
[ "$(hits_of kept)" = 1 ] || die "$(grep 'from the cache' kept.log)"
ok "a cache outlives its last gateway though that one wrote"

# ------------------------------------------------ another file under its name
gateway renamed revalidate=1
"$steps" "$uri" -- 0:read:0:F >renamed.steps
cp disk new
put 1 G # the old one: changed before its name goes
mv new disk
wait_for 20 grep -q 'disk is another file now on the server' renamed.log \
  || die "$(tail -n 3 renamed.log)"
"$steps" "$uri" -- 0:becomes:1:G >>renamed.steps || die "$(cat renamed.steps)"
stop_nbdkit
ok "a file whose name leads to another one is told"
