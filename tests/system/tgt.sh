# SPDX-License-Identifier: BSD-2-Clause
# Sourced by the iSCSI tests after lib.sh: a private tgtd, which is a real iSCSI
# target in user space, and the scripted one.

iqn=iqn.2026-01.test:disk

# tgt ARGUMENT…: tells our tgtd something.
tgt () {
  tgtadm -C 7 --lld iscsi "$@"
}

tgt_answers () {
  tgt --mode sys --op show >/dev/null 2>&1 || ! alive "$tgt_pid"
}

# start_tgt FUNCTION [PORTAL…]: FUNCTION makes targets and LUNs. Calling it again
# after stop_tgt starts it at the same portals. Sets $tgt_pid.
start_tgt () {
  local make=$1 portal portals=
  shift
  for portal in "${@:-127.0.0.1:3261}"; do
    portals=$portals,portal=$portal
  done
  tgtd -f --iscsi "${portals#,}" --control-port 7 \
    >>"$dir/tgtd.log" 2>&1 </dev/null &
  tgt_pid=$!
  wait_for 20 tgt_answers
  alive "$tgt_pid" || die "tgtd does not start"
  "$make"
}

# Of its sessions it keeps nothing, of its files the kernel keeps the pages.
stop_tgt () {
  kill -KILL "$tgt_pid" 2>/dev/null || :
  wait "$tgt_pid" 2>/dev/null || :
}

# tgt_target TID NAME
tgt_target () {
  tgt --mode target --op new --tid "$1" -T "$2"
  # Its default of 2 seconds is waited for after each loss.
  tgt --mode target --op update --tid "$1" --name DefaultTime2Wait --value 0
}

# tgt_lun TID LUN FILE [ARGUMENT…], and then whatever its parameters are
tgt_lun () {
  local tid=$1 lun=$2 file=$3
  shift 3
  tgt --mode logicalunit --op new --tid "$tid" --lun "$lun" -b "$dir/$file" "$@"
}

tgt_lun_params () {
  tgt --mode logicalunit --op update --tid "$1" --lun "$2" --params "$3"
}

# tgt_open TID: who may log in: everybody. Last, so that nobody sees half of it.
tgt_open () {
  tgt --mode target --op bind --tid "$1" -I ALL
}

# iscsi_url LUN [PORT [TARGET]]
iscsi_url () {
  echo "iscsi://127.0.0.1:${2:-3261}/${3:-$iqn}/$1"
}

# start_iscsi NAME LUN [ARGUMENT…]
start_iscsi () {
  local name=$1 lun=$2
  shift 2
  start_nbdkit "$name" bulkhead "$(iscsi_url "$lun")" "$@"
}

# ----------------------------------------------------------- the scripted one

scripted=iqn.2026-01.test:scripted

# start_scripted PORT ARGUMENT…: sets $scripted_pid.
start_scripted () {
  local port=$1
  shift
  scripted_port=$port
  rm -f "$dir/scripted.control"
  mkfifo "$dir/scripted.control"
  : >"$dir/scripted.log"
  "$BULKHEAD_BUILDDIR/tests/fake/iscsi-target" --listen "$port" "$@" \
    <>"$dir/scripted.control" >"$dir/scripted.log" 2>&1 &
  scripted_pid=$!
  scripted_told=0
  wait_for 10 grep -q ready "$dir/scripted.log" \
    || die "the scripted target does not start"
}

stop_scripted () {
  kill -KILL "$scripted_pid" 2>/dev/null || :
  wait "$scripted_pid" 2>/dev/null || :
}

# tell LINE: tells it something; what it answers goes to $told.
tell () {
  echo "$*" >"$dir/scripted.control"
  scripted_told=$((scripted_told + 1))
  wait_for 10 scripted_has_answered || die "the scripted target: $*: no answer"
  told=$(grep '^ok' "$dir/scripted.log" | tail -n 1)
  told=${told#ok}
  told=${told# }
}

scripted_has_answered () {
  [ "$(grep -c '^ok' "$dir/scripted.log")" = "$scripted_told" ]
}
