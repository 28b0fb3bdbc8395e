#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# NFS over RPC over TLS (RFC 9289). There is no independent server for it to be
# had here: a front that speaks it stands before one that does not. Good and bad
# certificates, servers that break off or would rather do without, keys that are
# asked of the daemon, workers killed meanwhile.
time_limit=240
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tls.sh"

fake=$BULKHEAD_BUILDDIR/tests/fake/nfs-server
steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps
port=3049  # the front
plain=3050 # the server behind it
url=nfs://localhost:$port/srv/export/dir/disk.img
v3="version=3 mountport=$port"

start_fake () {
  "$fake" "$plain" "$dir/disk" >fake.log 2>&1 &
  fake_pid=$!
  wait_for 10 grep -q ready fake.log || die "the server does not start"
}

stop_fake () {
  kill -TERM "$fake_pid"
  wait "$fake_pid" || die "the server failed"
}

# no_refused_call: the policy had all that TLS needs.
no_refused_call () {
  ! grep -q SIGSYS runtime/bulkheadd.log || die "a call was refused:" \
    "$(grep SIGSYS runtime/bulkheadd.log | tail -n 1)"
}

authority ca
authority other
certificate good ca P-256 'DNS:localhost,IP:127.0.0.1'
certificate good-rsa ca rsa DNS:localhost
certificate name ca P-256 'DNS:filer.example.org,DNS:nas.example.org'
certificate common ca P-256 ''
certificate wild ca P-256 'DNS:*.example.org,DNS:*'
certificate expired ca P-256 DNS:localhost -1
certificate foreign other P-256 DNS:localhost
certificate client ca P-256 ''
certificate client-rsa ca rsa ''
certificate client-ed ca ed25519 ''
certificate stranger other ed25519 ''
mkdir certs
cp ca.pem certs/ca-cert.pem
cp client.pem certs/client-cert.pem
cp client.key certs/client-key.pem

random_file disk 8
cp disk before
start_fake

# ---------------------------------------------------------------------- good

for cert in good good-rsa; do
  start_front good $port $plain $cert
  start_nbdkit "tls-$cert" bulkhead "$url" $v3 xprtsec=tls tls-ca="$dir/ca.pem"
  nbdcopy "$uri" copy
  cmp copy before
  ok "copied over TLS, $cert"
  stop_nbdkit
  stop_front
done

start_front ip $port $plain good
start_nbdkit ip bulkhead "${url/localhost/127.0.0.1}" $v3 xprtsec=tls \
  tls-certificates="$dir/certs"
nbdcopy "$uri" copy
cmp copy before
ok "an address as the name; certificates by their folder"
stop_nbdkit
stop_front

start_front hostname $port $plain name
start_nbdkit hostname bulkhead "$url" $v3 xprtsec=tls tls-ca="$dir/ca.pem" \
  tls-hostname=nas.example.org
nbdcopy "$uri" copy
cmp copy before
ok "a name of one's own: tls-hostname="
stop_nbdkit
stop_front

# -------------------------------------------------------------- under kills

# hard NAME ARGUMENT…: random I/O while workers are killed, over keys that
# change all the time.
hard () {
  local name=$1
  shift
  start_nbdkit "$name" bulkhead "$url" $v3 connections=2 "$@"
  with_kills 0.5 "$model" --seconds "$(mib 5)" --connections 2 \
    --max-bytes 262144 --out expected "$uri"
  [ "$kills" -ge 2 ] || die "only $kills workers were killed"
  "$steps" "$uri" -- 0:flush >>steps.log || die "the flush failed"
  stop_nbdkit
  stop_fake
  cmp expected disk
  no_refused_call
  start_fake
  ok "$name: random I/O equals the model with $kills workers killed"
}

start_front rekey $port $plain good --fault rekey --after 100000
hard tls xprtsec=tls tls-ca="$dir/ca.pem"
stop_front
grep -q 'ready, epoch .*, xprtsec=tls' runtime/bulkheadd.log \
  || die "the log does not say that TLS is on"
start_front mutual $port $plain good --client-ca ca.pem
hard mtls xprtsec=mtls tls-certificates="$dir/certs"
grep -q 'ready, epoch .*, xprtsec=mtls' runtime/bulkheadd.log \
  || die "the log does not say that both sides show certificates"
cp disk before
for kind in rsa ed; do
  start_nbdkit "mtls-$kind" bulkhead "$url" $v3 xprtsec=mtls \
    tls-ca="$dir/ca.pem" tls-cert="$dir/client-$kind.pem" \
    tls-key="$dir/client-$kind.key"
  nbdcopy "$uri" copy
  cmp copy before
  ok "our certificate with a key of the kind $kind"
  stop_nbdkit
done

# ----------------------------------------------------- servers that break off

# breaks FAULT AFTER: each connection, three times, then it is well.
breaks () {
  stop_front
  start_front "$1" $port $plain good --fault "$1" --after "$2" --times 6
  start_nbdkit "$1" bulkhead "$url" $v3 xprtsec=tls tls-ca="$dir/ca.pem" \
    cache=off
  nbdcopy "$uri" copy
  cmp copy before
  stop_nbdkit
  grep -Eq "$3" runtime/bulkheadd.log || die "$1: not said: $(tail -n 3 \
    runtime/bulkheadd.log)"
  ok "$1 in the middle: $(grep -Eo "$3.*" runtime/bulkheadd.log \
    | tail -n 1 | cut -c1-100)"
}

