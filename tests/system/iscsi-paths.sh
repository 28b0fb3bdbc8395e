#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Two sessions to one LUN over two portals, one of them behind a relay: cut under
# load, the other one carries everything and no client sees an error; when it is
# mended, both are in use again.
time_limit=300
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"
command -v tgtd >/dev/null && command -v tgtadm >/dev/null \
  || skip "tgt is not installed"

make_targets () {
  tgt_target 1 "$iqn"
  tgt_lun 1 1 disk
  tgt_open 1
}

# sessions N: so many initiators' connections are logged in
sessions () {
  [ "$(tgt --mode target --op show | grep -c 'I_T nexus: ')" = "$1" ]
}

workers () {
  [ "$(worker_pids | wc -l)" -ge "$1" ]
}

# ready_again N: more than N workers have been ready so far.
ready_again () {
  [ "$(grep -c ' ready' runtime/bulkheadd.log)" -gt "$1" ]
}

random_file disk 16
start_tgt make_targets 127.0.0.1:3261 127.0.0.1:3262
sshd_port=3262
start_relay 3300
start_nbdkit paths bulkhead "$(iscsi_url 1)" connections=2 cache=off \
  portals=127.0.0.1:3261,127.0.0.1:3300 timeout=3
wait_for 20 workers 2 || die "no second worker: $(cat runtime/bulkheadd.log)"
wait_for 20 sessions 2 || die "no second session: $(tgt --mode target --op show)"
ok "two sessions over two portals"

"$model" --seconds 1 --connections 2 --depth 16 --out expected "$uri"
cmp expected disk
ok "random I/O over both equals a model"

# Reset, and refused from then on; later accepted again.
model_begins --seconds 6 --connections 2 --depth 16 --seed 2 --out expected \
  "$uri"
ready=$(grep -c ' ready' runtime/bulkheadd.log)
relay refuse
relay reset
wait_for 20 sessions 1 || die "the session that was cut is still there"
sleep 1
relay accept
wait_for 40 ready_again "$ready" || die "the way back is not taken"
wait "$client" || die "the client: $(tail -n 5 client.log)"
cmp expected disk
wait_for 20 sessions 2 || die "there is no second session again"
ok "one way reset and refused under load, and back: no error, equal to a model"

# Silence: bytes go nowhere, and nobody is told.
model_begins --seconds 3 --connections 2 --depth 16 --seed 3 --out expected \
  "$uri"
relay cut
wait "$client" || die "the client: $(tail -n 5 client.log)"
relay mend
cmp expected disk
ok "one way silent under load: no error, equal to a model"
stop_nbdkit
