#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# attach, detach and list where there is no nbd driver: that, and whatever else is
# wrong, is told in one or two lines, and nothing is left. (Where there is one:
# tests/vm/attach.sh.)
. "$(dirname "$0")/lib.sh"

[ ! -e /sys/module/nbd ] || skip "this kernel has an nbd driver: a disk of the" \
  "host would be made"

# says STATUS REGEX ARGUMENT…
says () {
  local want=$1 regex=$2 status=0
  shift 2
  "$run" bulkhead "$@" >said.out 2>said.err </dev/null || status=$?
  [ "$status" = "$want" ] || die "$*: status $status: $(cat said.err)"
  case $(wc -l <said.err) in 1|2) ;; *) die "$*: $(cat said.err)" ;; esac
  grep -Eq -- "$regex" said.err || die "$*: $(cat said.err)"
  [ -z "$(pids_of nbdkit)$(pids_of bulkhead)$(daemon_pids)" ] \
    || die "$*: something is left"
  ok "$(head -n 1 said.err)"
}

says 7 'nbd driver is not loaded' attach "sftp://$user@127.0.0.1/disk"
grep -q 'modprobe nbd' said.err || die "not said what to do: $(cat said.err)"
says 2 'no URL, and no volume' attach nowhere
says 2 'not a URL of a protocol' attach ftp://localhost/disk
says 2 'is no device' attach sftp://h/x /dev/sda
says 2 'is too much' attach sftp://h/x /dev/nbd0 /dev/nbd1
says 2 'not a number from 1 to 16' attach -n 17 sftp://h/x
says 2 'one device or volume, or --all' detach
says 2 'one device or volume, or --all' detach --all /dev/nbd0
says 3 '/dev/nbd0 is not attached' detach /dev/nbd0
says 3 'backup is not attached' detach backup
says 0 'nothing is attached' list
[ ! -s said.out ] || die "list prints $(cat said.out)"
[ "$("$run" bulkhead list --json | jq -c .)" = '[]' ] || die "list --json"
"$run" bulkhead detach --all || die "detach --all fails when nothing is attached"
[ "$(find runtime -name 'nbd*')" = "" ] || die "files are left"
ok "nothing is left"
chmod 755 runtime
says 4 'open to others' list
