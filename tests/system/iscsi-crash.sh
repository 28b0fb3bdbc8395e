#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An iSCSI disk under load: connections are reset, tgtd is killed and started
# again, workers are killed, and a target is rebooted that forgets what was not
# flushed. The client sees no error and the right bytes.
time_limit=300
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"
command -v tgtd >/dev/null && command -v tgtadm >/dev/null \
  || skip "tgt is not installed"

make_targets () {
  tgt_target 1 "$iqn"
  tgt_lun 1 1 disk
  tgt_open 1
}

client_runs () {
  alive "$client"
}

# client_ends WHAT: it succeeds.
client_ends () {
  wait "$client" || die "$1: $(tail -n 5 client.log)"
}

random_file disk 16
start_tgt make_targets
sshd_port=3261 # where the relay connects
start_relay 3300
start_nbdkit crash bulkhead "$(iscsi_url 1 3300)" cache=off

model_begins --seconds 3 --connections 2 --depth 16 --out expected "$uri"
# Not without end: each of these may take longer than what lies between them.
resets=0 restarts=0
while client_runs && [ "$restarts" -lt 4 ]; do
  relay reset
  resets=$((resets + 1))
  sleep 0.7
  client_runs || break
  stop_tgt
  start_tgt make_targets
  restarts=$((restarts + 1))
  sleep 0.7
done
client_ends "random I/O"
cmp expected disk
[ "$resets" -ge 2 ] && [ "$restarts" -ge 1 ] \
  || die "only $resets resets and $restarts restarts"
ok "random I/O equals a model: $resets resets, $restarts restarts of tgtd"

every=0.5
[ -z "$small" ] || every=1.5
with_kills "$every" "$model" --seconds 2 --depth 16 --seed 2 --out expected "$uri"
cmp expected disk
ok "random I/O equals a model: $kills workers killed"

if command -v fio >/dev/null; then
  fio --name=verify --ioengine=nbd --uri="$uri" --rw=randwrite --bs=16k \
    --iodepth=16 --size=16m --verify=crc32c --verify_fatal=1 --do_verify=1 \
    --end_fsync=1 >fio.log 2>&1 &
  client=$!
  for ((resets = 0; resets < 4; resets++)); do
    client_runs || break
    relay reset
    sleep 0.5
  done
  client_ends "fio"
  ok "fio verifies what it wrote, with connections reset in between"
fi
stop_nbdkit
stop_tgt

# The kernel keeps a killed tgtd's pages: only this one forgets.
start_scripted 3270 --mib 16
start_nbdkit reboot bulkhead "$(iscsi_url 0 3270 "$scripted")" cache=off
lost=0 reboots=0
model_begins --seconds 3 --connections 2 --depth 16 --out expected "$uri"
while client_runs && [ "$reboots" -lt 6 ]; do
  tell reboot
  lost=$((lost + told))
  reboots=$((reboots + 1))
  sleep 0.8
done
client_ends "random I/O"
[ "$lost" -gt 0 ] || die "nothing was lost in $reboots reboots"
tell reboot
[ "$told" = 0 ] || die "$told blocks were not flushed"
nbdcopy "$uri" copy
cmp expected copy
stop_nbdkit
ok "random I/O equals a model: $reboots reboots that forgot $lost blocks"

# A UNIT ATTENTION goes with the command that the server takes up next, and that
# one's status may come behind the GOOD of a later FLUSH.
start_nbdkit late bulkhead "$(iscsi_url 0 3270 "$scripted")" cache=off prefetch=0
# The read must be ahead of the flush; nbdkit's threads may turn them round.
for ((try = 1; try <= 5; try++)); do
  tell bad late_attention 1
  qemu-io -t writeback -f raw -c "write -P $try 0 64k" -c 'aio_read 8M 4k' -c flush \
    -c flush -c aio_flush "$uri" >qemu-io.log || die "$(cat qemu-io.log)"
  tell reboot
  [ "$told" = 0 ] || die "$told blocks were not flushed"
  qemu-io -f raw -c "read -P $try 0 64k" "$uri" >qemu-io.log || :
  grep -q 'read 65536/' qemu-io.log && ! grep -q 'verification failed' \
    qemu-io.log || die "a flushed write is lost: $(cat qemu-io.log)"
  ! grep -q 'forgot 128 blocks' scripted.log || break
done
grep -q 'forgot 128 blocks' scripted.log || die "nothing was ever lost"
stop_nbdkit
ok "a FLUSH proves nothing before the READ ahead of it has told of a reset"
