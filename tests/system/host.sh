#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One daemon for a whole host (bulkheadd --host): other users get what is theirs,
# and nothing else, in words; what they send neither stops it nor makes it act
# upon what is somebody else's.
time_limit=180
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "needs root and two more users"
stranger=$BULKHEAD_BUILDDIR/tests/fake/stranger
steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps
unset BULKHEAD_RUNTIME_DIR
chmod 0711 "$dir"
alice=(--reuid=4001 --regid=4001 --groups=4001,4002)
bob=(--reuid=4003 --regid=4003 --clear-groups)
host_sock=/run/bulkhead/bulkheadd.sock
start_sshd

for u in 4001 4003; do
  mkdir -p "/run/user/$u" "$dir/$u"
  cp id known_hosts "$u/"
  chown -R "$u:$u" "/run/user/$u" "$dir/$u"
  chmod 0700 "/run/user/$u" "$dir/$u"
done
setpriv "${alice[@]}" test -x "$run" || skip "other users cannot reach $run"
random_file disk 4

# as UID COMMAND…
as () {
  local who=("${alice[@]}")
  [ "$1" = 4001 ] || who=("${bob[@]}")
  HOME=$dir/$1 XDG_RUNTIME_DIR=/run/user/$1 setpriv "${who[@]}" "${@:2}"
}

# start_host OPTION…: sets $host
start_host () {
  "$run" bulkheadd --foreground --host "$@" >>host.log 2>&1 </dev/null &
  host=$!
  wait_for 10 host_serves || die "the host's daemon does not start"
}

host_serves () {
  [ -S $host_sock ] && grep -q serves host.log && alive "$host"
}

stop_host () {
  kill -TERM "$host"
  wait_for 10 gone "$host" || die "the host's daemon does not end"
  wait "$host" || :
  : >host.log
}

# serve UID NAME ARGUMENT…: as start_nbdkit, by that user
serve () {
  local uid=$1 name=$2
  shift 2
  sock=$dir/$uid/$name.sock
  uri="nbd+unix:///?socket=$sock"
  rm -f "$dir/$uid/$name.pid"
  as "$uid" "$run" nbdkit -f -t 32 -U "$sock" -P "$dir/$uid/$name.pid" "$@" \
    >"$name.log" 2>&1 </dev/null &
  nbdkit_pid=$!
  wait_for 30 served "$uid" "$name" || die "nbdkit neither starts nor ends"
  [ -s "$dir/$uid/$name.pid" ] && nbdkit_pid=$(cat "$dir/$uid/$name.pid")
}

served () {
  [ -s "$dir/$1/$2.pid" ] || ! alive "$nbdkit_pid"
}

sftp_of () {
  echo bulkhead "sftp://$user@127.0.0.1:$sshd_port$dir/disk" \
    "identity=$dir/$1/id" "known-hosts=$dir/$1/known_hosts"
}

# refused WORDS UID NAME ARGUMENT…: it does not start, and says why
refused () {
  local words=$1
  shift
  ! serve "$@" || die "not refused: $words"
  grep -q -- "$words" "$2.log" || die "not said: $words: $(cat "$2.log")"
}

! as 4001 "$run" bulkheadd --foreground --host >alice.log 2>&1 || die "--host"
grep -q 'only root can serve the host' alice.log || die "$(cat alice.log)"
ok "only root may start it"

# ------------------------------------------------------------ what they may do

start_host --volumes-per-uid=2
serve 4001 a1 $(sftp_of 4001) || die "$(cat a1.log)"
a1=$nbdkit_pid
nbdcopy "$uri" copy
cmp copy disk
[ "$(daemon_pids)" = "$host" ] || die "another daemon runs: $(daemon_pids)"
serve 4003 b1 $(sftp_of 4003) || die "$(cat b1.log)"
b1=$nbdkit_pid
nbdcopy "$uri" copy
cmp copy disk
[ "$(daemon_pids)" = "$host" ] || die "another daemon runs: $(daemon_pids)"
ok "two users are served by the host's daemon"

