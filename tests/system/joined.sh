#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Clients that read the same at the same time cause one request at the worker.
. "$(dirname "$0")/lib.sh"

clients=8
start_sshd

# The clients begin while the server stands still, so that all of them wait.
asked () {
  [ "$(grep -c 'pread count=65536' "$dir/$export_name.log")" = $clients ]
}

# No thread of nbdkit is on its way to somewhere.
at_rest () {
  local times
  for times in 1 2 3; do
    ! cat /proc/"$nbdkit_pid"/task/*/stat 2>/dev/null \
      | sed 's/.*) //' | grep -q '^[RD]' || return 1
  done
}

# check NAME ARGUMENT…: sets $requests.
check () {
  local i p pids=()
  export_name=$1
  shift
  random_file "$export_name.img" 1
  truncate -s 64K "$export_name.img"
  start_nbdkit "$export_name" -v -D bulkhead.stats=1 bulkhead \
    "$(sftp_url "$dir/$export_name.img")" identity="$dir/id" \
    known-hosts="$known_hosts" "$@"
  for p in $(sshd_session_pids); do kill -STOP "$p"; done
  for i in $(seq $clients); do
    nbdcopy --no-extents --connections=1 "$uri" "$dir/copy.$i" \
      2>"copy.$i.log" &
    pids+=($!)
  done
  wait_for 20 asked || die "not all ask: $(tail -n 3 "$export_name.log")"
  wait_for 20 at_rest || die "they do not wait"
  for p in $(sshd_session_pids); do kill -CONT "$p"; done
  for i in $(seq $clients); do
    wait "${pids[i - 1]}" || die "$(cat "copy.$i.log")"
    cmp "$export_name.img" "copy.$i"
  done
  stop_nbdkit
  requests=$(sed -n 's/^bulkhead: connection 1: \([0-9]*\) requests/\1/p' \
    "$export_name.log")
}

check one
[ "$requests" = 1 ] || die "$requests requests"
grep -q "^bulkhead: $((clients - 1)) reads joined one" one.log \
  || die "$(grep joined one.log)"
ok "$clients clients read the same: $requests request"

# Where the cache is off the server is asked by each.
check off cache=off
[ "$requests" = $clients ] || die "$requests requests"
ok "cache=off: $requests requests"
