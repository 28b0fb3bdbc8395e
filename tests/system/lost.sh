#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A gateway dies together with its daemon: what it had acknowledged and not
# flushed may be lost, and the next FLUSH of the volume says so, once.
. "$(dirname "$0")/lib.sh"

steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps

# Both die, none can do anything about the other's death.
kill_both () {
  local pid
  daemon=$(daemon_pids)
  kill -STOP "$daemon"
  kill -KILL "$nbdkit_pid"
  kill -KILL "$daemon"
  wait "$nbdkit_pid" 2>/dev/null || :
  wait_for 10 gone "$daemon"
  for pid in $(pids_of bulkhead-worker); do
    wait_for 10 gone "$pid"
  done
}

start_sshd
random_file disk 4

start_bulkhead "$dir/disk"
"$steps" "$uri" -- 0:write:1:a 0:flush 0:write:2:b
kill_both
export_name=next start_bulkhead "$dir/disk"
"$steps" "$uri" -- 0:write:3:c 0:noflush 0:flush 0:read:1:a 0:read:2:b
grep -q "may be lost" next.log || die "nobody says why"
ok "the next FLUSH fails, the one after it does not"

"$steps" "$uri" -- 0:write:1:d 0:flush
kill_both
export_name=third start_bulkhead "$dir/disk"
"$steps" "$uri" -- 0:flush 0:read:1:d
ok "what was flushed is not lost"

# In order: nobody is left who waits for a FLUSH.
"$steps" "$uri" -- 0:write:1:e
stop_nbdkit
wait_for 10 gone "$nbdkit_pid"
daemon=$(daemon_pids)
kill -KILL "$daemon"
wait_for 10 gone "$daemon"
export_name=fourth start_bulkhead "$dir/disk"
"$steps" "$uri" -- 0:flush 0:read:1:e
ok "a gateway that ended in order owes nothing"

# Also a daemon that was started for something else keeps it in mind.
"$steps" "$uri" -- 0:write:2:f
kill_both
random_file other 4
export_name=fifth start_bulkhead "$dir/other"
export_name=sixth start_bulkhead "$dir/disk"
"$steps" "$uri" -- 0:noflush 0:flush
ok "whichever volume the next daemon opens first"
