#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# connections=N: N workers, all of them used; one that dies is noticed by nobody
# but the log; a daemon that dies is followed by one that knows them all.
time_limit=240
. "$(dirname "$0")/lib.sh"

every=0.2
at_least=20
if [ -n "$small" ]; then
  # A login of this build takes longer.
  every=0.5
  at_least=10
fi

# export_file NAME FILE ARGUMENT…
export_file () {
  local name=$1 file=$2
  shift 2
  : >runtime/bulkheadd.log
  start_nbdkit "$name" -D bulkhead.stats=1 bulkhead "$(sftp_url "$dir/$file")" \
    identity="$dir/id" known-hosts="$known_hosts" "$@"
}

# ready N: connections 1 … N have logged in since the export was made.
ready () {
  local i
  for ((i = 1; i <= $1; i++)); do
    grep -q "(connection $i): worker [0-9]* ready" runtime/bulkheadd.log \
      || return 1
  done
}

no_workers () {
  ! have_worker
}

# requests NAME: how many requests each connection of that nbdkit, which has
# ended, has sent.
requests () {
  sed -n 's/^bulkhead: connection [0-9]*: \([0-9]*\) requests$/\1/p' "$1.log"
}

start_sshd
random_file disk "$(mib 48)"
export_file three disk connections=3
wait_for 30 ready 3 || die "not all connections get ready"
[ "$(worker_pids | wc -l)" = 3 ] || die "$(worker_pids | wc -l) workers"
ok "connections=3 are three workers"

nbdcopy "$uri" copy
[ "$(sha256 copy)" = "$(sha256 disk)" ] || die "the copy differs"
random_file other "$(mib 48)"
nbdcopy --flush other "$uri"
[ "$(sha256 other)" = "$(sha256 disk)" ] || die "what was written differs"
stop_nbdkit
[ "$(requests three | wc -l)" = 3 ] || die "no statistics"
total=$(requests three | awk '{n += $1} END {print n}')
for n in $(requests three); do
  [ $((n * 20)) -ge "$total" ] || die "shares: $(requests three | xargs)"
done
ok "all three did their part of both copies: $(requests three | xargs)"

# A server that lets in one at a time: the others are tried again.
wait_for 30 no_workers
stop_sshd
start_sshd 'MaxStartups 1:100:1'
export_file limited disk connections=4
nbdcopy "$uri" copy
[ "$(sha256 copy)" = "$(sha256 disk)" ] || die "the copy differs"
wait_for 60 ready 4 || die "a connection that was refused stays away"
stop_nbdkit
ok "a volume opens with its first connection, and the others follow"

# The next one dies in turn.
kill_workers () {
  local turn=0 kills=0 w
  echo 0 >"$dir/kills"
  while [ -e "$1" ]; do
    w=($(worker_pids))
    if [ ${#w[@]} -gt 0 ] && kill -KILL "${w[turn % ${#w[@]}]}" 2>/dev/null
    then
      kills=$((kills + 1))
    fi
    turn=$((turn + 1))
    echo "$kills" >"$dir/kills.new"
    mv "$dir/kills.new" "$dir/kills"
    sleep "$2"
  done
}

wait_for 30 no_workers
stop_sshd
start_sshd
random_file small 16
export_file killed small connections=3
wait_for 30 ready 3
with_kills "$every" "$model" --seconds 12 --connections 2 \
  --max-bytes 262144 --out expected "$uri"
[ "$kills" -ge "$at_least" ] || die "only $kills kills inside the model's run"
cmp expected small
stop_nbdkit
ok "random I/O equals the model with $kills of the workers killed in turn"

# The workers go on while there is no daemon, and the next one adopts them.
wait_for 30 no_workers
export_file pair small connections=2
wait_for 30 ready 2
workers=$(worker_pids)
old=$(daemon_pids)
another_daemon () {
  [ -n "$(daemon_pids)" ] && [ "$(daemon_pids)" != "$old" ] \
    && grep -q "taken over" runtime/bulkheadd.log
}
model_begins --seconds 5 --connections 2 --max-bytes 262144 --out expected "$uri"
kill -KILL "$old"
wait_for 30 another_daemon || die "no other daemon takes the volume over"
wait "$client" || die "the client saw an error"
cmp expected small
for w in $workers; do
  alive "$w" || die "worker $w has gone with its daemon"
done
ok "two workers outlive their daemon, and no client notices"

for w in $workers; do
  kill -KILL "$w" # no children of the new one
done
wait_for 30 ready 2 || die "the workers are not replaced"
"$model" --seconds 2 --connections 2 --max-bytes 262144 --out expected "$uri"
cmp expected small
stop_nbdkit
for n in $(requests pair); do
  [ "$n" -gt 0 ] || die "a connection was not used"
done
ok "the next daemon replaces both when they die"
