#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A thinly provisioned LUN of tgt: trim, zeroes and block status.
time_limit=120
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"
command -v tgtd >/dev/null && command -v tgtadm >/dev/null \
  || skip "tgt is not installed"

make_targets () {
  tgt_target 1 "$iqn"
  tgt_lun 1 2 thin
  tgt_lun_params 1 2 thin_provisioning=1
  tgt_open 1
}

# caps WORD…: all of these, and it says so
caps () {
  local can
  for can; do
    nbdinfo --can "$can" "$uri" || die "cannot $can"
  done
}

truncate -s 64M thin
start_tgt make_targets

# mapped OFFSET: what nbdinfo --map says about the extent with this offset.
mapped () {
  nbdinfo --map "$uri" | awk -v o="$1" '$1 <= o && o < $1 + $2 { print $3 }'
}

start_iscsi thin 2
caps trim zero fast-zero
[ "$(mapped 0)" = 3 ] || die "an empty LUN is no hole: $(nbdinfo --map "$uri")"
qemu-io -f raw -c 'write -P 0x5a 1M 4M' -c 'discard 2M 1M' -c 'write -z 3M 64k' \
  -c flush "$uri" >qemu-io.log || die "qemu-io: $(cat qemu-io.log)"
[ "$(mapped 1048576)" = 0 ] || die "what was written is a hole"
[ "$(mapped 2097152)" = 3 ] || die "what was trimmed is no hole"
qemu-io -f raw -c 'read -P 0x5a 1M 1M' -c 'read -P 0 2M 1M' \
  -c 'read -P 0 3M 64k' -c 'read -P 0x5a 3136k 1984k' "$uri" >qemu-io.log \
  || die "qemu-io: $(cat qemu-io.log)"
! grep -q 'verification failed' qemu-io.log || die "$(cat qemu-io.log)"
[ "$(stat -c %b thin)" -lt 8192 ] || die "the file on the server has no hole"
stop_nbdkit
ok "a thin LUN: trim, zeroes, block status"

