#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# NFSv4.2 and 3 of NFS-Ganesha behind RPC over TLS, spoken by a front: sessions
# that go on over TLS while workers are killed, and mountd's part of version 3.
time_limit=120
. "$(dirname "$0")/lib.sh"
. "$lib_dir/ganesha.sh"
. "$lib_dir/tls.sh"

need_ganesha
authority ca
certificate server ca P-256 DNS:localhost
certificate client ca P-256 ''
tls="tls-ca=$dir/ca.pem tls-cert=$dir/client.pem tls-key=$dir/client.key"
ganesha_export 1 "$dir/srv/export" 'Access_Type = RW;'
random_file source "$(mib 16)"
cp source srv/export/disk.img
start_ganesha
start_front nfs 3049 2049 server --client-ca ca.pem
start_front mountd 3048 20048 server --client-ca ca.pem

start_nbdkit best bulkhead nfs://localhost:3049/pseudo1/disk.img \
  xprtsec=mtls connections=3 $tls
three_lanes () {
  [ "$(ss -Htn state established dport = :3049 | wc -l)" = 3 ] && one_worker
}
wait_for 10 three_lanes || die "not one worker with 3 connections: $(ss -tn)"
nbdcopy "$uri" copy
cmp source copy
with_kills 0.5 "$model" --seconds "$(mib 5)" --connections 2 \
  --max-bytes 262144 --out expected "$uri"
[ "$kills" -ge 2 ] || die "only $kills workers were killed"
stop_nbdkit
cmp expected srv/export/disk.img
! grep -q SIGSYS runtime/bulkheadd.log || die "a call was refused"
ok "version 4.2 over TLS, one session with 3 connections: random I/O equals the \
model with $kills workers killed"

start_nbdkit three bulkhead "nfs://localhost:3049$dir/srv/export/disk.img" \
  version=3 mountport=3048 xprtsec=mtls $tls
nbdcopy "$uri" copy
cmp expected copy
stop_nbdkit
ok "version 3: mountd over TLS, too"

# The portmapper is asked in clear text, and sends to a mountd without TLS.
status=0
timeout 30 "$run" nbdkit -f -U "$dir/refused.sock" bulkhead \
  "nfs://localhost:3049$dir/srv/export/disk.img" version=3 xprtsec=mtls $tls \
  >refused.log 2>&1 </dev/null || status=$?
[ "$status" != 0 ] && [ "$status" != 124 ] || die "no end: $status"
grep -q 'does not offer TLS' refused.log || die "$(cat refused.log)"
ok "a mountd without TLS is not used"
