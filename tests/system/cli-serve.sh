#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead serve: in the foreground, as a daemon, over TCP with TLS; by a URL and
# by names of the configuration, with secrets from where they may be; and what it
# says of what cannot be.
time_limit=180
. "$(dirname "$0")/lib.sh"

start_sshd
random_file disk 4
url=$(sftp_url "$dir/disk")
creds=(identity="$dir/id" known-hosts="$known_hosts")
sock=$dir/nbd.sock
uri="nbd+unix:///?socket=$sock"

# serve ARGUMENT…: in the foreground, until it says where; sets $pid
serve () {
  rm -f serve.out
  "$run" bulkhead serve "$@" >serve.out 2>serve.log </dev/null &
  pid=$!
  wait_for 30 said_or_dead
  [ -s serve.out ] || die "serve $*: $(cat serve.log)"
}

said_or_dead () {
  [ -s serve.out ] || gone "$pid"
}

# ends SIGNAL: serve does, with its nbdkit, and leaves no socket
ends () {
  kill "-$1" "$pid"
  wait_for 10 gone "$pid" || die "serve does not end on SIG$1"
  wait_for 10 no_nbdkit || die "SIG$1 leaves nbdkit"
  wait "$pid" || [ "$1" = KILL ] || die "status $? after SIG$1"
  # nbdkit never removes it.
  [ -z "$(ls | grep "^nbd.sock")" ] || die "SIG$1: left: $(ls)"
}

no_nbdkit () {
  [ -z "$(pids_of nbdkit)" ]
}

has_own_socket () {
  [ -n "$(find runtime -name 'serve-*.sock')" ]
}

copies () {
  nbdcopy "$1" copy
  cmp disk copy || die "$2: other data"
  rm copy
}

# refused_now STATUS REGEX ARGUMENT…: one or two lines, that exit status
refused_now () {
  local want=$1 regex=$2 status=0
  shift 2
  timeout 30 "$run" bulkhead serve "$@" >said.out 2>said.err </dev/null \
    || status=$?
  [ "$status" = "$want" ] || die "serve $*: status $status: $(cat said.err)"
  [ ! -s said.out ] || die "serve $*: says $(cat said.out)"
  case $(wc -l <said.err) in 1|2) ;; *) die "serve $*: $(cat said.err)" ;; esac
  grep -Eq -- "$regex" said.err || die "serve $*: $(cat said.err)"
  ok "$(head -n 1 said.err)"
}

# refused …: and no process
refused () {
  refused_now "$@"
  no_nbdkit || die "serve $*: an nbdkit is left"
}

# ------------------------------------------------------------------ serving

serve --socket "$sock" "$url" "${creds[@]}"
[ "$(cat serve.out)" = "$uri" ] || die "says $(cat serve.out)"
copies "$uri" "a URL"
ends TERM
serve --json -U nbd.sock "$url" "${creds[@]}"
[ "$(jq -r .uri serve.out)" = "$uri" ] || die "--json: $(cat serve.out)"
documented serve serve.out
kill -0 "$(jq .pid serve.out)" || die "--json tells another pid"
copies "$uri" "a relative socket"
ends INT
"$run" bulkhead serve -q "$url" "${creds[@]}" &
wait_for 20 has_own_socket || die "no socket in the runtime folder"
kill -KILL $(pids_of bulkhead)
wait_for 10 no_nbdkit || die "an nbdkit outlives its bulkhead"
rm -f runtime/serve-*.sock # after that signal nobody could
ok "in the foreground, as long as it runs"

"$run" bulkhead serve --daemon -P "$dir/d.pid" -U "$sock" "$url" \
  "${creds[@]}" >serve.out 2>serve.log
[ "$(cat serve.out)" = "$uri" ] || die "--daemon says $(cat serve.out)"
[ -z "$(pids_of bulkhead)" ] || die "--daemon: a bulkhead is left"
copies "$uri" "--daemon"
kill "$(cat d.pid)"
wait_for 10 no_nbdkit || die "the daemon does not end"
"$run" bulkhead serve -q --daemon -P "$dir/d.pid" -U "$sock" "$url" \
  "${creds[@]}" 2>serve.log || die "the same once more: $(cat serve.log)"
kill "$(cat d.pid)"
wait_for 10 no_nbdkit || die "the daemon does not end"
[ "$(ls | grep "^nbd.sock")" = "$(printf 'nbd.sock\nnbd.sock.bulkhead-lock')" ] \
  || die "a daemon leaves $(ls)"
ok "as a daemon, and the same command once more"

# What was left there is removed by one of two that come at once: the first one is
# stopped when it has seen that nobody listens, and the second one comes.
if command -v strace >/dev/null; then
  : >trace
  strace -o trace -e trace=connect -e inject=connect:signal=SIGSTOP:when=1 \
    "$run" bulkhead serve -q -U "$sock" "$url" "${creds[@]}" 2>serve.log &
  tracer=$!
  wait_for 20 grep -q 'stopped by SIGSTOP' trace || die "$(cat trace serve.log)"
  refused_now 6 "somebody serves at" -U "$sock" "$url" "${creds[@]}"
  kill -CONT $(pgrep --exact bulkhead)
  wait_for 20 nbdinfo --size "$uri" >/dev/null 2>&1 || die "$(cat serve.log)"
  copies "$uri" "one of two at once"
  refused_now 6 "somebody serves at" -U "$sock" "$url" "${creds[@]}"
  pid=$(pgrep --exact bulkhead)
  kill -KILL "$pid" $(pids_of nbdkit)
  wait_for 10 no_nbdkit
  wait "$tracer" || :
  [ -S "$sock" ] || die "no socket is left behind"
  serve -U "$sock" "$url" "${creds[@]}"
  copies "$uri" "over what was left"
  ends TERM
  ok "two at once, and what is left by who was killed"
