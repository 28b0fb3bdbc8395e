#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# nbdkit that detaches, and SIGTERM: it ends nbdkit at once, even when the
# server says nothing any more, and the worker goes with it.
. "$(dirname "$0")/lib.sh"

at_once_ms=1000
[ -z "$small" ] || at_once_ms=3000

# ends_at_once PID
ends_at_once () {
  local begin
  begin=$(now_ms)
  kill -TERM "$1"
  wait_for 10 gone "$1" || die "nbdkit does not end"
  took=$(($(now_ms) - begin))
  [ "$took" -lt "$at_once_ms" ] || die "nbdkit needs $took ms to end"
}

no_worker () {
  [ -z "$(worker_pids)" ]
}

start_sshd
random_file disk 16

# Without -f: the answer is there when nbdkit has detached.
sock=$dir/detached.sock
uri="nbd+unix:///?socket=$sock"
"$run" nbdkit -t 32 -U "$sock" -P detached.pid bulkhead \
  "$(sftp_url "$dir/disk")" identity="$dir/id" known-hosts="$known_hosts" \
  >detached.log 2>&1 </dev/null || die "nbdkit failed: $(cat detached.log)"
[ ! -s detached.log ] || die "it has something to say: $(cat detached.log)"
nbdcopy "$uri" copy
cmp copy disk
have_worker || die "no worker is seen"
ends_at_once "$(cat detached.pid)"
ok "detached nbdkit serves, and ends on SIGTERM ($took ms)"
wait_for 10 no_worker || die "the worker lives on"
ok "its worker ends with it"

# idle
start_bulkhead "$dir/disk"
ends_at_once "$nbdkit_pid"
ok "idle nbdkit ends on SIGTERM ($took ms)"

# The server stops answering with requests in flight.
start_bulkhead "$dir/disk"
model_begins --seconds 60 --out expected "$uri"
sessions=$(sshd_session_pids)
kill -STOP $sessions
ends_at_once "$nbdkit_pid"
wait "$client" && die "the client must see that nbdkit has gone"
ok "SIGTERM while the server is stopped, requests in flight ($took ms)"
wait_for 10 no_worker || die "the worker lives on"
kill -CONT $sessions
ok "and no worker is left"
