#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# LUNs of a real target, tgt: what they say of themselves, data both ways, large
# ones and those of 4096-byte blocks, logins, digests, lists; and what a user is
# told when something is wrong.
time_limit=300
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"
command -v tgtd >/dev/null && command -v tgtadm >/dev/null \
  || skip "tgt is not installed"

make_targets () {
  tgt_target 1 "$iqn"
  tgt_lun 1 1 disk
  tgt_lun 1 3 large
  tgt_lun_params 1 3 thin_provisioning=1
  tgt_lun 1 4 blocks --blocksize 4096
  tgt_lun 1 5 readonly
  tgt_lun_params 1 5 readonly=1
  # Or it has none.
  tgt --mode target --op update --tid 1 --name HeaderDigest --value CRC32C,None
  tgt --mode target --op update --tid 1 --name DataDigest --value CRC32C,None
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

random_file disk 16
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
[ "$(nbdinfo --size "$uri")" = $((16 << 20)) ] || die "size differs"
caps read write flush fua multi-conn
! nbdinfo --can fast-zero "$uri" || die "zeroes are fast where they are written?"
copied disk
random_file other 16
nbdcopy --flush other "$uri"
cmp other disk || die "what was written differs"
"$model" --seconds 1 --connections 2 --depth 24 --out expected "$uri"
cmp expected disk
stop_nbdkit
ok "a plain disk: capabilities, copies both ways, random I/O equal a model"

# ----------------------------------------------------------- other kinds of LUNs

start_iscsi large 3
[ "$(nbdinfo --size "$uri")" = $((3 << 40)) ] || die "size differs"
qemu-io -f raw -c 'write -P 0x77 2600G 1M' -c 'write -P 0x78 3145727M 1M' \
  -c flush -c 'read -P 0x77 2600G 1M' -c 'read -P 0x78 3145727M 1M' \
  -c 'read -P 0 2601G 1M' "$uri" >qemu-io.log \
  || die "qemu-io: $(cat qemu-io.log)"
! grep -q 'verification failed' qemu-io.log || die "$(cat qemu-io.log)"
[ "$(dd if=large bs=1M skip=$((2600 << 10)) count=1 2>/dev/null | tr -d w \
  | wc -c)" = 0 ] || die "it is elsewhere on the server"
stop_nbdkit
ok "a LUN of 3 TiB"

start_iscsi blocks 4
nbdinfo --json "$uri" | grep -q '"block_size_minimum": 4096' \
  || die "it does not say how large its blocks are"
"$model" --ops 200 --depth 8 --out expected "$uri"
cmp expected blocks
stop_nbdkit
ok "blocks of 4096 bytes"

start_iscsi readonly 5
nbdinfo --is read-only "$uri" || die "not read-only"
grep -q 'write-protected' readonly.log || die "it does not say why"
copied readonly
stop_nbdkit
ok "a write-protected LUN"

# ------------------------------------------------------------- digests, logins

for header in none crc32c; do
  for data in none crc32c; do
    start_iscsi digests 1 header-digest="$header" data-digest="$data"
    copied disk
    "$model" --ops 40 --depth 8 --out expected "$uri"
    cmp expected disk
    stop_nbdkit
  done
done
ok "digests of headers, data, both and neither"

chap=$(iscsi_url 1 3261 "$iqn-chap")
mutual=$(iscsi_url 1 3261 "$iqn-mutual")
start_nbdkit chap bulkhead "$chap" user=alice password=+secret
copied disk
stop_nbdkit
start_nbdkit mutual bulkhead "$mutual" user=alice password=+secret \
  target-user=thetarget target-password=+target-secret
copied disk
stop_nbdkit
ok "CHAP, one way and mutual"

# refused TEXT ARGUMENT…: nbdkit ends and says this, in one line
refused () {
  local text=$1 status=0
  shift
  timeout 30 "$run" nbdkit -f -U "$dir/refused.sock" bulkhead "$@" \
    >refused.log 2>&1 </dev/null || status=$?
  [ "$status" != 0 ] || die "$*: not refused"
  [ "$status" != 124 ] || die "$*: no end"
  [ "$(grep -c . refused.log)" = 1 ] || die "$*: $(cat refused.log)"
  grep -Eqi "$text" refused.log || die "$*: $(cat refused.log)"
  ok "told: $(cut -c1-250 refused.log)"
}

refused 'auth|password|secret' "$chap"
refused 'auth|password|secret' "$chap" user=alice password=+wrong-secret
refused 'CHAP|prove|secret' "$mutual" user=alice password=+secret \
  target-user=thetarget target-password=+wrong-secret
refused 'no such LUN' "$(iscsi_url 99)"
refused 'target' "$(iscsi_url 1 3261 iqn.2026-01.test:none)"
refused 'no disk' "$(iscsi_url 0)"

# ------------------------------------------------------------------------ lists

# nbdinfo also opens what it lists: each disk of each target. Those that do not let
# us in are left out, and the log says why.
start_nbdkit targets bulkhead iscsi://127.0.0.1:3261/
nbdinfo --list "$uri" >list.log 2>&1 || die "nbdinfo --list: $(cat list.log)"
for lun in 1 3 4 5; do
  grep -qF "export=\"$iqn/$lun\"" list.log || die "no LUN $lun: $(cat list.log)"
done
! grep -qF "$iqn-chap" list.log || die "it is not open: $(cat list.log)"
for name in "$iqn-chap" "$iqn-mutual"; do
  grep -q "$name is not listed: .*CHAP\|$name is not listed: .*password" \
    targets.log || die "why not $name: $(cat targets.log)"
done
ok "told: $(grep -o "$iqn-chap is not listed.*" targets.log | tail -n 1)"
nbdinfo --size "nbd+unix:///$iqn/1?socket=$sock" >size.log \
  || die "$(cat targets.log)"
[ "$(cat size.log)" = $((16 << 20)) ] || die "size differs"
stop_nbdkit
start_nbdkit luns bulkhead "iscsi://127.0.0.1:3261/$iqn/"
nbdinfo --list "$uri" >list.log
for lun in 1 3 4 5; do
  grep -qF "export=\"$lun\"" list.log || die "no LUN $lun: $(cat list.log)"
done
stop_nbdkit
ok "targets and LUNs are listed"
