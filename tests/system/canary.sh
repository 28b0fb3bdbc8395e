#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# No secret is in a worker: its memory, and what its sockets hold in the kernel,
# are searched for what the daemon has, and its descriptors are counted. Root only, as nobody else may look into a worker.
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tls.sh"

[ "$(id -u)" = 0 ] || skip "only root can look into a worker"
find_bytes=$BULKHEAD_BUILDDIR/tests/system/find-bytes

start_sshd
random_file disk 4

# The seed of an ed25519 key, in hex: it stands before the last public key in
# the file (PROTOCOL.key of OpenSSH).
seed_of () {
  local file public
  file=$(sed '1d;$d' "$1" | base64 -d | od -An -v -tx1 | tr -d ' \n')
  public=$(cut -d' ' -f2 "$1.pub" | base64 -d | tail -c 32 | od -An -v -tx1 \
    | tr -d ' \n')
  file=${file%"$public"*}
  echo "${file: -64}"
}

hex_of () {
  printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'
}

# has WHOM PID HEX: how often
has () {
  "$find_bytes" "$2" "$3" || die "cannot search $1"
}

# never WHAT HEX: in every worker, now; but in the daemon, or the search is none.
never () {
  local pid n
  n=$(has "the daemon" "$(daemon_pids | head -n 1)" "$2")
  [ "$n" -gt 0 ] || die "$1 is not found in the daemon either"
  for pid in $(worker_pids); do
    n=$(has "a worker" "$pid" "$2")
    [ "$n" = 0 ] || die "$1 is in worker $pid, $n times"
  done
  ok "$1: in the daemon, and in no worker"
}

# The search sees what a process was sent and has not read: a server's greeting.
(exec 3<>"/dev/tcp/127.0.0.1/$sshd_port"; exec sleep 1000) &
unread () {
  [ "$("$find_bytes" "$!" "$(hex_of SSH-2.0-OpenSSH)")" = 1 ]
}
wait_for 10 unread || die "what a socket holds is not found"
kill "$!"
ok "what is searched: memory, and the queues of sockets"

