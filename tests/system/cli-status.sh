#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead status and top: what they show is what happens: requests, the cache,
# workers that die, an outage, a daemon that is another one; top in a terminal.
. "$(dirname "$0")/lib.sh"

bulkhead () {
  "$run" bulkhead "$@"
}

# status FILTER: of the JSON
status () {
  bulkhead status --json | jq -r "$1"
}

# status_is FILTER VALUE
status_is () {
  [ "$(status "$1")" = "$2" ]
}

# ------------------------------------------------------------- nothing is served

[ "$(bulkhead status --json | jq -c .)" = '{"daemon":null,"volumes":[]}' ] \
  || die "status without a daemon: $(bulkhead status --json)"
bulkhead status | grep -q 'no bulkheadd runs' || die "status: no words"
[ -z "$(daemon_pids)" ] || die "status has started a daemon"
ok "without a daemon there is nothing, and none is started"

# ----------------------------------------------------------------------- counts

start_sshd
random_file disk.img 8
start_bulkhead "$dir/disk.img"
name=$(status '.volumes[0].name')
case $name in
  sftp://*/disk.img) ;;
  *) die "the volume's name: $name" ;;
esac
! bulkhead status | grep -q "$password" || die "a secret"
[ "$(status '.volumes | length')" = 1 ] || die "not one volume"
status_is '.volumes[0].state' ready || die "not ready"
status_is '.volumes[0].size' 8388608 || die "the size"
status_is '.volumes[0].gateways[0].pid' "$nbdkit_pid" || die "the pid"
status_is '.volumes[0].gateways[0].workers[0].pid' "$(worker_pids)" \
  || die "the worker's pid"
status '.volumes[0].gateways[0].workers[0].layers[]' >layers
grep -qx seccomp layers || die "no layers: $(cat layers)"
status_is .daemon.pid "$(daemon_pids)" || die "the daemon's pid"
ok "status knows volume, gateway, worker, its layers and the daemon"

