#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Which system calls a worker of each protocol really makes under load, from
# outside: none that the table does not have, never more than 24, and what only
# another transport needs is not among them.
time_limit=200
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "only root can trace a worker"
command -v strace >/dev/null || skip "no strace"
[ -z "$small" ] || skip "a sanitizer build has more rows"

# allowed TRANSPORT: the calls of the table for it
allowed () {
  "$BULKHEAD_BUILDDIR/tests/fake/policy-print" | sed -n '/^=head2 Worker/,/^=back/p' \
    | sed -n 's/^=item B<\([a-z0-9_]*\)>\(.*\)/\1 \2/p' \
    | awk -v t="$1" '$2 !~ /^\(/ || $0 ~ "\\(([A-Z]*, )?" t "[,)]" { print $1 }' \
    | sort -u
}

# after_sealing: of every worker, what it called once its filter was in force
after_sealing () {
  local f
  for f in trace.*; do
    grep -q '^execve(.*bulkhead-worker' "$f" || continue
    sed '1,/^seccomp(SECCOMP_SET_MODE_FILTER, .*= 0/d' "$f" \
      | sed -n 's/^\([a-z0-9_]*\)(.*/\1/p'
  done | sort | uniq -c | sort -rn >calls.txt
  awk '{ print $2 }' calls.txt | sort -u
}

# under_load NAME TRANSPORT nbdkit's arguments…
under_load () {
  local name=$1 transport=$2 daemon n
  shift 2
  rm -f trace.*
  strace -f -ff -qq -e signal=none -o trace "$run" bulkheadd --foreground \
    --private --idle-timeout=1 >"$name-daemon.log" 2>&1 </dev/null &
  daemon=$!
  wait_for 20 grep -q serves "$name-daemon.log" || die "no daemon"
  start_nbdkit "$name" "$@"
  nbdcopy "$uri" copy
  cmp copy disk
  "$model" --seconds 2 --connections 2 --max-bytes 524288 --out expected \
    "$uri" >model.log 2>&1 || die "$(cat model.log)"
  stop_nbdkit
  wait_for 30 gone "$daemon" || die "the daemon does not end"
  after_sealing >made
  [ -s made ] || die "nothing was traced"
  allowed "$transport" >table
  [ -z "$(comm -23 made table)" ] || die "not in the table: $(comm -23 made table)"
  n=$(wc -l <made)
  [ "$n" -le 24 ] && [ "$(wc -l <table)" -le 24 ] || die "too many: $n"
  ok "$name over $transport: $n of $(wc -l <table) calls: $(paste -sd' ' made)"
}

random_file disk 16
cp disk original
start_sshd
under_load sftp SSH bulkhead "$(sftp_url "$dir/disk")" identity="$dir/id" \
  known-hosts="$known_hosts"
cp original disk
if command -v tgtd >/dev/null && command -v tgtadm >/dev/null; then
  . "$lib_dir/tgt.sh"
  make_targets () {
    tgt_target 1 "$iqn"
    tgt_lun 1 1 disk
    tgt_open 1
  }
  start_tgt make_targets
  under_load iscsi TCP bulkhead "$(iscsi_url 1)"
  stop_tgt
  cp original disk
fi
. "$lib_dir/ganesha.sh"
if command -v ganesha.nfsd >/dev/null && command -v rpcbind >/dev/null; then
  need_ganesha
  mkdir -p srv/export
  ln disk srv/export/disk
  ganesha_export 1 "$dir/srv/export" 'Access_Type = RW;'
  start_ganesha
  under_load nfs TCP bulkhead nfs://127.0.0.1/pseudo1/disk
fi

# The same, and what OpenSSL needs for the records: keys that change under way
# (RFC 8446 section 4.6.3), and for mtls the daemon's signature.
. "$lib_dir/tls.sh"
authority ca
certificate good ca P-256 DNS:localhost
certificate client ca P-256 ''
cp original disk
"$BULKHEAD_BUILDDIR/tests/fake/nfs-server" 3050 "$dir/disk" >fake.log 2>&1 &
fake=$!
wait_for 10 grep -q ready fake.log || die "the server does not start"
start_front tls 3049 3050 good --client-ca ca.pem --fault rekey --after 100000
under_load nfs-tls TLS bulkhead nfs://localhost:3049/srv/export/dir/disk.img \
  version=3 mountport=3049 xprtsec=mtls tls-ca="$dir/ca.pem" \
  tls-cert="$dir/client.pem" tls-key="$dir/client.key"
stop_front
kill -TERM "$fake"
wait "$fake" || die "the server failed"
