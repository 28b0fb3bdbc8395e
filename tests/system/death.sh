#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Each death of a worker that leaves something unanswered leaves a report: how
# it ended, and what it had in hand.
. "$(dirname "$0")/lib.sh"

steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps
log=$dir/runtime/bulkheadd.log

# True once the server's end of the connection has bytes that nobody reads: the
# worker has the request in hand.
request_has_left () {
  ss -Htn state established "sport = :$sshd_port" \
    | awk '$1 > 0 { found = 1 } END { exit !found }'
}

# stuck STEP…: a client whose first request the server does not read.
stuck () {
  local p
  wait_for 20 one_worker || die "workers: $(worker_pids)"
  stopped=$(sshd_session_pids)
  for p in $stopped; do kill -STOP "$p"; done
  "$steps" "$uri" -- "$@" >client.log 2>&1 &
  client=$!
  wait_for 20 request_has_left || die "the request stays: $(cat client.log)"
}

go_on () {
  local p
  for p in $stopped; do kill -CONT "$p" 2>/dev/null || :; done
  wait "$client" || die "$(cat client.log)"
}

start_sshd
truncate -s 1M disk
start_bulkhead "$dir/disk"

stuck 0:write:5:W 0:flush
kill -KILL "$(worker_pids)"
wait_for 20 grep -q 'SIGKILL); in hand: 1 request; the last: write of 4096 bytes at 20480, sent ' \
  "$log" || die "$(tail -n 3 "$log")"
go_on
ok "a signal: $(grep -o 'worker [0-9]* was.*in hand.*' "$log" | tail -n 1)"

stuck 0:read:9:Z || :
for p in $stopped; do kill -KILL "$p"; done
wait_for 20 grep -q 'in hand: 1 request; the last: read of [0-9]* bytes at 36864, ' \
  "$log" || die "$(tail -n 3 "$log")"
wait "$client" || : # its page is empty, or it did not wait for so long
ok "a connection that ends: $(grep -o '[^:]*; in hand.*' "$log" | tail -n 1)"

if grep -q WWWW "$log" export.log; then
  die "payload is in a log"
fi
ok "no payload in it"
stop_nbdkit
