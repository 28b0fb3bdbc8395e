#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The first worker of a volume is taken over (tests/fake/possessed-worker): it
# makes a forbidden call, or breaks the rules of the rings. It is ended and
# replaced, and the NBD client sees no error and no byte of it.
time_limit=150
. "$(dirname "$0")/lib.sh"

possessed=$BULKHEAD_BUILDDIR/tests/fake/possessed-worker
mkdir libexec
ln -s "$BULKHEAD_BUILDDIR/bulkheadd" "$BULKHEAD_BUILDDIR/bulkhead-resolve" \
  libexec
ln -s "$possessed" libexec/bulkhead-worker
export BULKHEAD_LIBEXEC_DIR=$dir/libexec

# Only to be dialled; what the possessed worker claims to have seen there is
# its own key.
start_sshd
echo "[127.0.0.1]:$sshd_port $("$possessed" --host-key)" >possessed_hosts
perl -e 'print pack "Q>*", map { $_ * 8 } 0 .. (16 << 20) / 8 - 1' >expected

log=$dir/runtime/bulkheadd.log

more= # parameters
# export_of MODE
export_of () {
  start_nbdkit "$1" bulkhead "sftp://$user@127.0.0.1:$sshd_port/possess/$1" \
    identity="$dir/id" known-hosts="$dir/possessed_hosts" $more
}

mkdir once
export_of honest
nbdcopy "$uri" copy
cmp copy expected
stop_nbdkit
ok "the stand-in serves its disk"

# replaced MODE WORDS…: the first worker comes to the end that the daemon's log
# tells in these words; the whole disk is read all the same.
replaced () {
  local mode=$1
  shift
  : >"$log"
  export_of "once/$mode"
  timeout 20 nbdcopy "$uri" copy || die "$mode: an error, or it hangs"
  cmp copy expected || die "$mode: the client sees other bytes"
  wait_for 10 grep -q 'epoch 2' "$log" || die "$mode: not replaced"
  grep -Eq "$*" "$log" || die "$mode: not said: $*"
  stop_nbdkit
}

# The run-time libraries of sanitizers may fail at some calls without dying, and
# report a SIGSEGV in their own way.
sanitizer=
grep -Eq '^#define BH_(A|UB|T)SAN' "$BULKHEAD_BUILDDIR/config.h" && sanitizer=1

for call in openat socket connect execve fork ptrace io_uring_setup; do
  [ "$call$sanitizer" != openat1 ] || continue
  replaced "call-$call" "it called $call "
done
ok "each forbidden call ends the worker, and another one takes over"

replaced exit 'exit'
replaced exit-at-go 'exit'
ok "so does one that just ends"

replaced punch 'it called madvise'
replaced unprotect "${sanitizer:+exit|}it called mprotect"
replaced overwrite "${sanitizer:+exit|}SIGSEGV"
replaced remap "${sanitizer:+exit|}SIGSEGV"
ok "so does one that tries to write what it may only read"

more=timeout=1
replaced spin 'has not answered a request in time'
more=
ok "so does one that looks busy and never answers"

replaced unasked 'answers no request'
replaced duplicate 'answers no request'
replaced long 'distrusts worker 1'
replaced short 'distrusts worker 1'
replaced tail 'impossible producer index'
replaced head 'distrusts worker 1'
replaced scribble 'distrusts worker 1'
ok "so does one that breaks the rules of the rings, or scribbles over them"

for message in sealed hostkey auth sign want ready config adopt unknown; do
  replaced "daemon-$message" 'the worker sent .* in state READY'
done
replaced daemon-half "the worker's control socket: "
replaced daemon-empty-fail 'damaged FAIL'
replaced daemon-fd 'it called sendmsg'
replaced daemon-flood 'the worker sent .* in state READY'
ok "so does one that talks to the daemon out of order, by halves, or in floods"

replaced gateway-fd 'it called sendmsg'
for message in sign unknown half flood; do
  replaced "gateway-$message" 'a message that it may not send|distrusts worker 1'
done
replaced probed 'a message that it may not send'
replaced garbage 'a message that it may not send'
replaced chatter 'a message that it may not send'
lines=$(grep -c xxxxxxxxxx once/chatter.log || :)
[ "$lines" -ge 1 ] && [ "$lines" -le 10 ] || die "$lines lines are in the log"
replaced long-line 'a message that it may not send'
ok "so does one that says what nobody has asked"
