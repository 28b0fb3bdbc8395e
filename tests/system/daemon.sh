#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The daemon: started once however many ask, refuses other users, ends when
# nobody needs it.
. "$(dirname "$0")/lib.sh"

start_sshd
random_file disk 1

no_daemon () {
  [ -z "$(daemon_pids)" ]
}

# Four at the same time, and none was there.
for i in 1 2 3 4; do
  "$run" nbdkit -f -t 32 -U "$dir/n$i.sock" -P "$dir/n$i.pid" bulkhead \
    "$(sftp_url "$dir/disk")" identity="$dir/id" known-hosts="$known_hosts" \
    >"n$i.log" 2>&1 </dev/null &
done
for i in 1 2 3 4; do
  wait_for 30 test -s "n$i.pid" || die "nbdkit $i does not start"
  nbdcopy "nbd+unix:///?socket=$dir/n$i.sock" copy
  cmp copy disk
done
"$run" bulkheadd --cache-size=1025G 2>wrong.log && die "1025G are taken"
grep -q -e '--cache-size=1025G is not what that takes' wrong.log \
  || die "$(cat wrong.log)"
[ "$(daemon_pids | wc -w)" = 1 ] || die "daemons: $(daemon_pids)"
[ "$(worker_pids | wc -w)" = 4 ] || die "workers: $(worker_pids)"
ok "four nbdkits that start together share one daemon, a worker each"

daemon=$(daemon_pids)
[ "$(cat runtime/bulkheadd.pid)" = "$daemon" ] || die "bulkheadd.pid is wrong"
for fd in "/proc/$daemon/fd"/*; do
  case $(readlink "$fd" || :) in
    "$dir"/n?.*) die "it inherited $(readlink "$fd")" ;;
  esac
done
ok "it inherited nothing from the nbdkit that started it"

# hello UID: speaks to the daemon's socket as that user; prints what it says.
hello () {
  # HELLO: type, then version 1 and a name (ipc/control.h)
  setpriv "${@:2}" perl -MSocket -e '
    socket my $s, AF_UNIX, SOCK_SEQPACKET, 0 or die "socket: $!";
    connect $s, pack_sockaddr_un ($ARGV[0]) or die "connect: $!";
    send $s, pack ("n N N/a*", 1, 1, "test"), MSG_NOSIGNAL or die "send: $!";
    alarm 10;
    defined recv $s, my $answer, 65536, 0 or die "recv: $!";
    print length $answer ? unpack ("n", $answer) : "closed", "\n"' \
    "$1" 2>&1 || :
}

socket=$dir/runtime/bulkheadd.sock
[ "$(hello "$socket")" = 1 ] || die "no HELLO: $(hello "$socket")"
if [ "$(id -u)" = 0 ]; then
  chmod 0755 "$dir" runtime
  chmod 0777 "$socket"
  answer=$(hello "$socket" --reuid=65534 --regid=65534 --clear-groups)
  case $answer in
    closed|recv:*|send:*) ;;
    *) die "another user gets: $answer" ;;
  esac
  chmod 0700 "$dir" runtime
  ok "another user is refused, whatever the modes allow ($answer)"
fi

for i in 1 2 3 4; do
  stop_nbdkit "$(cat "n$i.pid")"
done
kill -TERM "$daemon"
wait_for 10 gone "$daemon" || die "the daemon does not end on SIGTERM"
ok "SIGTERM ends the daemon"

# In the foreground, with a short patience.
"$run" bulkheadd --foreground --private --idle-timeout=1 >daemon.log 2>&1 \
  </dev/null &
daemon=$!
wait_for 10 test -S "$socket"
start_bulkhead "$dir/disk"
# Nothing to wait for: it must still be there after more than that time.
sleep 2.5
alive "$daemon" || die "the daemon ends while it is needed"
nbdcopy "$uri" copy
cmp copy disk
stop_nbdkit
wait_for 10 gone "$daemon" || die "the daemon does not end when idle"
wait "$daemon" || die "the daemon ends with status $?"
ok "an idle daemon ends, and a needed one does not"

# The gateway itself finds or starts another daemon, which takes the volume
# over, worker and all, and replaces the worker from then on.
start_bulkhead "$dir/disk"
killed=$(daemon_pids)
kill -KILL "$killed"
another_daemon () {
  [ -n "$(daemon_pids)" ] && [ "$(daemon_pids)" != "$killed" ] \
    && grep -q "taken over" runtime/bulkheadd.log
}
wait_for 10 another_daemon
nbdcopy "$uri" copy
cmp copy disk
kill -KILL "$(pgrep -x bulkhead-worker)" # no child of the new one
nbdcopy "$uri" copy
cmp copy disk
stop_nbdkit
ok "a killed daemon is replaced, and takes over what it had"
