#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Workers are killed while a disk is copied both ways and while random I/O runs:
# at least 20 inside each, and the client sees no error and the right bytes.
time_limit=400
. "$(dirname "$0")/lib.sh"

every=0.2
at_least=20
rate=$((16 << 20))
if [ -n "$small" ]; then
  # A login of this build takes longer; what was not proven in one session's
  # life is sent again in the next one's.
  every=0.8
  at_least=6
  rate=$((4 << 20))
fi

# The relay's throttle makes the copies long enough.
start_sshd
start_relay 2300 --throttle "$rate"
write_known_hosts relay_hosts 2300
random_file disk "$(mib 96)"
start_nbdkit export bulkhead "sftp://$user@127.0.0.1:2300$dir/disk" \
  identity="$dir/id" known-hosts="$dir/relay_hosts"

with_kills "$every" nbdcopy "$uri" copy
[ "$kills" -ge "$at_least" ] || die "only $kills kills inside the copy"
[ "$(sha256 copy)" = "$(sha256 disk)" ] || die "the copy differs"
ok "copied from the server with $kills workers killed"

random_file other "$(mib 24)"
with_kills "$every" nbdcopy --flush other "$uri"
[ "$kills" -ge "$at_least" ] || die "only $kills kills inside the copy"
cmp -n "$(stat -c %s other)" other disk || die "what was written differs"
ok "copied to the server with $kills workers killed"

# Random I/O takes as long as it is told to.
stop_nbdkit
relay throttle 0
random_file small 16
start_nbdkit model bulkhead "sftp://$user@127.0.0.1:2300$dir/small" \
  identity="$dir/id" known-hosts="$dir/relay_hosts"
with_kills "$every" "$model" --seconds 8 --connections 2 \
  --max-bytes 262144 --out expected "$uri"
[ "$kills" -ge "$at_least" ] || die "only $kills kills inside the model's run"
cmp expected small
ok "random I/O equals the model with $kills workers killed"

alive "$nbdkit_pid" || die "nbdkit has gone"
stop_nbdkit