fi
rm -f "$sock"*

mkdir tls
(umask 077; printf 'alice:%s\n' "$(openssl rand -hex 32)" >tls/keys.psk)
serve -p 10810 --tls require --tls-psk "$dir/tls/keys.psk" "$url" "${creds[@]}"
[ "$(cat serve.out)" = nbds://127.0.0.1:10810 ] || die "says $(cat serve.out)"
copies "nbds://alice@127.0.0.1:10810/?tls-psk-file=$dir/tls/keys.psk" TLS
! nbdinfo --size nbd://127.0.0.1:10810 2>/dev/null || die "also without TLS"
ends TERM
. "$lib_dir/tls.sh"
authority ca
cp ca.pem tls/ca-cert.pem
certificate server ca P-256 'DNS:localhost,IP:127.0.0.1'
certificate client ca P-256 ''
cp server.pem tls/server-cert.pem
cp server.key tls/server-key.pem
mkdir mine
cp ca.pem mine/ca-cert.pem
serve --port=10811 --address=127.0.0.1 --tls=require --tls-verify-peer \
  --tls-certificates="$dir/tls" --read-only "$url" "${creds[@]}"
tcp="nbds://127.0.0.1:10811/?tls-certificates=$dir/mine"
! nbdinfo --size "$tcp" 2>/dev/null || die "a client without a certificate"
cp client.pem mine/client-cert.pem
cp client.key mine/client-key.pem
nbdinfo --json "$tcp" >info
[ "$(jq -r '[.protocol, .TLS, .exports[0].is_read_only] | join(" ")' info)" \
  = 'newstyle-fixed true true' ] || die "nbdinfo: $(cat info)"
copies "$tcp" "TLS with certificates"
ends TERM
serve -i ::1 -p 10812 "$url" "${creds[@]}"
[ "$(cat serve.out)" = 'nbd://[::1]:10812' ] || die "says $(cat serve.out)"
copies 'nbd://[::1]:10812' "IPv6"
ends TERM
ok "over TCP, with TLS: keys, certificates of both sides; over IPv6"

# ------------------------------------------------------------ configuration

mkdir -p home/.config/bulkhead
conf=home/.config/bulkhead/bulkhead.conf
cat >"$conf" <<END
volumes:
  disk:
    url: $url
    identity: ~/key
    known-hosts: $known_hosts
  readonly:
    url: $url
    readonly: true
    identity: ~/key
    known-hosts: $known_hosts
  login:
    url: $url
    password: +~/password
    agent: no
    known-hosts: $known_hosts
  service:
    url: $url
    password: credential:login
    known-hosts: $known_hosts
END
cp id home/key
serve -U "$sock" disk
copies "$uri" "a name"
ends TERM
serve -U "$sock" readonly
[ "$(nbdinfo --json "$uri" | jq '.exports[0].is_read_only')" = true ] \
  || die "readonly: of the configuration does not count"
ends TERM
serve -U "$sock" readonly readonly=no
[ "$(nbdinfo --json "$uri" | jq '.exports[0].is_read_only')" = false ] \
  || die "the command line does not count more"
ends TERM
ok "volumes by their names"
[ "$(id -u)" = 0 ] || { ok "the rest is for root: logins by password"; exit 0; }

stop_sshd
start_sshd "PasswordAuthentication yes" "PubkeyAuthentication no"
printf '%s\n' "$password" >home/password
chmod 600 home/password
serve -U "$sock" login
copies "$uri" "a password in a file"
ends TERM
mkdir -m 700 credentials
printf '%s\n' "$password" >credentials/login
chmod 400 credentials/login
export CREDENTIALS_DIRECTORY=$dir/credentials
serve -U "$sock" service
copies "$uri" "a credential of systemd"
ends TERM
unset CREDENTIALS_DIRECTORY
ok "secrets from a private file, and from systemd's credentials"
echo wrong >home/password
refused 4 'refused|denied' login
stop_sshd
start_sshd

# ----------------------------------------------------------------- bad input

BULKHEAD_RUN="$dir/no/nbdkit" "$BULKHEAD_BUILDDIR/bulkhead" serve "$url" \
  2>said.err && die "serves without nbdkit"
[ $? = 7 ] && grep -q 'apt-get install nbdkit' said.err \
  || die "no nbdkit: $(cat said.err)"
ok "$(head -n 1 said.err)"
plugins=$(nbdkit --dump-config | sed -n 's/^plugindir=//p')
if [ ! -e "$plugins/nbdkit-bulkhead-plugin.so" ]; then
  status=0
  env -u BULKHEAD_RUN "$BULKHEAD_BUILDDIR/bulkhead" serve "$url" "${creds[@]}" \
    2>said.err || status=$?
  [ $status = 7 ] && [ "$(wc -l <said.err)" = 2 ] && grep -q doctor said.err \
    || die "no plugin: $status: $(cat said.err)"
  ok "$(head -n 1 said.err)"
fi
