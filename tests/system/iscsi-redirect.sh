#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Targets that send a login on to another portal: where it may go, that it comes
# to an end, and where sessions begin the next time; and portals in reserve.
time_limit=120
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"

# Two scripted targets, a at port 3270 and b at 3271, each at any address of the
# loopback, each with its own control.
start_both () {
  local name port=3270
  for name in a b; do
    mkfifo "$name.control"
    "$BULKHEAD_BUILDDIR/tests/fake/iscsi-target" --listen "$port" --mib 4 \
      <>"$name.control" >"$name.log" 2>&1 &
    eval "${name}_pid=\$!"
    wait_for 10 grep -q ready "$name.log" || die "target $name does not start"
    port=$((port + 1))
  done
}

answers () {
  grep -c '^ok' "$1.log" || :
}

answered () {
  [ "$(answers "$1")" -gt "$2" ]
}

# to NAME LINE: tells that target; its answer goes to $told.
to () {
  local name=$1 before
  shift
  before=$(answers "$name")
  echo "$*" >"$name.control"
  wait_for 10 answered "$name" "$before" || die "target $name: $*: no answer"
  told=$(grep '^ok' "$name.log" | tail -n 1)
  told=${told#ok}
  told=${told# }
}

# reads NAME: how many READs that target has seen
reads () {
  to "$1" count
  echo "${told%% *}"
}

read_some () {
  qemu-io -f raw -c 'read 0 64k' "$uri" >client.log 2>&1
  grep -q 'read 65536/' client.log
}

# serves NAME: reads go to that target only.
serves () {
  local other=a before_this before_other
  [ "$1" = b ] || other=b
  before_this=$(reads "$1")
  before_other=$(reads "$other")
  read_some || die "a read fails: $(cat client.log)"
  [ "$(reads "$1")" -gt "$before_this" ] || die "target $1 serves nothing"
  [ "$(reads "$other")" = "$before_other" ] || die "target $other serves"
}

# start URLHOST [ARGUMENT…]
start () {
  local host=$1
  shift
  start_nbdkit redirect bulkhead "iscsi://$host/$scripted/0" cache=off \
    prefetch=0 "$@"
}

# refused TEXT HOST [ARGUMENT…]: nbdkit ends with this in one line.
refused () {
  local text=$1 host=$2 status=0
  shift 2
  timeout 30 "$run" nbdkit -f -U "$dir/refused.sock" bulkhead \
    "iscsi://$host/$scripted/0" "$@" >refused.log 2>&1 </dev/null || status=$?
  [ "$status" != 0 ] && [ "$status" != 124 ] \
    || die "not refused ($status): $(cat refused.log)"
  [ "$(grep -c . refused.log)" = 1 ] || die "$(cat refused.log)"
  grep -Eq "$text" refused.log || die "not '$text': $(cat refused.log)"
  ok "told: $(cut -c1-250 refused.log)"
}

start_both
a=127.0.0.1:3270

# ---------------------------------------------------------------- for a while

for status in 0101 0102; do
  to a redirect 127.0.0.1:3271,1 "$status" -1
  start "$a"
  serves b
  # Where a session was, the next one begins.
  to b kick
  to a count
  logins=${told% *}
  serves b
  to a count
  [ "${told% *}" = "$logins" ] || die "it was asked again where to go: $told"
  stop_nbdkit
  ok "a redirect $status to another port, and the next session begins there"
done

# What it was sent to is gone: from home again.
to a redirect 127.0.0.1:3271,1 0101 1
start "$a"
serves b
kill -KILL "$b_pid"
wait "$b_pid" 2>/dev/null || :
before=$(reads a)
read_some || die "a read fails: $(cat client.log)"
[ "$(reads a)" -gt "$before" ] || die "target a serves nothing"
stop_nbdkit
rm -f ./*.control
kill -KILL "$a_pid"
wait "$a_pid" 2>/dev/null || :
start_both
ok "where a redirect led to is gone: from the volume's own portal again"

# --------------------------------------------------------------------- circles

to a redirect 127.0.0.1:3270,1 0101 -1
refused 'sent us on 8 times' "$a"
to a redirect 127.0.0.1:3271,1 0102 -1
to b redirect 127.0.0.1:3270,1 0102 -1
refused 'sent us on 8 times' "$a"
to b redirect none 0 0

# ---------------------------------------------------------------------- policy

to a redirect 127.0.0.2:3271,1 0101 -1
refused 'redirect=127.0.0.2:3271' "$a"
refused 'may not go' "$a" redirect=no
refused 'may not go' "$a" redirect=127.0.0.2:3272
for allowed in redirect=127.0.0.2:3271 redirect=127.0.0.2 redirect=any; do
  start "$a" "$allowed"
  serves b
  stop_nbdkit
done
start 127.0.0.9 portals="$a,127.0.0.2:9"
serves b
stop_nbdkit
to a redirect 127.0.0.1:3271,1 0101 -1
refused 'may not go' "$a" redirect=no
to a redirect 'not/an/address' 0101 -1
refused 'RFC 7143 §13.8' "$a"
to a redirect none 0 0
ok "only to places that the volume allows"

# ------------------------------------------------------------ portals in reserve

# More portals than connections: nothing listens at the first one.
start 127.0.0.9 portals=127.0.0.1:3279,127.0.0.1:3271
serves b
stop_nbdkit
start 127.0.0.9 portals="$a,127.0.0.1:3271"
serves a
kill -KILL "$a_pid"
wait "$a_pid" 2>/dev/null || :
before=$(reads b)
read_some || die "a read fails: $(cat client.log)"
[ "$(reads b)" -gt "$before" ] || die "target b serves nothing"
stop_nbdkit
ok "a portal in reserve takes over, at the start and later"