# shown UID: the processes that this user's status shows
shown () {
  as "$1" "$run" bulkhead status --json | jq '[.volumes[].gateways[].pid] | @csv'
}
[ "$(shown 4001)" = "\"$a1\"" ] || die "alice sees $(shown 4001)"
[ "$(shown 4003)" = "\"$b1\"" ] || die "bob sees $(shown 4003)"
"$run" bulkhead status --json >status.json
jq -e '.volumes | length == 2 and ([.[].uid] | sort) == [4001, 4003]' \
  status.json >/dev/null || die "root sees $(cat status.json)"
jq -e '[.volumes[].counts.operations.read.bytes > 0] | all' status.json \
  >/dev/null || die "root sees no counts: $(cat status.json)"
ok "each sees its own in the status, root sees all"

# What alice has an fd for that was opened for reading only, she cannot open
# again for writing: it is root's, mode 0600.
memory=0
for fd in "/proc/$a1/fd"/*; do
  case $(readlink "$fd") in
    /memfd:bh-completions*|/memfd:bh-read-arena*|/memfd:bh-index*|/memfd:bh-pages*)
      memory=$((memory + 1))
      [ "$(stat -L -c '%u %a' "$fd")" = "0 600" ] || die "$(stat -L "$fd")"
      as 4001 dd if="$fd" of=/dev/null count=0 2>/dev/null \
        && die "$(readlink "$fd") can be opened again"
      as 4001 sh -c ': <>"$1"' sh "$fd" 2>/dev/null \
        && die "$(readlink "$fd") can be opened for writing"
      ;;
  esac
done
[ $memory -ge 2 ] || die "no shared memory found: $memory"
inodes () {
  for fd in "/proc/$1/fd"/*; do
    case $(readlink "$fd") in /memfd:bh-*) stat -L -c %i "$fd" ;; esac
  done | sort
}
[ -z "$(comm -12 <(inodes "$a1") <(inodes "$b1"))" ] \
  || die "two users share memory"
ok "their memory is root's and read-only, and no object is of both"

[ "$(stat -c %a /run/bulkhead/volumes)" = 700 ] || die "volumes/ is open"
! as 4001 ls /run/bulkhead >/dev/null 2>&1 || die "the folder can be listed"
ok "its files are closed to them"

as 4001 ssh-agent -D -a "$dir/4001/agent" >agent.log 2>&1 &
wait_for 10 agent_listens "$dir/4001/agent" || die "ssh-agent does not start"
SSH_AUTH_SOCK=$dir/4001/agent as 4001 ssh-add -q "$dir/4001/id"
serve 4001 asks bulkhead "sftp://$user@127.0.0.1:$sshd_port$dir/disk" \
  "agent=$dir/4001/agent" "known-hosts=$dir/4001/known_hosts" \
  || die "$(cat asks.log)"
relay=$(pgrep -x bulkhead-relay) || die "the daemon asks alice's agent itself"
[ "$(ps -o uid= -p "$relay" | tr -d ' ')" = 65534 ] || die "$(ps -fp "$relay")"
grep -q '^Seccomp:.*2$' "/proc/$relay/status" || die "the relay is not sealed"
ok "a user's agent signs, asked by a sandboxed relay"

# Started anew, at the same place, while nbdkit runs.
kill $(pgrep -x ssh-agent)
wait_for 10 gone "$relay" || die "the relay stays"
rm -f "$dir/4001/agent"
as 4001 ssh-agent -D -a "$dir/4001/agent" >agent.log 2>&1 &
wait_for 10 agent_listens "$dir/4001/agent" || die "ssh-agent does not start"
SSH_AUTH_SOCK=$dir/4001/agent as 4001 ssh-add -q "$dir/4001/id"
wait_for 10 grep -q 'there is a new ssh-agent' host.log || die "nobody says so"
kill -KILL "$(pgrep -n -x bulkhead-worker)"
timeout 20 nbdcopy "$uri" copy || die "the new agent is not asked: $(cat asks.log)"
cmp copy disk
relay=$(pgrep -x bulkhead-relay) || die "there is no relay"
stop_nbdkit
wait_for 10 gone "$relay" || die "the relay stays"
kill $(pgrep -x ssh-agent)
ok "and its successor, at the same place"

# knows UID NAME FILE: serves with these known hosts
knows () {
  serve "$1" "$2" bulkhead "sftp://$user@127.0.0.1:$sshd_port$dir/disk" \
    "identity=$dir/4001/id" "known-hosts=$3"
}
{ cat known_hosts; yes '# nobody' | head -n 20000 || :; } >many
cp many "$dir/4001/many"
truncate -s 131073 "$dir/4001/many"
! knows 4001 many "$dir/4001/many" || die "more than 128 KiB are searched"
grep -q 'many has 129 KiB; of users other than root .* of 128 KiB' many.log \
  || die "$(cat many.log)"
grep -q 'ssh-keygen -F 127.0.0.1' many.log || die "no hint: $(cat many.log)"
truncate -s 131072 "$dir/4001/many"
knows 4001 many "$dir/4001/many" || die "$(cat many.log)"
stop_nbdkit
start_nbdkit many-root $(sftp_of 4001 | sed "s,known-hosts=.*,known-hosts=$dir/many,")
stop_nbdkit
ok "known_hosts of more than 128 KiB are refused, in words"

# --------------------------------------------------------------------- limits

serve 4001 a2 $(sftp_of 4001) || die "$(cat a2.log)"
a2=$nbdkit_pid
refused 'uid 4001 has its 2 volumes already' 4001 a3 $(sftp_of 4001)
grep -q -- '--volumes-per-uid=' a3.log || die "no hint: $(cat a3.log)"
start_nbdkit root $(sftp_of 4001)
stop_nbdkit
ok "a third volume is refused in words, and root is not limited"

# The host's daemon ends: its gateways wait for it, workers and cached reads go
# on, and no private daemon is started meanwhile.
kill -KILL "$host"
wait_for 10 gone "$host"
uri="nbd+unix:///?socket=$dir/4001/a1.sock"
nbdcopy "$uri" copy
cmp copy disk
refused "the host's bulkheadd does not run" 4001 a4 $(sftp_of 4001)
worker=$(pgrep -x bulkhead-worker | head -n 1)
: >host.log
start_host --volumes-per-uid=2
taken_over () {
  [ "$(grep -c 'taken over of' host.log)" = 3 ]
}
# One that comes before them must not be first.
serve 4003 b0 $(sftp_of 4003) || die "$(cat b0.log)"
wait_for 20 taken_over || die "not taken over: $(cat host.log)"
nbdcopy "$uri" copy
cmp copy disk
! grep -q 'other write stripes' host.log || die "the newcomer was first"
stop_nbdkit
kill -KILL "$worker"
for n in 4001/a1 4001/a2 4003/b1; do
  nbdcopy "nbd+unix:///?socket=$dir/$n.sock" copy
  cmp copy disk
done
grep -q 'epoch 2' host.log || die "no worker was replaced"
ok "killed and started again it takes over what its users have"
for p in $a1 $a2 $b1; do stop_nbdkit "$p"; done
stop_host

# One that is stopped while the host's daemon is replaced, and the lease goes to
# another process, does not write over that: what it has under way then is lost,
# and says so.
start_host
cp disk kept
serve 4001 s1 $(sftp_of 4001) || die "$(cat s1.log)"
s1=$nbdkit_pid s1_uri=$uri
"$steps" "$s1_uri" -- 0:write:0:a 0:flush 0:tell:0:wrote 0:await:0:stopped \
  0:write:0:b >late.log 2>&1 &
late=$!
wait_for 10 test -e wrote || die "$(cat late.log)"
kill -STOP "$s1"
touch stopped
kill -KILL "$host"
wait_for 10 gone "$host"
: >host.log
start_host
serve 4001 s2 $(sftp_of 4001) || die "$(cat s2.log)"
"$steps" "$uri" -- 0:write:0:c 0:flush >steps.log || die "$(cat steps.log)"
kill -CONT "$s1"
! wait "$late" || die "the late write is answered"
grep -q 'other write stripes' s1.log || die "not refused: $(cat s1.log)"
[ "$(head -c 1 disk)" = c ] || die "a late write is executed: $(head -c 1 disk)"
stop_nbdkit
stop_nbdkit "$s1"
cp kept disk
stop_host
ok "who was stopped while it was replaced does not write late"

start_host --workers-per-uid=2 --memory-per-uid=400M --dials-per-uid=3
refused 'uid 4001 has its 2 workers already' 4001 w $(sftp_of 4001) \
  connections=3
refused 'uid 4001 has its 400 MiB of memory already' 4001 m $(sftp_of 4001) \
  connections=2
for i in 1 2 3; do
  serve 4001 "d$i" $(sftp_of 4001) || die "$(cat "d$i.log")"
  stop_nbdkit
done
refused 'uid 4001 has its 3 connections to servers in a minute already' \
  4001 d4 $(sftp_of 4001)
serve 4003 b2 $(sftp_of 4003) || die "bob pays for alice: $(cat b2.log)"
stop_nbdkit
stop_host
ok "so are workers, memory and dials, for each user alone"

# --------------------------------------------------------------- who they are

start_host
nfs=(bulkhead nfs://127.0.0.1:4444/export/file)
refused 'uid=0: only root may ask a server as somebody else' 4001 u "${nfs[@]}" \
  uid=0
refused 'gid=0: only root may' 4001 g "${nfs[@]}" gid=0
refused 'groups=4002,0: only root may' 4001 gs "${nfs[@]}" groups=4002,0
refused 'cannot connect' 4001 own "${nfs[@]}" uid=4001 gid=4002 \
  groups=4001,4002
ok "AUTH_SYS: only as oneself and with one's own groups"

# The port that a server sees, and whose socket it is here (as a firewall that
# goes by the user sees it).
perl -MSocket -e '
  socket my $s, AF_INET, SOCK_STREAM, 0 or die;
  setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1;
  bind $s, pack_sockaddr_in (4444, INADDR_LOOPBACK) or die "bind: $!";
  listen $s, 9; $| = 1; print "ready\n";
  while (my $from = accept my $c, $s) {
    my ($port) = unpack_sockaddr_in $from;
    open my $t, "<", "/proc/net/tcp"; my $uid = "?";
    while (<$t>) { my @f = split;
      $uid = $f[7] if $f[1] eq sprintf "0100007F:%04X", $port; }
    print "$port $uid\n"; close $c }' >ports.log 2>&1 &
listener=$!
wait_for 5 grep -q ready ports.log
! serve 4001 p "${nfs[@]}" || die "served"
grep -q ' 4001$' ports.log || die "whose socket: $(cat ports.log)"
awk '$2 == 4001 && $1 < 1024 { exit 1 }' ports.log \
  || die "alice gets a low port: $(cat ports.log)"
! "$run" nbdkit -U root-nfs.sock --run true "${nfs[@]}" >root.log 2>&1 \
  || die "served"
awk '$2 == 0 && $1 < 1024 { found = 1 } END { exit !found }' ports.log \
  || die "root gets no low port: $(cat ports.log)"
kill "$listener"
ok "ports below 1024 are root's; a user's socket is that user's"

# ------------------------------------------------------------------ strangers

echo "not alice's" >secret
chmod 0600 secret
strange () {
  as 4001 "$stranger" $host_sock "$@" 2>&1 || :
}
says () {
  local words=$1 answer
  shift
  answer=$(strange "$@")
  grep -q -- "$words" <<<"$answer" || die "$*: $answer, not $words"
}
says 'fault: identity came without a file' path identity "$dir/secret"
says 'fault: a file of another user must come' file identity "$dir/4001/id"
says 'fault: password came without a file' path password /etc/shadow
says 'fault: a file of another user must come' secret
victim=$(sleep 100 >/dev/null & echo $!)
says 'fault: what was handed over is not of' kill "$victim"
alive "$victim" || die "it killed in alice's name"
kill "$victim"
says 'fault: what was handed over is not of' truncate
says refused index
# For everybody, as a distribution has it.
mknod -m 666 fuse c 10 229 && mount --bind fuse /dev/fuse || :
answer=$(strange flush)
case $answer in
  unshare:*|mount:*|/dev/fuse:*) echo "no file system of alice's: $answer" ;;
  *) [[ $answer == *'fault: a file of another user must come'*served ]] \
       || die "flush: $answer" ;;
esac
ok "files by name, slow files, others' processes, memory that shrinks: refused"
stop_host

# Who closes it waits for alice's file system, which does not answer. Nine
# connections are hers, the tenth is refused.
start_host --volumes-per-uid=1
for how in unread refused agent identity password; do
  kill -STOP "$host"
  as 4001 "$stranger" $host_sock drop $how >drop.log 2>&1 &
  drop=$!
  told () { grep -q . drop.log; }
  wait_for 10 told || die "drop $how says nothing"
  kill -CONT "$host"
  wait "$drop" || :
  case $(cat drop.log) in
    unshare:*|mount:*|/dev/fuse:*) echo "no file system of alice's" ;;
    sent*served) ;;
    *) die "drop $how: $(cat drop.log)" ;;
  esac
done
# Nor for it when it ends itself.
kill -STOP "$host"
as 4001 "$stranger" $host_sock drop unread >drop.log 2>&1 &
drop=$!
wait_for 10 told || die "drop says nothing"
kill -TERM "$host"
kill -CONT "$host"
wait_for 10 gone "$host" || die "the host's daemon does not end"
: >host.log
start_host --volumes-per-uid=1
wait "$drop" || :
closers_end () { [ -z "$(pgrep -P "$host")" ]; }
wait_for 20 closers_end || die "left: $(ps -fp "$(pgrep -d, -P "$host")")"
ok "nor does closing what somebody has left unread wait for anybody"
stop_host
start_host

kept=$(strange flood 60)
[ "$kept" -ge 1 ] && [ "$kept" -le 24 ] || die "kept $kept connections"
as 4001 "$stranger" $host_sock flood 60 >flood.log 2>&1 &
flood=$!
as 4001 "$stranger" $host_sock deaf >deaf.log 2>&1 &
deaf=$!
wait_for 5 test -s flood.log
serve 4003 b3 $(sftp_of 4003) || die "bob is locked out: $(cat b3.log)"
nbdcopy "$uri" copy
cmp copy disk
stop_nbdkit
wait "$flood" "$deaf" || :
ok "one user's flood keeps nobody else out ($kept kept)"

strange garbage "$(mib 200)" >garbage.log
grep -q done garbage.log || die "$(cat garbage.log)"
[ "$(strange half | sort -u)" = closed ] || die "half a message is kept"
alive "$host" || die "the daemon died of it"
! grep -q 'with two lines$' <(grep -v 'bulkheadd: ' host.log) \
  || die "a line of the log is a stranger's"
settled () {
  [ "$(find "/proc/$host/fd" -type l | wc -l)" -le "$idle_fds" ]
}
idle_fds=30
wait_for 20 settled || die "it leaks: $(ls -l "/proc/$host/fd")"
serve 4003 b4 $(sftp_of 4003) || die "$(cat b4.log)"
stop_nbdkit
stop_host
ok "broken and half messages end their connection, and nothing stays of them"

# ---------------------------------------------------------- one's own, or not

serve 4001 own1 $(sftp_of 4001) || die "$(cat own1.log)"
own1=$nbdkit_pid
private=$(daemon_pids)
[ "$(ps -o uid= -p "$private" | tr -d ' ')" = 4001 ] || die "whose is it?"
# Secrets are in it: not even the same user looks into it.
[ -n "$(as 4001 head -c 1 "/proc/$own1/maps")" ] || die "nobody is looked into"
[ -z "$(as 4001 head -c 1 "/proc/$private/maps" 2>/dev/null || :)" ] \
  || die "the same user looks into the daemon"
ok "a user's own daemon is closed to other programs of that user"
start_host
serve 4001 own2 $(sftp_of 4001) || die "$(cat own2.log)"
own2=$nbdkit_pid
! grep -q 'opened for' host.log || die "the second one is the host's"
# Also while it is being replaced.
kill -KILL "$private"
wait_for 10 gone "$private"
serve 4001 own3 $(sftp_of 4001) || die "$(cat own3.log)"
! grep -q 'opened for' host.log || die "the third one is the host's"
for p in $own1 $own2 $nbdkit_pid; do stop_nbdkit "$p"; done
private=$(daemon_pids | grep -vx "$host")
kill -TERM "$private"
wait_for 10 gone "$private"
serve 4001 hosts $(sftp_of 4001) || die "$(cat hosts.log)"
grep -q 'opened for' host.log || die "it is not the host's"
! as 4001 "$run" bulkheadd --foreground >alice.log 2>&1 || die "two daemons"
grep -q "belong to the host's bulkheadd" alice.log || die "$(cat alice.log)"
stop_nbdkit
stop_host
start_host --socket-mode=0600
serve 4001 closed $(sftp_of 4001) || die "$(cat closed.log)"
! grep -q 'opened for' host.log || die "the mode does not count"
stop_nbdkit
stop_host
ok "a user's gateways follow the private daemon while it runs, else the host's"
