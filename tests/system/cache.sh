#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The cache that all nbdkit processes of a volume share: see nbd-steps.c.
. "$(dirname "$0")/lib.sh"

steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps

# gateway NAME ARGUMENT…: one more nbdkit on the same URL; sets $nbdkit_pid, $uri.
gateway () {
  local name=$1
  shift
  start_nbdkit "$name" -D bulkhead.stats=1 bulkhead "$(sftp_url "$dir/disk")" \
    identity="$dir/id" known-hosts="$known_hosts" "$@"
}

# Pages of one letter each.
page () {
  head -c 4096 /dev/zero | tr '\0' "$1"
}

start_sshd
for letter in h i j k l m n o; do page $letter; done >disk
truncate -s 16M disk

# ---------------------------------------------------- one truth, both directions
gateway a
a=$uri a_pid=$nbdkit_pid
gateway b
b=$uri b_pid=$nbdkit_pid

both=(0:read:100:z 1:read:100:z)
page z | dd of=disk bs=4096 seek=100 conv=notrunc status=none
for letter in A B C D E F G; do
  both+=("0:write:100:$letter" "1:read:100:$letter" "1:read:100:$letter"
         "0:read:100:$letter" "1:write:100:${letter,}" "0:read:100:${letter,}"
         "0:read:100:${letter,}" "1:read:100:${letter,}")
done
"$steps" "$a" "$b" -- "${both[@]}" >both.log
ok "what one wrote the other reads at once, in both directions"

# ----------------------------------------------------------- the second is a hit
# A page is cached a moment after it was read: the hot loop waits for that.
"$steps" "$a" -- 0:read:0:h 0:read:1:i 0:loop:0:200 0:loop:1:200 >hot.log
gateway c
"$steps" "$uri" -- 0:read:0:h 0:read:1:i 0:loop:0:98 >second.log
stop_nbdkit
# A worker that sleeps already when it is told to go is woken once.
grep -q ' 100 from the cache, 0 times one was not in it, .* [01] wake-ups' c.log \
  || die "$(grep 'from the cache' c.log)"
ok "a second gateway's first reads are hits: $(grep -o '[0-9]* wake.*' c.log)"

# ------------------------------------------------------------------- cache=off
gateway off cache=off
"$steps" "$uri" -- 0:read:0:h 0:read:0:h 0:loop:0:8 >off.steps
"$steps" "$a" "$uri" -- 1:read:5:m 0:write:5:M 1:read:5:M 1:write:5:m \
  0:read:5:m >>off.steps
stop_nbdkit
grep -q ' 0 from the cache, 0 times one was not in it, 0 offered' off.log \
  || die "$(grep 'from the cache' off.log)"
asked=$(sed -n 's/^bulkhead: connection 1: \([0-9]*\) requests/\1/p' off.log)
[ "$asked" -ge 13 ] || die "the worker was asked $asked times, for 13 requests"
ok "cache=off: every read reaches the worker, and one truth all the same"

# ---------------------------------------------------------- without any worker
gateway fails outage=fail:1
fails=$uri fails_pid=$nbdkit_pid
"$steps" "$fails" -- 0:read:0:h >fails.steps
stop_sshd
# Some have gone with their server.
for p in $(worker_pids); do kill -KILL "$p" 2>/dev/null || :; done
"$steps" "$a" "$b" "$fails" -- 0:read:0:h 1:read:1:i 2:read:1:i 0:waits:2000 \
  1:waits:2001 0:read:1:i 2:fails:2002 2:read:0:h >outage.log &
wait $! || die "$(cat outage.log)"
ok "no worker: hits within a second, the rest waits, or fails if told so"
start_sshd
"$steps" "$a" "$b" -- 0:loop:2000:1 1:loop:2001:1 >again.log
# This one does not wait: it fails until its worker has logged in again.
wait_for 15 "$steps" "$fails" -- 0:loop:2002:1 >>again.log
ok "with the server back, all are answered"
stop_nbdkit "$fails_pid"
stop_nbdkit "$b_pid"

# ------------------------------------------------- the last gateway has gone
page r >kept
truncate -s 1M kept
touch -d '2 hours ago' kept
kept () {
  start_nbdkit kept -D bulkhead.stats=1 bulkhead "$(sftp_url "$dir/kept")" \
    identity="$dir/id" known-hosts="$known_hosts"
  "$steps" "$uri" -- "$@" >kept.steps
  stop_nbdkit
}
kept 0:read:0:r 0:loop:0:200
kept 0:read:0:r
grep -q ' 1 from the cache, 0 times one was not in it' kept.log \
  || die "not kept: $(grep 'from the cache' kept.log)"
page s | dd of=kept conv=notrunc status=none
touch -d '1 hour ago' kept
kept 0:read:0:s
ok "a cache outlives its last gateway, but not a change of the file meanwhile"

# ------------------------------------------------------------- no system call
# nbdkit's threads take turns at receiving, with futexes; with a single thread
# all futexes would be the plugin's. What stays is its control thread's tick.
command -v strace >/dev/null || {
  ok "not counted, as there is no strace: system calls of a hit"
  exit 0
}
start_nbdkit single -t 1 bulkhead "$(sftp_url "$dir/disk")" \
  identity="$dir/id" known-hosts="$known_hosts"
reads=4000
"$steps" "$uri" -- 0:loop:0:10 >warm.log
strace -f -c -o strace.log -p "$nbdkit_pid" 2>strace.err &
strace_pid=$!
wait_for 10 grep -q attached strace.err || die "$(cat strace.err)"
"$steps" "$uri" -- 0:loop:0:$reads >loop.log
kill -INT "$strace_pid"
wait "$strace_pid" || :

# calls NAME…: how many of these, of all threads.
calls () {
  awk -v names="$*" 'BEGIN { n = split(names, a, " ") }
    { for (i = 1; i <= n; i++) if ($NF == a[i]) sum += $4 }
    END { print sum + 0 }' strace.log
}
sent=$(calls send sendto sendmsg)
[ "$sent" -ge "$reads" ] || die "strace saw only $sent answers"
# All that waits or wakes, in nbdkit as well.
plugin=$(calls futex ppoll poll write writev eventfd2 nanosleep \
  clock_nanosleep clock_gettime)
[ "$plugin" -le $((reads / 50)) ] \
  || die "$plugin calls that wait or wake for $reads hits"
ok "$reads hits: $plugin calls that wait or wake in the whole process"
stop_nbdkit
stop_nbdkit "$a_pid"