ops='.volumes[0].counts.operations'
steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps
"$steps" "$uri" -- 0:loop:0:1 0:write:256:a 0:write:512:b 0:flush >steps.log
[ "$(status "$ops.write | [.requests, .bytes, .errors] | join(\" \")")" \
  = '2 8192 0' ] || die "writes: $(status "$ops.write")"
[ "$(status "$ops.flush.requests")" = 1 ] || die "flushes"
[ "$(status "$ops.read.bytes + $ops.cached_read.bytes")" = 4096 ] \
  || die "reads: $(status "$ops")"
status "$ops.write.latency | .p50_ns > 1000 and .p99_ns >= .p50_ns" \
  | grep -qx true || die "latencies: $(status "$ops.write")"

# until it comes out of the cache
hot () {
  "$steps" "$uri" -- 0:loop:0:300 >steps.log
  [ "$(status "$ops.cached_read.requests")" -ge 200 ]
}
wait_for 10 hot || die "nothing is cached"
status "$ops.cached_read.latency.p50_ns > 0" | grep -qx true \
  || die "no latency of cached reads"
status '.volumes[0].counts.hit_ratio > 0.5' | grep -qx true || die "hit ratio"
status '.volumes[0].cache.fills > 0' | grep -qx true || die "no fills"
bulkhead status --json >status.json
documented status status.json
ok "requests, bytes, latencies and the hit ratio are counted"

bulkhead status "$name" >text
grep -q 'hit ratio .* %' text || die "text: $(cat text)"
grep -q "pid $nbdkit_pid .*has the write lease" text || die "text: $(cat text)"
code=0
bulkhead status sftp://nobody@127.0.0.1/none 2>err >out || code=$?
[ "$code" = 3 ] && [ ! -s out ] && grep -q 'not served' err \
  || die "a volume that is not served: $code: $(cat err)"
[ -z "$(bulkhead status -q "$name")" ] || die "--quiet is not"
ok "one volume can be asked for"

# -------------------------------------------------------------------- what fails

kill -KILL "$(worker_pids)"
restarted () {
  status '.volumes[0].gateways[0].workers[0]
    | .restarts == 1 and .state == "ready"' | grep -qx true
}
wait_for 10 restarted || die "no restart is counted"
status '.volumes[0].gateways[0].workers[0].last_end' | grep -q SIGKILL \
  || die "no reason is kept"
ok "a worker that was killed is counted, with the reason"

worker=$(worker_pids)
kill -TERM "$(daemon_pids)"
adopted () {
  status '.volumes[0] | .state == "ready" and .size == 8388608
    and .counts.operations.write.requests == 2
    and .gateways[0].workers[0].pid == '"$worker" | grep -qx true
}
wait_for 20 adopted || die "a new daemon: $(bulkhead status)"
status '.volumes[0].gateways[0].workers[0].layers[]' | cmp - layers \
  || die "other layers: $(status '.volumes[0].gateways[0].workers[0].layers')"
ok "a new daemon knows it all, counts and layers too"

stop_sshd
wait_for 10 status_is '.volumes[0].state' down || die "no outage is seen"
status '.volumes[0].down_ns > 0' | grep -qx true || die "since when?"
bulkhead status | grep -q 'state  *down for' || die "no outage in words"
ok "an outage is seen, and since when"
start_sshd
wait_for 20 status_is '.volumes[0].state' ready || die "it stays down"

# -------------------------------------------------------------------------- top

command -v tmux >/dev/null || skip "no tmux"
export TERM=screen

term () {
  tmux -S "$dir/tmux" -f /dev/null "$@"
}
screen () {
  term capture-pane -p -t top
}
# shows REGEX, within 10 s
on_screen () {
  screen | grep -Eq -- "$1"
}
shows () {
  wait_for 10 on_screen "$1" || die "no \"$1\" on the screen: $(screen)"
}

top_in () { # again if tmux is just about to end, as nobody was there any more
  wait_for 10 term new-session -d -s top -x "$1" -y "$2" \
    "exec env NO_COLOR=${3:-} $run bulkhead top --interval=0.2" \
    || die "tmux does not start"
}

top_in 80 24 1
shows 'disk.img'
shows "worker $(worker_pids) of pid $nbdkit_pid: ready"
shows 'sorted by name'
! term capture-pane -p -e -t top | grep -q $'\e\[3[1-7]m' || die "colours"

# Numbers that change: nothing is asked for now, then much.
: >busy
(while [ -e busy ]; do
  "$steps" "$uri" -- 0:loop:1:1000 0:loop:2:1000
done) >/dev/null 2>&1 &
reader=$!
shows 'ready +[0-9]+ +[1-9][0-9.]*[KMG]'
term send-keys -t top p
shows PAUSED
still=$(screen)
sleep 1 # five looks, if it did not pause
[ "$(screen)" = "$still" ] || die "it goes on while it is paused"
term send-keys -t top p
gone_from_screen () {
  ! on_screen PAUSED
}
wait_for 10 gone_from_screen || die "it stays paused"
term send-keys -t top s
shows 'sorted by read'
term send-keys -t top w
no_workers () {
  ! on_screen 'of pid'
}
wait_for 10 no_workers || die "workers cannot be hidden"
rm -f busy
wait "$reader" || :
term resize-window -t top -x 120 -y 30
wide () {
  screen | awk '/VOLUME/ && length >= 110 { found = 1 } END { exit !found }'
}
wait_for 10 wide || die "it does not follow the terminal: $(screen)"
term resize-window -t top -x 40 -y 8
shows 'VOLUME'
kill -KILL "$(worker_pids)"
term resize-window -t top -x 80 -y 24
shows '[1-9] restarts'
term send-keys -t top q
ended () {
  ! term has-session -t top 2>/dev/null
}
wait_for 10 ended || die "q does not end it"
ok "top shows what happens in 80x24, without colours, and follows keys and size"

top_in 80 24
shows 'disk.img'
colours () {
  term capture-pane -p -e -t top | grep -q $'\e\[32m'
}
wait_for 10 colours || die "no colours"
stop_nbdkit
shows 'idle'
term send-keys -t top q
wait_for 10 ended || die "q does not end it"
code=0
bulkhead top >out 2>err </dev/null || code=$?
[ "$code" = 2 ] && grep -q 'needs a terminal' err || die "top without one"
ok "top has colours where they are welcome, and ends when it is told to"
