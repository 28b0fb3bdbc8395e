#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# LUNs of a real target, tgt: what they say of themselves, data both ways, trim,
# zeroes and block status, large ones and those of 4096-byte blocks, logins,
# digests, lists; and what a user is told when something is wrong.
time_limit=180
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"
command -v tgtd >/dev/null && command -v tgtadm >/dev/null \
  || skip "tgt is not installed"

make_targets () {
  tgt_target 1 "$iqn"
  tgt_lun 1 1 disk
  tgt_lun 1 2 thin
  tgt_lun_params 1 2 thin_provisioning=1
  tgt_lun 1 3 large
  tgt_lun_params 1 3 thin_provisioning=1
  tgt_lun 1 4 blocks --blocksize 4096
  tgt_lun 1 5 readonly
  tgt_lun_params 1 5 readonly=1
  tgt_open 1
  tgt_target 2 "$iqn-chap"
  tgt_lun 2 1 disk
  tgt --mode account --op new --user alice --password 'a secret of 16+'
  tgt --mode account --op new --user thetarget --password 'another secret'
  tgt --mode account --op bind --tid 2 --user alice
  tgt_open 2
  tgt_target 3 "$iqn-mutual"
  tgt_lun 3 1 disk
  tgt --mode account --op bind --tid 3 --user alice
  tgt --mode account --op bind --tid 3 --user thetarget --outgoing
  tgt_open 3
}

random_file disk 32
truncate -s 64M thin
truncate -s 3T large
truncate -s 16M blocks
random_file readonly 1
printf 'a secret of 16+' >secret
printf 'another secret' >target-secret
printf 'not the secret' >wrong-secret
chmod 0600 secret target-secret wrong-secret
start_tgt make_targets

# caps WORD…: all of these, and it says so
caps () {
  local can
  for can; do
    nbdinfo --can "$can" "$uri" || die "cannot $can"
  done
}

copied () {
  nbdcopy "$uri" copy
  cmp copy "$1" || die "the copy of $1 differs"
}

# ---------------------------------------------------------------- a plain disk

start_iscsi plain 1
[ "$(nbdinfo --size "$uri")" = $((32 << 20)) ] || die "size differs"
caps read write flush fua multi-conn
copied disk
random_file other 32
nbdcopy --flush other "$uri"
cmp other disk || die "what was written differs"
"$model" --seconds 2 --connections 2 --depth 24 \
  --out expected "$uri"
cmp expected disk
stop_nbdkit
ok "a plain disk: capabilities, copies both ways, random I/O equal a model"
