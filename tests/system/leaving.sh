#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A directory's export is closed with its last client, and what that had written
# is made stable first: sent again if the server may have lost it.
. "$(dirname "$0")/lib.sh"

steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps

page () {
  head -c 4096 /dev/zero | tr '\0' "$1"
}

has () { # LETTER
  cmp -s <(page "$1") "$dir/files/disk"
}

no_workers () {
  ! have_worker
}

start_sshd
mkdir files

# lost_server LETTER: a client writes, the server goes and loses that, the
# client goes without having flushed.
lost_server () {
  page a >files/disk
  rm -f written go
  "$steps" "$one" -- "0:write:0:$1" 0:tell:0:written 0:await:0:go 0:drop \
    >client.log 2>&1 &
  client=$!
  wait_for 20 test -e written || die "$(cat client.log)"
  has "$1"
  stop_sshd
  for p in $(worker_pids); do kill -KILL "$p" 2>/dev/null || :; done
  page a >files/disk
  : >go
  wait "$client" || die "$(cat client.log)"
}

# gateway NAME ARGUMENT…
gateway () {
  export_name=$1
  shift
  start_bulkhead "$dir/files/" "$@"
  one="nbd+unix:///disk?socket=$sock"
}

# ------------------------------------------------------------- in good order
page a >files/disk
gateway good
"$steps" "$one" -- 0:write:0:b 0:drop >good.steps
wait_for 20 no_workers || die "workers stay: $(worker_pids)"
has b
ok "the worker of an export goes when what was written is stable"
stop_nbdkit

# --------------------------------------------------- the server was not there
gateway wait
lost_server c
"$steps" "$one" -- 0:read:0:c >again.steps || die "$(cat again.steps)"
has a
ok "while the server is away another client gets the export as it was left"
start_sshd
wait_for 20 has c || die "what was written is lost"
wait_for 20 no_workers || die "workers stay: $(worker_pids)"
ok "it is sent again when the server is back, though its client has gone"

# --------------------------------------------------------- within the policy
lost_server d
before=$(now_ms)
stop_nbdkit
took=$(($(now_ms) - before))
[ "$took" -lt 5000 ] || die "it took $took ms"
ok "SIGTERM is not held up by it: $took ms"
start_sshd
gateway fail outage=fail:1
lost_server e
given_up () {
  grep -q 'disk: its last client has gone, and what was written cannot be made' \
    "$dir/fail.log"
}
wait_for 20 given_up || die "$(tail -n 3 fail.log)"
start_sshd
"$steps" "$one" -- 0:read:0:a >fail.steps || die "$(cat fail.steps)"
ok "after outage=fail:1 it is given up in words, and the export is closed"
stop_nbdkit
