#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# An NFSv3 server that loses what was not committed whenever it restarts, which
# no server on this kernel does: what was flushed is there afterwards.
. "$(dirname "$0")/lib.sh"

fake=$BULKHEAD_BUILDDIR/tests/fake/nfs-server
steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps
port=3049
url=nfs://127.0.0.1:$port/srv/export/dir

start_fake () { # [VERSION [PERIOD]]
  : >fake.log # or what the last one has said is taken for it
  "$fake" "$port" "$dir/disk" "$@" >fake.log 2>&1 &
  fake_pid=$!
  wait_for 10 grep -q ready fake.log || die "the server does not start"
}

stop_fake () {
  kill -TERM "$fake_pid"
  wait "$fake_pid" || die "the server failed"
}

last_port () {
  sed -n 's/^from //p' fake.log | tail -n 1
}

reboots () {
  [ "$(grep -c rebooted fake.log)" -ge "$1" ]
}

random_file disk 8
cp disk before
start_fake
start_nbdkit forget bulkhead "$url/disk.img" version=3 mountport=$port
nbdcopy "$uri" copy
cmp copy before
ok "copied from the server, by user $(id -u)"

# A copy without a flush, a restart that forgets it, then the flush. Servers
# look at the port by which an answer that was lost is asked for again.
random_file other 8
nbdcopy other "$uri"
from=$(last_port)
kill -HUP "$fake_pid"
wait_for 10 reboots 1 || die "no restart"
"$steps" "$uri" -- 0:flush >>steps.log || die "the flush failed"
nbdcopy "$uri" copy
cmp copy other
ok "what was written before a restart that forgets it is flushed behind it"
[ "$(last_port)" = "$from" ] || die "from another port: $from, $(last_port)"
[ "$(id -u)" != 0 ] || [ "$from" -lt 1024 ] || die "root comes from $from"
ok "dialled again from the same port, $from"

# A server that loses what it had not committed, and goes on.
random_file third 8
nbdcopy third "$uri"
kill -USR1 "$fake_pid"
wait_for 10 grep -q forgot fake.log || die "it does not forget"
"$steps" "$uri" -- 0:flush >>steps.log || die "the flush failed"
nbdcopy "$uri" copy
cmp copy third
[ "$(last_port)" = "$from" ] && [ "$(grep -c "^from $from" fake.log)" = 2 ] \
  || die "the session did not go on"
ok "and behind a verifier that changed without a restart"

# Another process has a session again before the one that wrote has looked.
writer=$nbdkit_pid writer_uri=$uri
start_nbdkit reader bulkhead "$url/disk.img" version=3 mountport=$port
random_file fourth 8
nbdcopy fourth "$writer_uri"
kill -STOP "$writer"
kill -HUP "$fake_pid"
wait_for 10 reboots 2 || die "no restart"
nbdcopy "$uri" copy &
reader=$!
wait_for 20 grep -q 'only cached reads are answered' reader.log \
  || die "nobody waits: $(cat reader.log)"
alive "$reader" || die "it has read what the server has lost"
kill -CONT "$writer"
wait "$reader" || die "the reader failed"
cmp copy fourth
wait_for 10 grep -q 'reads go on' reader.log \
  || die "not said: $(cat reader.log)"
stop_nbdkit
nbdkit_pid=$writer uri=$writer_uri
ok "another process waits until what the server has lost is there again"

model_begins --seconds 6 --connections 2 --max-bytes 262144 --out expected \
  "$uri"
for i in 3 4 5 6 7; do
  sleep 0.9
  kill -HUP "$fake_pid"
  wait_for 10 reboots "$i" || die "no restart"
done
wait "$client" || die "the model failed: $(tail -n 3 client.log)"
"$steps" "$uri" -- 0:flush >>steps.log || die "the flush failed"
stop_nbdkit
stop_fake
cmp expected disk
ok "random I/O equals the model with 5 restarts that forget"

# Two connections, whose workers are killed as well.
start_fake
start_nbdkit several bulkhead "$url/disk.img" version=3 mountport=$port \
  connections=2
with_kills 0.5 "$model" --seconds 6 --connections 2 --max-bytes 262144 \
  --out expected "$uri"
[ "$kills" -ge 4 ] || die "only $kills workers were killed"
"$steps" "$uri" -- 0:flush >>steps.log || die "the flush failed"
stop_nbdkit
stop_fake
cmp expected disk
ok "two connections: random I/O equals the model with $kills workers killed"

# A server that repeats, delays, cuts off and lies, besides, in each 25th answer;
# version 4 has sessions, so that each write is executed once, and has one with
# three connections, so that an answer may come on the wrong one. What is answered
# in between gets on, whatever the number is: a session of 4.2 begins anew by 7
# answers (17 the first time), of 3 by 6, and the largest request needs 4 here.
random_file disk 2
for version in 3 4.2; do
  case $version in
    3) start_fake 3 25; liar=$url/disk.img ;;
    *) start_fake 4 25; liar=nfs://127.0.0.1:$port/dir/disk.img ;;
  esac
  start_nbdkit "liar$version" bulkhead "$liar" version=$version mountport=$port \
    connections=$([ $version = 3 ] && echo 1 || echo 3)
  model_begins --seconds 6 --connections 2 --max-bytes 131072 --out expected \
    "$uri"
  sleep 2
  kill -HUP "$fake_pid"
  wait "$client" || die "the model failed: $(tail -n 3 client.log)"
  "$steps" "$uri" -- 0:flush >>steps.log || die "the flush failed"
  stop_nbdkit
  stop_fake
  cmp expected disk
  wrongs=$(sed -n 's/ answers were wrong//p' fake.log)
  [ "$wrongs" -ge 8 ] || die "only $wrongs answers were wrong"
  [ $version = 3 ] || grep -q '^[1-9][0-9]* .* up to 3 conn' fake.log \
    || die "not three connections: $(tail -n 1 fake.log)"
  ok "version $version: random I/O equals the model with $wrongs wrong answers" \
    "and a restart that forgets"
done

random_file disk 8

# It ends each connection that is to be bound: the first one will do.
start_fake 4 0 unbound
start_nbdkit unbound bulkhead "nfs://127.0.0.1:$port/dir/disk.img" version=4.2 \
  connections=3
worker=$(worker_pids)
nbdcopy "$uri" copy
cmp copy disk
wait_for 10 grep -q 'goes on with 1 of its 3 connections' unbound.log \
  || die "not said: $(tail -n 3 unbound.log)"
[ "$(worker_pids)" = "$worker" ] || die "a connection that was not bound is missed"
ok "$(grep -o 'the session goes on with .*' unbound.log | tail -n 1)"
stop_nbdkit
stop_fake

# The server's file becomes shorter: said in words, not read as zeroes.
start_fake
start_nbdkit short bulkhead "$url/disk.img" version=3 mountport=$port \
  outage=fail:2 cache=no prefetch=0
stop_fake
truncate -s 4M disk
start_fake
"$steps" "$uri" -- 0:fails:1500 0:loop:100:3 >>steps.log 2>&1 \
  || die "not what is gone fails, and nothing else: $(tail -n 2 steps.log)"
grep -q 'cut it down from 8388608 to 4194304' short.log \
  || die "not said: $(tail -n 3 short.log)"
ok "a file that became shorter: $(grep 'cut it down' short.log \
  | tail -n 1 | sed 's/.*disk.img: //' | cut -c1-150)"
