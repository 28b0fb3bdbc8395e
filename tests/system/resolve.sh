#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead-resolve, sealed, with a name server of ours: by UDP, by TCP when the
# answer is truncated, from /etc/hosts, and a name that is not there.
. "$(dirname "$0")/lib.sh"

export resolve=$BULKHEAD_BUILDDIR/bulkhead-resolve
export server=$lib_dir/../fake/name-server.pl

echo 'nameserver 127.0.0.1' >resolv.conf
echo '192.0.2.7 from-the-file.test' >hosts
echo 'hosts: files dns' >nsswitch.conf

# Port 53 and the files in /etc need a namespace in which we may do that. The
# answer is binary (cache/address.h): compared in hexadecimal digits.
cat >in-there <<'EOS'
set -euo pipefail
ip link set lo up
for f in resolv.conf hosts nsswitch.conf; do
  [ -e "/etc/$f" ] || continue # there is nothing to mount it on
  mount --bind "$f" "/etc/$f"
done
perl "$server" >server.log 2>&1 &
trap 'kill $!' EXIT
for i in $(seq 500); do
  ! grep -q ready server.log || break
  sleep 0.02
done
for name in good.test big.test from-the-file.test nothing.test 192.0.2.9; do
  # Into a pipe: it may not write to a file.
  digits=$(timeout 30 "$resolve" -- "$name" 3>&1 >&2 | od -An -v -tx1)
  echo "$name" $digits
done
EOS
unshare=(unshare --net --mount)
[ "$(id -u)" = 0 ] || unshare+=(--user --map-current-user --keep-caps)
"${unshare[@]}" bash in-there >answers.log 2>&1

# has NAME DIGITS…
has () {
  local line name=$1 digits
  shift
  line=$(grep "^$name " answers.log | tr -d ' ') || die "$name: no answer"
  for digits; do
    [[ $line = *$digits* ]] || die "$name: $line lacks $digits"
  done
}

words () {
  printf '%s' "$*" | od -An -v -tx1 | tr -d ' \n'
}

v4=c0000201
v6=20010db8000000000000000000000001
has good.test $v4 $v6
ok "a name has its addresses"
has big.test $v4 $v6
ok "a truncated answer is asked for again by TCP"
has 192.0.2.9 c0000209
ok "an address needs nobody"
if [ -e /etc/hosts ]; then
  has from-the-file.test c0000207
  ok "/etc/hosts is read"
fi
has nothing.test "$(words 'cannot resolve nothing.test')"
ok "a name that is not there is said so"
