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

# fails CODE TEXT ARGUMENT…: the worker reports CODE.
fails () {
  local code=$1 text=$2
  shift 2
  "$driver" --expect="$code" "$@" >"$dir/fails.log" 2>&1 \
    || die "$text: $(cat "$dir/fails.log")"
  ok "$text: $(sed -n 's/^FAIL ([^)]*): //p' "$dir/fails.log")"
}

fails 'login refused' 'a refused key' \
  "$sshd_port" "$user" "$dir/other.pem" "$dir/disk"
fails 'no such file' 'a missing file' \
  "$sshd_port" "$user" "$dir/id.pem" "$dir/nothing"
fails 'the connection is closed' 'the server ends in the middle' \
  --verify=100000 --kill="$sshd_pid" \
  "$sshd_port" "$user" "$dir/id.pem" "$dir/disk"
stop_sshd

start_sshd 'AuthenticationMethods password'
drive password --password="$password" --verify=1
ok "logs in by password"
fails 'login refused' 'a wrong password' --password=wrong \
  "$sshd_port" "$user" "$dir/id.pem" "$dir/disk"
stop_sshd

start_sshd 'Ciphers chacha20-poly1305@openssh.com'
fails 'not supported' 'no cipher in common' \
  "$sshd_port" "$user" "$dir/id.pem" "$dir/disk"
stop_sshd

# start_bare_sshd [LINE]: as start_sshd, but with LINE for the subsystem.
start_bare_sshd () {
  grep -v '^Subsystem' "$dir/sshd_config" >"$dir/bare_config"
  printf '%s\n' "$@" >>"$dir/bare_config"
  rm -f "$dir/sshd.pid"
  /usr/sbin/sshd -D -e -f "$dir/bare_config" 2>>"$dir/sshd.log" &
  sshd_pid=$!
  wait_for 10 test -s "$dir/sshd.pid" || die "sshd does not start"
}

sed -i '/^Ciphers/d' "$dir/sshd_config"
start_bare_sshd 'Subsystem sftp /bin/false'
fails 'the connection is closed' 'the subsystem ends at once' \
  "$sshd_port" "$user" "$dir/id.pem" "$dir/disk"
grep -q 'right port' "$dir/fails.log" \
  && die "it has spoken SSH: $(cat "$dir/fails.log")"
stop_sshd
start_bare_sshd
fails 'not supported' 'no such subsystem' \
  "$sshd_port" "$user" "$dir/id.pem" "$dir/disk"
stop_sshd

# greets TEXT: what the worker says to the greeting on standard input.
greets () {
  cat >"$dir/greeting"
  fails "${code:-the peer broke the protocol}" "$1" \
    --greeting="$dir/greeting" 0 "$user" "$dir/id.pem" "$dir/disk"
}

code='the connection is closed' greets 'a server that hangs up' </dev/null
printf 'HTTP/1.1 400 Bad Request\r\n\r\n' \
  | greets 'a server of another kind'
{ printf 'SSH-2.0-x\r\n'; head -c 20000 "$dir/disk"; } \
  | greets 'a server that sends noise'
printf 'SSH-2.0-x\r\n\377\377\377\377\001aaaaaaaaaaaaaaaaaaaa' \
  | greets 'a packet of 4 GiB'