breaks truncate 1000000 'cut off while'
breaks notify 1000000 'the server ended the TLS session'
breaks corrupt 1000000 'TLS failed while receiving'

# ------------------------------------------------------------------- refused

# refused WHAT REGEX ARGUMENT…: in one line.
refused () {
  local what=$1 regex=$2 status=0
  shift 2
  timeout 30 "$run" nbdkit -f -U "$dir/refused.sock" bulkhead "$url" $v3 "$@" \
    >refused.log 2>&1 </dev/null || status=$?
  [ "$status" != 0 ] || die "$what: nbdkit starts"
  [ "$status" != 124 ] || die "$what: no answer"
  [ "$(wc -l <refused.log)" = 1 ] || die "$what: $(cat refused.log)"
  grep -Eiq -- "$regex" refused.log || die "$what: $(cat refused.log)"
  ok "$what: $(sed 's/^nbdkit: error: //' refused.log | cut -c1-150)"
}

# bad WHAT REGEX CERTIFICATE [OPTION…]: of the front; by a client that is well.
bad () {
  local what=$1 regex=$2
  shift 2
  stop_front
  start_front bad $port $plain "$@"
  refused "$what" "$regex" xprtsec=tls tls-ca="$dir/ca.pem"
}

bad 'another name' 'not for localhost, but for filer.example.org, nas' name
bad 'a name as common name only' 'not for localhost' common
bad 'an expired one' 'has expired' expired
bad 'an unknown root' 'not trusted: unable to get local issuer' foreign
bad 'no AUTH_TLS' 'does not offer TLS: it does not know AUTH_TLS' good \
  --fault denied
bad 'no STARTTLS' 'does not offer TLS: its verifier is not STARTTLS' good \
  --fault no-token
bad 'an end instead of an answer' 'closed.*when it was asked for TLS' good \
  --fault silent-end
bad 'clear text instead of TLS' 'not TLS 1.3' good --fault clear
bad 'clear text before TLS' 'not TLS 1.3' good --fault inject
bad 'garbage' 'not TLS 1.3|TLS failed' good --fault garbage
bad 'an end in the handshake' 'cut off while agreeing on keys' good \
  --fault cut
bad 'TLS 1.2' 'no TLS 1.3' good --fault tls12
bad 'another protocol' 'does not speak RPC' good --fault alpn
bad 'ALPN of another one' 'does not confirm|bad extension' good \
  --fault http-alpn
refused 'the same, where ALPN need not be confirmed' \
  'does not confirm|bad extension' xprtsec=tls tls-ca="$dir/ca.pem" tls-alpn=no
bad 'no ALPN' 'does not confirm that it speaks RPC.*tls-alpn=no' good \
  --fault no-alpn
start_nbdkit alpn bulkhead "$url" $v3 xprtsec=tls tls-ca="$dir/ca.pem" \
  tls-alpn=no
nbdcopy "$uri" copy
cmp copy disk
ok "no ALPN: with tls-alpn=no"
stop_nbdkit
bad 'a wildcard' 'not for localhost, but for \*.*5.2.1 allows no wildcard' wild
bad 'a certificate is wanted' 'wants a certificate of ours' good \
  --client-ca ca.pem
refused 'the certificate of a stranger' 'refuses our certificate' \
  xprtsec=mtls tls-ca="$dir/ca.pem" tls-cert="$dir/stranger.pem" \
  tls-key="$dir/stranger.key"
refused 'the key of another one' 'not the key of the first certificate' \
  xprtsec=mtls tls-ca="$dir/ca.pem" tls-cert="$dir/client.pem" \
  tls-key="$dir/client-ed.key"
openssl pkey -in client.key -aes128 -passout pass:words -out locked.key
chmod 0600 locked.key
refused 'an encrypted key' 'is encrypted.*openssl pkey' xprtsec=mtls \
  tls-ca="$dir/ca.pem" tls-cert="$dir/client.pem" tls-key="$dir/locked.key"
refused 'no such folder' 'ca-cert.pem: No such file' xprtsec=tls \
  tls-certificates="$dir/nowhere"
refused 'mtls without a certificate' 'needs tls-cert=' xprtsec=mtls \
  tls-ca="$dir/ca.pem"
refused 'a certificate without mtls' 'takes no tls-cert=' xprtsec=tls \
  tls-ca="$dir/ca.pem" tls-cert="$dir/client.pem"
refused 'ALPN without TLS' 'tls-alpn= needs xprtsec=' tls-alpn=no
refused 'roots without TLS' 'takes no tls-ca=' tls-ca="$dir/ca.pem"
refused 'a word that is none' 'xprtsec=yes' xprtsec=yes
head -c 4096 /dev/zero >zeroes
refused 'roots that are none' 'no certificate' xprtsec=tls tls-ca="$dir/zeroes"
no_refused_call

# A server that is asked for TLS, and has none at all.
stop_front
port=$plain
url=nfs://localhost:$port/srv/export/dir/disk.img
v3="version=3 mountport=$port"
refused 'a server without TLS' 'does not offer TLS' xprtsec=tls \
  tls-ca="$dir/ca.pem"
stop_fake
