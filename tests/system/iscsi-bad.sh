#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An iSCSI target that breaks the rules: the session is dropped, with a reason
# in the log that names field and section, the next one goes on, and what the
# client reads and writes is right. A target that never keeps to the rules ends
# by the outage policy, without a loop.
time_limit=400
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"

# reasons REGEX: what nbdkit and the daemon have said since the last start.
reasons () {
  { cat bad.log; tail -n +"$((said + 1))" runtime/bulkheadd.log; } \
    | grep -E "(error|warn): .*($1)" | sed 's/.*scripted.0: //' || :
}

# misbehaves NAME REASON [ARGUMENT…]: once, while the disk is read (r2t_…:
# written); for REASON see above; -: none has to be.
#
# Each has a gateway of its own, as one that has had to start anew too often
# waits before it does so again.
misbehaves () {
  local name=$1 reason=$2 why
  shift 2
  rm -f bad.log
  said=$(wc -l <runtime/bulkheadd.log)
  start_nbdkit bad bulkhead "$url" header-digest=crc32c data-digest=crc32c \
    cache=off "$@"
  tell bad "$name" 1
  case $name in
    r2t_read) nbdcopy "$uri" copy ;;
    r2t_*)
      random_file disk 4
      nbdcopy --flush disk "$uri"
      tell bad none
      nbdcopy "$uri" copy ;;
    text|redirect|key|number|huge|stage)
      tell kick
      nbdcopy "$uri" copy ;;
    *) nbdcopy "$uri" copy ;;
  esac
  cmp copy disk || die "$name: the data differ"
  tell count
  [ "${told##* }" = 0 ] || [ "${name#r2t_}" != "$name" ] \
    || die "$name: it had no chance to misbehave: $told"
  if [ "$reason" != - ]; then
    why=$(reasons "$reason" | tail -n 1)
    [ -n "$why" ] || die "$name: no reason like '$reason' in the log"
    ok "$name: ${why:0:200}"
  else
    ok "$name: the data are right"
  fi
  stop_nbdkit
}

# A section of RFC 7143 in the reason.
rfc='RFC 7143 §'

random_file disk 4
start_scripted 3270 --mib 4 --digests
url=$(iscsi_url 0 3270 "$scripted")
start_nbdkit bad bulkhead "$url" header-digest=crc32c data-digest=crc32c
nbdcopy --flush disk "$uri"
stop_nbdkit
for name in oversized datasn offset overflow wrap unknown initiator itt \
  data_itt duplicate reordered statsn header_digest data_digest short_data \
  r2t_read reject r2t_flood r2t_overflow r2t_beyond r2t_burst r2t_empty r2t_itt \
  r2t_sn text key number huge stage; do
  misbehaves "$name" "$rfc"
done
misbehaves truncated 'closed|ended|connection'
misbehaves close 'closed|ended|connection'
misbehaves ahs -
misbehaves slow -
misbehaves redirect -
misbehaves silent - timeout=3
# Our own end of it, ahead of the gateway's.
misbehaves chatty 'Task Management.*RFC 7143' timeout=3

# ------------------------------------------------------- and what is no rule's

# The client gets an errno, and the log says why, once for each failure.
rm -f medium.log
start_nbdkit medium bulkhead "$url" cache=off prefetch=0
tell bad medium
! qemu-io -f raw -c 'read 36k 4k' "$uri" 2>&1 | grep -q 'read 4096/' \
  || die "a medium error reads well"
tell bad none
why='READ(10) of 8 blocks at LBA 72: MEDIUM ERROR, 11h/00h unrecovered read '
why+='error, at LBA 77'
wait_for 5 grep -qF "$why" medium.log || die "why it failed: $(cat medium.log)"
[ "$(grep -cF "$why" medium.log)" = 1 ] || die "more than once: $(cat medium.log)"
ok "told: $(grep -F "$why" medium.log | cut -c1-200)"
tell bad medium
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
  qemu-io -f raw -c "read ${i}k 1k" "$uri" >/dev/null 2>&1 || :
done
tell bad none
[ "$(grep -c 'MEDIUM ERROR' medium.log)" -le 10 ] \
  || die "the log is flooded: $(cat medium.log)"
stop_nbdkit
ok "and at most 10 such lines in 10 seconds"

# The capacity changes: the log says so, and a new session knows it; a session
# that is some seconds old ends for that, and clients see what has grown.
rm -f resize.log
start_nbdkit resize bulkhead "$url" cache=off prefetch=0
tell resize 2
qemu-io -f raw -c 'read 0 4k' "$uri" | grep -q 'read 4096/' || die "no read"
wait_for 5 grep -q '2Ah/09h' resize.log || die "nothing said: $(cat resize.log)"
! qemu-io -f raw -c 'read 3M 4k' "$uri" 2>&1 | grep -q 'read 4096/' \
  || die "it reads beyond the end"
stop_nbdkit
start_nbdkit resize bulkhead "$url" cache=off
[ "$(nbdinfo --size "$uri")" = $((2 << 20)) ] || die "the size does not follow"
tell resize 4
has_grown () {
  qemu-io -f raw -c 'read 0 4k' "$uri" | grep -q 'read 4096/' || die "no read"
  [ "$(nbdinfo --size "$uri")" = $((4 << 20)) ]
}
wait_for 30 has_grown || die "the growth is not seen"
qemu-io -f raw -c 'read 3M 4k' "$uri" | grep -q 'read 4096/' || die "not read"
stop_nbdkit
ok "told: $(grep '2Ah/09h' resize.log | cut -c1-200)"

# --------------------------------------------------------------- and for good

# User and system time of the daemon and its workers, dead ones included, and of
# nbdkit, in ticks.
ticks () {
  local p stat sum=0
  for p in "$nbdkit_pid" $(daemon_pids) $(worker_pids); do
    stat=$(cat "/proc/$p/stat" 2>/dev/null) || continue
    set -- ${stat##*) }
    sum=$((sum + ${12} + ${13} + ${14} + ${15}))
  done
  echo "$sum"
}

# A session that never answers, one that always lies, a login without end.
never () {
  local name=$1 seconds=2 from to busy status=0
  rm -f never.log
  start_nbdkit never bulkhead "$url" cache=off outage=fail:"$seconds"
  tell bad "$name"
  [ "$2" = read ] || tell kick
  busy=$(ticks)
  from=$(now_ms)
  timeout 60 qemu-io -f raw -c 'read 0 64k' "$uri" >client.log 2>&1 || status=$?
  to=$(now_ms)
  busy=$(($(ticks) - busy))
  [ "$status" != 0 ] || ! grep -q 'read 65536/' client.log \
    || die "$name: what was read? $(cat client.log)"
  [ "$status" != 124 ] || die "$name: the client waits on and on"
  # 100 ticks a second: a fifth of one processor. Workers of sanitizer builds
  # take long to start.
  [ -n "$small" ] || [ $((busy * 10 * 5)) -lt $((to - from)) ] \
    || die "$name: $busy ticks in $((to - from)) ms"
  grep -q "$rfc" never.log runtime/bulkheadd.log \
    || die "$name: no reason: $(cat never.log)"
  ok "$name for good: the client is told after $((to - from)) ms, with" \
    "$busy ticks of CPU: $(tail -n 1 never.log | cut -c1-250)"
  tell bad none
  stop_nbdkit
}

never datasn read
never text login
