#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# connections=N with NFSv4.2: one worker, and one session with N connections to
# NFS-Ganesha, all of them used; what is lost when one of them breaks, when the
# worker, the server or the daemon dies; and what N means with v3.
time_limit=200
. "$(dirname "$0")/lib.sh"
. "$lib_dir/ganesha.sh"

need_ganesha
ganesha_export 1 "$dir/srv/export" "Access_Type = RW;"
random_file srv/export/disk 24
start_ganesha
relay_to=2049
start_relay 2050
url=nfs://127.0.0.1:2050/pseudo1

# open N: so many connections lead to the relay.
open () {
  [ "$(ss -Htn state established dport = :2050 | wc -l)" = "$1" ]
}

# shares: what each has received, in bytes.
shares () {
  ss -Htni state established dport = :2050 \
    | sed -n 's/.*bytes_received:\([0-9]*\).*/\1/p'
}

# Another session of ours, or of anybody, could not open the file for writing.
start_nbdkit four bulkhead "$url/disk" connections=4 exclusive=yes
wait_for 10 open 4 || die "not 4 connections: $(ss -tn)"
one_worker || die "$(worker_pids | wc -l) workers"
bulkhead_json=$("$run" bulkhead status --json)
[[ $bulkhead_json == *'"connections": 4'* ]] || die "status: $bulkhead_json"
"$model" --seconds 4 --connections 4 --max-bytes 524288 --out expected "$uri"
cmp expected srv/export/disk
total=$(shares | awk '{n += $1} END {print n}')
[ "$(shares | wc -l)" = 4 ] || die "a connection was lost"
for n in $(shares); do
  [ $((n * 20)) -ge "$total" ] || die "shares: $(shares | xargs)"
done
ok "one worker, one session, four connections; bytes received: $(shares | xargs)"

with_kills 0.4 "$model" --seconds 4 --connections 4 --max-bytes 524288 \
  --out expected "$uri"
[ "$kills" -ge 2 ] || die "only $kills workers were killed"
cmp expected srv/export/disk
wait_for 10 open 4 || die "the next worker has not 4 connections"
ok "random I/O equals the model with $kills workers killed"

model_begins --seconds 4 --connections 4 --max-bytes 524288 --out expected "$uri"
for i in 1 2 3; do
  before=$(worker_pids)
  left_out=$(grep -c 'goes on with 3 of' four.log || true)
  relay reset-one
  another_worker () { one_worker && [ "$(worker_pids)" != "$before" ]; }
  # One that was not bound yet is left out, no more.
  noticed () {
    another_worker || [ "$(grep -c 'goes on with 3 of' four.log)" != "$left_out" ]
  }
  wait_for 15 noticed || die "a broken connection is not noticed"
  another_worker || kill -KILL "$before" || true
  wait_for 15 another_worker || die "no other worker"
  wait_for 15 open 4 || die "not 4 connections again"
done
wait "$client" || die "the model failed: $(tail -n 3 client.log)"
cmp expected srv/export/disk
ok "random I/O equals the model with one of the four reset, three times"

# The store of this server forgets nothing; nfs-forgetful.sh has one that does.
model_begins --seconds 4 --connections 4 --max-bytes 524288 --out expected "$uri"
kill_ganesha
start_ganesha
wait "$client" || die "the model failed: $(tail -n 3 client.log)"
cmp expected srv/export/disk
wait_for 15 open 4 || die "not 4 connections after the server"
ok "random I/O equals the model with the server killed"

# The worker goes on without a daemon; the next one has all four sockets to
# fence when it takes over.
worker=$(worker_pids)
old=$(daemon_pids)
another_daemon () {
  [ -n "$(daemon_pids)" ] && [ "$(daemon_pids)" != "$old" ] \
    && grep -q "taken over" runtime/bulkheadd.log
}
model_begins --seconds 5 --connections 4 --max-bytes 524288 --out expected "$uri"
kill -KILL "$old"
wait_for 30 another_daemon || die "no other daemon takes the volume over"
alive "$worker" || die "the worker has gone with its daemon"
open 4 || die "a connection has gone with the daemon"
[[ $("$run" bulkhead status --json) == *'"connections": 4'* ]] \
  || die "the new daemon does not know the four"
kill -STOP "$worker" # no last word of its own
kill -KILL "$worker"
wait "$client" || die "the model failed: $(tail -n 3 client.log)"
cmp expected srv/export/disk
wait_for 10 open 4 || die "not 4 connections: $(ss -tn)"
one_worker || die "$(worker_pids | wc -l) workers after the daemon"
ok "a new daemon takes over the worker with its four connections"
stop_nbdkit

# There are no sessions in v3.
no_workers () { ! have_worker; }
wait_for 30 no_workers
start_nbdkit three bulkhead "nfs://127.0.0.1:2050$dir/srv/export/disk" \
  connections=3 version=3 mountport=20048
three_workers () { [ "$(worker_pids | wc -l)" = 3 ]; }
wait_for 20 three_workers || die "version=3: $(worker_pids | wc -l) workers"
"$model" --seconds 2 --connections 2 --max-bytes 524288 --out expected "$uri"
cmp expected srv/export/disk
ok "version=3: three workers with a connection each"
stop_nbdkit
