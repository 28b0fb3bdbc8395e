#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Bad input by each subcommand that can be given it, against real servers: one or
# two lines on stderr that say what is wrong and what to do, the exit status of
# bulkhead(1), and nothing left: no process, no socket, no temporary file.
time_limit=300
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"
. "$lib_dir/ganesha.sh"
export BULKHEAD_RUN=$run
root=
[ "$(id -u)" != 0 ] || root=1

rows=0

# says STATUS REGEX COMMAND ARGUMENT…
says () {
  local want=$1 regex=$2 status=0
  shift 2
  timeout 60 "${as[@]}" "$run" bulkhead "$@" >said.out 2>said.err </dev/null \
    || status=$?
  [ "$status" = "$want" ] || die "$*: status $status: $(cat said.err)"
  [ ! -s said.out ] || die "$*: says $(cat said.out)"
  case $(wc -l <said.err) in 1|2) ;; *) die "$*: $(cat said.err)" ;; esac
  ! grep -vq '^bulkhead: ' said.err || die "$*: not our words: $(cat said.err)"
  grep -Eiq -- "$regex" said.err || die "$*: $(cat said.err)"
  rows=$((rows + 1))
}
as=()

# hint REGEX: the second line of what was said last
hint () {
  sed -n 2p said.err | grep -Eq -- "$1" || die "what to do? $(cat said.err)"
}

# every STATUS REGEX URL [KEY=VALUE]…: by each that opens a volume (by two of
# them in sanitizer builds: by nbdkit, and without it)
every () {
  local status=$1 regex=$2 command
  shift 2
  for command in serve $([ -n "$small" ] || echo probe bench); do
    says "$status" "$regex" "$command" "$@"
  done
  says "$status" "$regex" copy "$@" ./out.img
  [ ! -e out.img ] || die "copy $*: a file was made"
}

# nothing_left: no process but the daemon, no file of serve, bench and copy
nothing_left () {
  wait_for 10 no_process || die "left: $(pids_of nbdkit) $(pids_of bulkhead)"
  [ -z "$(find . -name 'bulkhead-bench-*' -o -name 'serve-*.sock' \
    -o -name 's.sock' -o -name 'copy-*')" ] || die "files are left: $(find .)"
  ok "$1: told $rows times, and nothing is left"
  rows=0
}
no_process () {
  [ -z "$(pids_of nbdkit)$(pids_of bulkhead)" ]
}

start_sshd "PasswordAuthentication yes"
truncate -s 1M disk.img
url=$(sftp_url "$dir/disk.img")
key=(identity="$dir/id" known-hosts="$known_hosts")

# ----------------------------------------------------------- before any server

every 2 'not a URL of a protocol' ftp://localhost/disk
hint '^bulkhead: begin it with one of'
says 2 'not a URL of a protocol' probe ssh://me@localhost/disk
hint 'SSH servers are sftp://'
says 2 'no URL, and no volume' probe me@localhost:disk.img
hint 'sftp://me@localhost/~/disk.img'
says 2 'no URL, and no volume' probe localhost:/srv/disk.img
hint 'sftp://localhost/srv/disk.img, by NFS nfs://localhost/srv/disk.img'
says 2 'no URL, and no volume' probe sftp:/localhost/disk.img
hint 'sftp://localhost/disk.img'
every 2 'names no host' sftp:///disk
every 2 'not a number from 1 to 65535' sftp://localhost:99999/disk
every 2 'a password in a URL' sftp://me:secret@localhost/disk
every 2 'no URL, and no volume' nowhere
every 2 'did you mean readonly' "$url" readonyl=yes
every 2 'timeout=perhaps' "$url" timeout=perhaps
says 2 'readonly=yes forbids' serve -r nfs://localhost/disk resize=1G
says 5 'refused' bench nfs://127.0.0.1:9/disk resize=1G # not ours to do
every 2 'password= on a command line' "$url" password=secret
! grep -q secret said.err || die "a secret is repeated"
every 3 'nowhere' "$url" identity="$dir/nowhere" known-hosts="$known_hosts"
echo wrong >secret
chmod 640 secret
every 4 'secret is open to others .mode 640' "$url" password=+"$dir/secret"
hint "chmod 600 $dir/secret"
chmod 600 secret
says 2 'neither an option nor' serve "$url" more
says 2 'is not KEY=VALUE' probe "$url" more
says 2 'destination is missing' copy "$url" "${key[@]}"
says 2 'URL.NAME is missing' serve
hint 'bulkhead serve URL'
says 3 'No such file' copy ./none.img ./out.img
says 2 'no URL, and no volume' copy none ./out.img
hint '\./none'
nothing_left "wrong words"

# -------------------------------------------------------------------- by SFTP

