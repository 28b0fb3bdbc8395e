#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The worker alone against a real sshd: see worker-driver.c.
. "$(dirname "$0")/lib.sh"

driver=$BULKHEAD_BUILDDIR/tests/system/worker-driver
export BULKHEAD_LIBEXEC_DIR=$BULKHEAD_BUILDDIR

openssl genpkey -algorithm ed25519 -out "$dir/id.pem"
openssl genpkey -algorithm ed25519 -out "$dir/other.pem"
"$driver" --public "$dir/id.pem" >"$dir/authorized_keys"
random_file "$dir/disk" 32

# drive LOG OPTION…
drive () {
  local log=$dir/$1.log
  shift
  "$driver" "$@" "$sshd_port" "$user" "$dir/id.pem" "$dir/disk" >"$log" 2>&1
}

start_sshd
drive verify --verify="$(mib 64)"
ok "$(grep verified "$dir/verify.log")"
drive drop --drop --verify=4
ok "goes on when the daemon goes away"
stop_sshd

start_sshd 'RekeyLimit 16M' 'LogLevel DEBUG1'
drive rekey --verify="$(mib 256)"
rekeys=$(grep -c 'SSH2_MSG_KEXINIT received' "$dir/sshd.log")
[ "$rekeys" -ge "$(mib 16)" ] || die "only $rekeys key exchanges"
ok "the same with $rekeys key exchanges on the way:" \
  "$(grep verified "$dir/rekey.log")"

for rule in 1 2 3 4 5 6 7; do
  drive "violate-$rule" --violate="$rule" \
    --expect='the peer broke the protocol'
done
ok "a gateway that breaks the rules of the ring ends the session"

"$driver" --expect='login refused' "$sshd_port" "$user" "$dir/other.pem" \
  "$dir/disk" >"$dir/refused.log" 2>&1
ok "a refused key: $(grep FAIL "$dir/refused.log")"
"$driver" --expect='no such file' "$sshd_port" "$user" "$dir/id.pem" \
  "$dir/nothing" >"$dir/noent.log" 2>&1
ok "no such file: $(grep FAIL "$dir/noent.log")"
stop_sshd