export BULKHEAD_CANARY='a canary in the environment'
url=$(sftp_url "$dir/disk")
seed=$(seed_of id)
[ ${#seed} = 64 ] || die "no seed"
start_nbdkit canary bulkhead "$url" identity="$dir/id" \
  known-hosts="$known_hosts"
nbdcopy "$uri" copy
cmp copy disk
wait_for 10 one_worker
never "a private key" "$seed"
# 0-2, two control sockets, the network, two eventfds, nothing where there could
# be more; no file, no object.
only_its_fds () {
  find "/proc/$(worker_pids)/fd" -type l -printf '%f %l\n' | sort -n >fds
  awk '$1 > 2 && $2 != "/dev/null" && $2 !~ /^(socket|anon_inode:\[eventfd\])/' \
    fds >odd
  [ ! -s odd ] || [ -n "$small" ] || die "odd descriptors: $(cat odd)"
  awk '$1 > 2 && $2 != "/dev/null"' fds >those
  [ "$(wc -l <those)" -le 5 ] || [ -n "$small" ] \
    || die "too many descriptors: $(cat fds)"
}
only_its_fds
ok "its descriptors: $(wc -l <those), sockets and eventfds"

# only_its_words: what the kernel keeps of its start; nothing of the user's own
# environment.
only_its_words () {
  local names
  names=$(tr '\0' '\n' <"/proc/$(worker_pids)/environ" | cut -d= -f1 | sort \
    | grep -v 'SAN_OPTIONS$' | paste -sd' ')
  [ "$names" = 'BULKHEAD_NAMESPACES LANG' ] || die "its environment: $names"
  [ "$(tr '\0' ' ' <"/proc/$(worker_pids)/cmdline")" = 'bulkhead-worker ' ] \
    || die "its arguments: $(tr '\0' ' ' <"/proc/$(worker_pids)/cmdline")"
}
only_its_words
# The daemon was started by this nbdkit, in this environment.
never "what stands in the environment" "$(hex_of "$BULKHEAD_CANARY")"

# Nothing of the daemon, or of a worker, goes to a core file.
for pid in $(daemon_pids) $(worker_pids); do
  grep -Eq '^Max core file size +0 +0 ' "/proc/$pid/limits" \
    || die "process $pid may write a core file"
done
ok "no core file of daemon and workers"
stop_nbdkit

# A passphrase opens a key in the daemon, and goes no further.
ssh-keygen -q -t ed25519 -N 'a canary in a coal mine' -f locked
cat locked.pub >>authorized_keys
printf 'a canary in a coal mine\n' >words
chmod 0600 words
cp locked plain
cp locked.pub plain.pub
ssh-keygen -q -p -P 'a canary in a coal mine' -N '' -f plain >/dev/null
start_nbdkit locked bulkhead "$url" identity="$dir/locked" \
  passphrase=+"$dir/words" known-hosts="$known_hosts"
nbdcopy "$uri" copy
cmp copy disk
wait_for 10 one_worker
never "a key that was locked" "$(seed_of plain)"
for pid in $(worker_pids); do
  [ "$(has "a worker" "$pid" "$(hex_of 'a canary in a coal mine')")" = 0 ] \
    || die "the passphrase is in worker $pid"
done
ok "its passphrase: in no worker"
stop_nbdkit

# CHAP secrets, one's own and the target's: the daemon answers and checks.
if command -v tgtd >/dev/null && command -v tgtadm >/dev/null; then
  . "$lib_dir/tgt.sh"
  make_targets () {
    tgt_target 1 "$iqn"
    tgt_lun 1 1 disk
    tgt --mode account --op new --user alice --password 'canary secret 1'
    tgt --mode account --op new --user thetarget --password 'canary secret 2'
    tgt --mode account --op bind --tid 1 --user alice
    tgt --mode account --op bind --tid 1 --user thetarget --outgoing
    tgt_open 1
  }
  start_tgt make_targets
  printf 'canary secret 1' >secret
  printf 'canary secret 2' >target-secret
  chmod 0600 secret target-secret
  start_nbdkit chap bulkhead "$(iscsi_url 1)" user=alice \
    password=+"$dir/secret" target-user=thetarget \
    target-password=+"$dir/target-secret"
  nbdcopy "$uri" copy
  cmp copy disk
  wait_for 10 one_worker
  never "a CHAP secret" "$(hex_of 'canary secret 1')"
  never "the target's CHAP secret" "$(hex_of 'canary secret 2')"
  kill -KILL "$(worker_pids)"
  nbdcopy "$uri" copy
  wait_for 10 one_worker
  never "a CHAP secret, after a second login" "$(hex_of 'canary secret 1')"
  only_its_fds
  stop_nbdkit

  # The same of systemd's credentials, named in a configuration file; and the
  # keys of serve's own clients, which not even the daemon has.
  mkdir -m 700 credentials
  printf 'a canary of systemd' >credentials/chap
  chmod 0400 credentials/chap
  tgt --mode account --op new --user bob --password 'a canary of systemd'
  tgt --mode account --op bind --tid 1 --user bob
  mkdir -p "$HOME/.config/bulkhead"
  printf '%s\n' volumes: '  kept:' "    url: $(iscsi_url 1)" '    user: bob' \
    '    password: credential:chap' >"$HOME/.config/bulkhead/bulkhead.conf"
  psk=$(openssl rand -hex 32)
  (umask 077; printf 'alice:%s\n' "$psk" >keys.psk)
  CREDENTIALS_DIRECTORY=$dir/credentials "$run" bulkhead serve \
    -p 10811 --tls require --tls-psk "$dir/keys.psk" kept >serve.out 2>serve.err &
  served=$!
  wait_for 20 test -s serve.out || die "serve: $(cat serve.err)"
  nbdcopy "nbds://alice@127.0.0.1:10811/?tls-psk-file=$dir/keys.psk" copy
  cmp copy disk
  wait_for 10 one_worker
  never "systemd's credential" "$(hex_of 'a canary of systemd')"
  # In nbdkit the key is only while somebody logs in with it: GnuTLS wipes it
  # then. So here is one whose login is held, behind STARTTLS (38 bytes of the
  # server's), and whose first words nbdkit has checked with the key.
  perl -MIO::Socket::INET -MIO::Select -e '
    my $l = IO::Socket::INET->new (LocalAddr => "127.0.0.1:10812",
                                   Listen => 1, ReuseAddr => 1) or die $!;
    $| = 1; print "ready\n";
    my $c = $l->accept;
    my $s = IO::Socket::INET->new (PeerAddr => "127.0.0.1:10811") or die $!;
    my ($left, $all) = (38, IO::Select->new ($c, $s));
    while (my @some = $all->can_read) {
      for my $from (@some) {
        sysread ($from, my $b, $from == $s ? $left : 65536) or exit;
        syswrite ($from == $s ? $c : $s, $b);
        $all->remove ($s) if $from == $s && !($left -= length $b);
      }
    }' >relay.out 2>&1 &
  relay=$!
  wait_for 10 grep -q ready relay.out || die "$(cat relay.out)"
  nbdinfo "nbds://alice@127.0.0.1:10812/?tls-psk-file=$dir/keys.psk" \
    >/dev/null 2>&1 &
  # has_key: whether one of these processes has it, as the file has it or as
  # bytes
  has_key () {
    local pid form n
    for pid; do
      for form in "$psk" "$(hex_of "$psk")"; do
        n=$(has "process $pid" "$pid" "$form") || die "process $pid has gone"
        [ "$n" = 0 ] || return 0
      done
    done
    return 1
  }
  nbdkit=$(pids_of nbdkit)
  [ -n "$nbdkit" ] && [ -n "$(worker_pids)" ] || die "nobody serves"
  wait_for 10 has_key $nbdkit \
    || die "the key of serve's clients is not found in nbdkit either"
  ! has_key $(daemon_pids) $(worker_pids) \
    || die "the key of serve's clients is in the daemon or a worker"
  ok "the key of serve's clients: in nbdkit, neither in the daemon nor in a worker"
  kill "$relay"
  kill "$served"
  wait "$served" || die "serve: $(cat serve.err)"
  stop_tgt
fi

# The declared exception: a password passes through the worker, once, and is
# wiped.
printf '%s\n' "$password" >pw
chmod 0600 pw
start_nbdkit password bulkhead "$url" password=+"$dir/pw" \
  known-hosts="$known_hosts"
nbdcopy "$uri" copy
cmp copy disk
wait_for 10 one_worker
for pid in $(worker_pids); do
  n=$(has "a worker" "$pid" "$(hex_of "$password")")
  [ "$n" = 0 ] || die "the password is still in worker $pid, $n times"
done
ok "a password: wiped from the worker that logged in with it"
stop_nbdkit

# The private key of a certificate signs for TLS, from the daemon.
fake=$BULKHEAD_BUILDDIR/tests/fake/nfs-server
"$fake" 3050 "$dir/disk" >fake.log 2>&1 &
wait_for 10 grep -q ready fake.log || die "the NFS server does not start"
authority ca
certificate server ca P-256 DNS:localhost
certificate client ca P-256 ''
start_front front 3049 3050 server --client-ca ca.pem
start_nbdkit tls bulkhead nfs://localhost:3049/srv/export/dir/disk.img \
  version=3 mountport=3049 xprtsec=mtls tls-ca="$dir/ca.pem" \
  tls-cert="$dir/client.pem" tls-key="$dir/client.key"
nbdcopy "$uri" copy
cmp copy disk
wait_for 10 one_worker
# A big number in memory, the lowest byte first on this kind of processor.
number=$(openssl pkey -in client.key -noout -text \
  | sed -n '/^priv:/,/^pub:/p' | sed '1d;$d' | tr -d ' :\n')
[ ${#number} -ge 64 ] || die "no number"
number=${number: -64}
case $(uname -m) in
  x86_64|aarch64) number=$(fold -w2 <<<"$number" | tac | tr -d '\n') ;;
esac
never "the private key of a certificate" "$number"
only_its_fds
stop_nbdkit