every 5 'cannot resolve' "sftp://$user@no-such-host.invalid/x" "${key[@]}"
every 5 'refused' "sftp://$user@127.0.0.1:9/x" "${key[@]}"
hint 'is the server running'
every 3 'there is no file' "$(sftp_url "$dir/none")" "${key[@]}"
ssh-keygen -q -t ed25519 -N '' -C other -f other
printf '[127.0.0.1]:%s %s\n' "$sshd_port" "$(cut -d' ' -f1,2 other.pub)" >changed
every 4 'changed|another' "$url" identity="$dir/id" known-hosts="$dir/changed"
: >empty
every 4 'is not in' "$url" identity="$dir/id" known-hosts="$dir/empty"
every 4 'refused|denied|login' "$url" identity="$dir/other" \
  known-hosts="$known_hosts"
[ -z "$root" ] || every 4 'refused|denied|login' "$url" agent=no \
  password=+"$dir/secret" known-hosts="$known_hosts"
says 3 'there is no directory' discover "$(sftp_url "$dir/none")" "${key[@]}"
says 5 'cannot resolve' discover sftp://no-such-host.invalid/ "${key[@]}"
says 2 'is a list of volumes' probe "$(sftp_url "$dir")" "${key[@]}"
hint 'bulkhead discover'
says 4 'can only be read' copy ./disk.img "$url" "${key[@]}" readonly=yes
says 4 'can only be read' bench --write "$url" "${key[@]}" readonly=yes
hint 'leave out --write'
if [ -n "$root" ]; then
  # A file of root's, and a user who is not.
  echo "reader:x:12345:12345::/:/bin/sh" >>passwd
  echo "reader:x:20000:0:99999:7:::" >>shadow
  chmod 711 "$dir"
  install -m 600 /dev/null private
  other=sftp://reader@127.0.0.1:$sshd_port$dir
  says 4 'can only be read: .*Permission denied' copy ./disk.img \
    "$other/disk.img" "${key[@]}"
  says 4 'can only be read' bench --write "$other/disk.img" "${key[@]}"
  every 4 'denies access to' "$other/private" "${key[@]}"
  says 4 'Permission denied' discover "$other" "${key[@]}"
fi
nothing_left "SFTP"

# ------------------------------------------------------- by iSCSI, and by NFS

if command -v tgtd >/dev/null; then
  make_targets () {
    truncate -s 1M lun1.img lun2.img
    tgt_target 1 "$iqn"
    tgt_lun 1 1 lun1.img
    tgt_lun 1 2 lun2.img
    tgt_lun_params 1 2 readonly=1
    tgt_open 1
    tgt_target 2 "$iqn.chap"
    tgt_lun 2 1 lun1.img
    tgt_open 2
    tgt --mode account --op new --user alice --password 'twelve-letters'
    tgt --mode account --op bind --tid 2 --user alice
  }
  start_tgt make_targets
  every 3 'no such LUN' "$(iscsi_url 9)"
  hint 'bulkhead discover'
  every 3 'no such target' "$(iscsi_url 1 3261 iqn.2026-01.test:none)"
  every 4 'user name or the password' "$(iscsi_url 1 3261 "$iqn.chap")" \
    user=alice password=+"$dir/secret"
  every 5 'refused' "$(iscsi_url 1 9)"
  says 3 'no such target' discover iscsi://127.0.0.1:3261/iqn.2026-01.test:none
  says 4 'can only be read: .*write-protected' copy ./disk.img "$(iscsi_url 2)"
  says 4 'can only be read' bench --write "$(iscsi_url 2)"
  nothing_left "iSCSI"
  "$run" bulkhead serve -q -U "$dir/s.sock" "$(iscsi_url 2)" &
  serving=$!
  wait_for 20 nbdinfo --size "nbd+unix:///?socket=$dir/s.sock" >/dev/null 2>&1 \
    || die "a read-only LUN is not served"
  ! nbdcopy disk.img "nbd+unix:///?socket=$dir/s.sock" 2>said.err \
    || die "a read-only LUN was written"
  kill "$serving"
  wait "$serving" || die "status $?"
  stop_tgt
  nothing_left "a read-only LUN is served, and nothing is written to it"
fi

if [ -n "$root" ] && command -v ganesha.nfsd rpcbind >/dev/null; then
  need_ganesha
  ganesha_export 1 "$dir/ro" 'Access_Type = RO;'
  truncate -s 1M ro/disk.img
  start_ganesha
  nfs=nfs://127.0.0.1/pseudo1
  every 3 'NFSv4 finds no such file' $nfs/none
  every 3 'no such file' $nfs/none version=4.2
  every 3 'no such file' "nfs://127.0.0.1$dir/ro/none" version=3
  says 3 'exports no directory above it' discover nfs://127.0.0.1/none
  for version in 3 4.2; do
    file=$nfs/disk.img
    [ $version != 3 ] || file=nfs://127.0.0.1$dir/ro/disk.img
    says 4 'can only be read: .*ACCESS' copy ./disk.img $file version=$version
    says 4 'can only be read' bench --write $file version=$version
  done
  every 7 'does not offer TLS' $nfs/disk.img xprtsec=tls
  says 5 'refused' probe nfs://127.0.0.1:9/x
  kill_ganesha
  nothing_left "NFS"
