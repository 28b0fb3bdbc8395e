#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# What a user gets wrong is told in one line, at once, with a failing status,
# and nothing is left running.
. "$(dirname "$0")/lib.sh"

# refused WHAT REGEX ARGUMENT…
refused () {
  local what=$1 regex=$2 status=0 lines
  shift 2
  rm -f refused.pid
  timeout 20 "$run" nbdkit -t 32 -U "$dir/refused.sock" -P "$dir/refused.pid" \
    bulkhead "$@" >refused.log 2>&1 </dev/null || status=$?
  [ "$status" != 0 ] || die "$what: nbdkit starts"
  [ "$status" != 124 ] || die "$what: no answer"
  [ "$status" -lt 128 ] || die "$what: nbdkit ended by a signal ($status)"
  [ ! -e refused.pid ] || die "$what: nbdkit had detached"
  [ -z "$(pids_of nbdkit)" ] || die "$what: an nbdkit is left"
  lines=$(wc -l <refused.log)
  [ "$lines" = 1 ] || die "$what: $lines lines: $(cat refused.log)"
  grep -Eiq -- "$regex" refused.log || die "$what: $(cat refused.log)"
  ok "$what: $(sed 's/^nbdkit: error: //' refused.log)"
}

# with the credentials that work
refused_url () {
  refused "$@" identity="$dir/id" known-hosts="$known_hosts"
}

start_sshd
random_file disk 1
mkfifo fifo
url=$(sftp_url "$dir/disk")

refused 'no URL' 'url'
refused_url 'an unknown scheme' 'sftp' ftpx://localhost/disk
refused_url 'no URL at all' 'URL|sftp://' /var/tmp/disk
refused_url 'no host' 'host' sftp:///disk
refused_url 'no path' 'path|file' "sftp://$user@127.0.0.1:$sshd_port"
refused_url 'a port that is none' 'port' "sftp://127.0.0.1:123456/disk"
refused_url 'password in the URL' 'password' \
  "sftp://$user:secret@127.0.0.1:$sshd_port/disk"
! grep -q secret refused.log || die "the password is repeated"
refused_url 'password on the command line' 'password.*(-|\+)' "$url" \
  password=secret
! grep -q secret refused.log || die "the password is repeated"
refused 'an unknown key, nearly right' 'identity' "$url" identiy="$dir/id"
refused 'an unknown key' 'frobnicate' "$url" frobnicate=1
refused 'no identity file' 'nowhere' "$url" identity="$dir/nowhere" \
  known-hosts="$known_hosts"
refused_url 'a missing file' 'there is no file' "$(sftp_url "$dir/missing")"
refused_url 'a fifo' 'not a regular file' "$(sftp_url "$dir/fifo")"

ssh-keygen -q -t ed25519 -N '' -C stranger -f stranger
refused 'a refused login' 'refused|denied|login' "$url" \
  identity="$dir/stranger" known-hosts="$known_hosts"
ssh-keygen -q -t ed25519 -N 'some words' -C locked -f locked
refused 'a private key with a passphrase' 'passphrase|encrypted' "$url" \
  identity="$dir/locked" known-hosts="$known_hosts"

: >empty
refused 'an unknown host key' 'host key .* is not in' "$url" \
  identity="$dir/id" known-hosts="$dir/empty"
printf '[127.0.0.1]:%s %s\n' "$sshd_port" "$(cut -d' ' -f1,2 stranger.pub)" \
  >changed
refused 'a changed host key' 'changed|differ|another' "$url" \
  identity="$dir/id" known-hosts="$dir/changed"

refused_url 'a closed port' 'refused|connect' \
  "sftp://$user@127.0.0.1:1$dir/disk"
refused_url 'a host that does not resolve' 'resolve' \
  "sftp://$user@no-such-host.invalid$dir/disk"

# stranger PORT WORDS: a server of another kind. It says that, and waits.
stranger () {
  perl -MSocket -e '
    $SIG{CHLD} = "IGNORE";
    socket my $s, AF_INET, SOCK_STREAM, 0 or die;
    setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1;
    bind $s, pack_sockaddr_in ($ARGV[0], INADDR_LOOPBACK) or die "bind: $!";
    listen $s, 9; $| = 1; print "ready\n";
    while (accept my $c, $s) {
      next if fork;
      syswrite $c, $ARGV[1];
      1 while sysread $c, my $x, 4096;
      exit }' "$@" >"stranger.$1" &
  wait_for 5 grep -q ready "stranger.$1"
}
stranger 3025 $'220 mail.example.org ESMTP \e[2J\r\n'
refused_url 'SFTP to a mail server' \
  'not speak SSH: it says "220 mail.example.org ESMTP "; .*right port' \
  "sftp://$user@127.0.0.1:3025/disk"
# Of those that are lines no protocol but SSH has to expect more.
for url_of in "iSCSI iscsi://127.0.0.1:3025/iqn.2001-04.org.example:x/0" \
  "NFS nfs://127.0.0.1:3025/disk"; do
  begun=$SECONDS
  refused "${url_of%% *} to a mail server" \
    "not speak ${url_of%% *}: it says \"220 mail.example.org ESMTP \"; .*port" \
    "${url_of#* }"
  [ $((SECONDS - begun)) -le 10 ] || die "that took $((SECONDS - begun)) s"
done
refused 'iSCSI to sshd' 'not speak iSCSI: it says "SSH-2.0-.* .SSH.' \
  "iscsi://127.0.0.1:$sshd_port/iqn.2001-04.org.example:x/0"
refused 'NFS to sshd' 'not speak NFS: it says "SSH-2.0-.* .SSH.' \
  "nfs://127.0.0.1:$sshd_port/disk"

if [ "$(id -u)" != 0 ]; then
  chmod 0 disk
  refused_url 'no permission' 'permission|denied' "$url"
fi