fi

# ------------------------------------------------------------------- serve's own

says 6 'there already, and is no socket' serve "$url" "${key[@]}" -U disk.img
start_bulkhead "$dir/disk.img"
says 6 'somebody serves at' serve "$url" "${key[@]}" -U "$sock"
says 6 'serves this volume' bench --write "$url" "${key[@]}"
kill -KILL "$nbdkit_pid"
wait "$nbdkit_pid" || :
[ -S "$sock" ] || die "no socket is left behind"
"$run" bulkhead serve -q --daemon -P "$dir/d.pid" -U "$sock" "$url" "${key[@]}" \
  || die "a socket that was left behind is in the way"
kill "$(cat d.pid)"
says 3 'nothing can be made in' serve "$url" "${key[@]}" -U /nowhere/s.sock
says 3 'nothing can be made in' serve "$url" "${key[@]}" -P /nowhere/pid
says 6 "port $sshd_port of 127.0.0.1 is in use" serve "$url" "${key[@]}" \
  -p "$sshd_port"
says 2 'no address of this machine' serve "$url" "${key[@]}" -i 192.0.2.77
says 2 'address=no-such-host.invalid' serve "$url" -i no-such-host.invalid
says 2 'not a number from' serve -p 99999 "$url"
says 2 'exclude each other' serve -U s -p 1 "$url"
says 2 'needs certificates or keys' serve "$url" "${key[@]}" --tls=require
says 2 'of no use without --tls' serve "$url" "${key[@]}" --tls-psk=secret
says 3 'server-cert.pem|ca-cert.pem' serve "$url" "${key[@]}" --tls=on \
  --tls-certificates="$dir"
says 3 '/nowhere' serve "$url" "${key[@]}" --tls=on --tls-psk=/nowhere
says 5 'refused' copy "$url" "${key[@]}" nbd://127.0.0.1:9
says 5 'No such file' copy "$url" "${key[@]}" "nbd+unix:///?socket=/nowhere"
says 2 'no file and no block device' copy "$url" "${key[@]}" /dev/null
mkfifo fifo # nobody writes into it
says 2 'no file and no block device' copy ./fifo "$url" "${key[@]}"
rm fifo
long=./$(printf 'x%.0s' {1..200})/$(printf 'y%.0s' {1..200})
long=$long/$(printf 'z%.0s' {1..200})
says 2 'a name of more than 599 bytes' copy ./disk.img "$long"
says 2 'a name of more than 599 bytes' copy "nbd://h/$long" ./out.img
says 3 'No such file' copy "$url" "${key[@]}" ./nowhere/out.img
nothing_left "what is in the way of serve and copy"

# --------------------------------------------- a daemon that is another one

for pid in $(daemon_pids); do
  kill "$pid"
  wait_for 10 gone "$pid" || die "the daemon does not end"
done
another () {
  rm -f runtime/bulkheadd.sock
  : >other.log
  "$BULKHEAD_BUILDDIR/tests/fake/other-daemon" runtime/bulkheadd.sock "$@" \
    >other.log 2>&1 &
  another=$!
  wait_for 10 grep -q ready other.log || die "the other daemon does not start"
}
end_another () {
  kill "$another"
  wait "$another" 2>/dev/null || :
}
another version 77
every 1 'bulkheadd 9.9.9. speaks version 77' "$url" "${key[@]}"
hint "kill $another"
says 1 'speaks version 77' status
says 1 'speaks version 77' discover "$(sftp_url "$dir")" "${key[@]}"
"$run" bulkhead doctor >said.out && die "doctor is content"
grep -q 'daemon  *missing .*speaks version 77' said.out \
  || die "doctor: $(cat said.out)"
end_another
another garbage
says 1 'the daemon closes every connection|daemon answered' status
end_another
another silent
says 5 'daemon does not answer' status
end_another
rm -f runtime/bulkheadd.sock
nothing_left "another daemon"

# ------------------------------------------------------------ another user

if [ -n "$root" ]; then
  chmod 755 "$dir" # the runtime folder stays ours
  as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
  says 4 'Permission denied|belongs to' status
  says 4 'Permission denied|belongs to' probe "$url" "${key[@]}"
  as+=(env -u BULKHEAD_RUNTIME_DIR HOME=/nowhere)
  says 4 'secret: Permission denied' probe "$url" password=+"$dir/secret"
  "${as[@]}" "$run" bulkhead list 2>said.err >said.out || die "list: $?"
  grep -q 'nothing is attached' said.err || die "list: $(cat said.err)"
  mkdir -m 700 /run/bulkhead # as root's own daemon has it
  "${as[@]}" "$run" bulkhead status >said.out || die "status: $?"
  rmdir /run/bulkhead
  grep -q 'nothing is served' said.out || die "status: $(cat said.out)"
  [ -e /sys/module/nbd ] \
    || says 7 'nbd driver is not loaded' attach "$url" agent=no
  as=()
  nothing_left "somebody else"
fi
