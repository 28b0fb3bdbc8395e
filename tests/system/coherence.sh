#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# One truth over four gateway processes: see coherence.c.
time_limit=120
. "$(dirname "$0")/lib.sh"

# Whoever starts a daemon, one gets a cache that the volume does not fit into.
mkdir libexec
ln -s "$BULKHEAD_BUILDDIR"/bulkhead-* libexec/
cat >libexec/bulkheadd <<EOT
#!/bin/sh
exec "$BULKHEAD_BUILDDIR/bulkheadd" --cache-size=6M "\$@"
EOT
chmod +x libexec/bulkheadd
export BULKHEAD_LIBEXEC_DIR=$dir/libexec

start_sshd

# check SECONDS OPTION…: prints what was counted. Each has a volume of its own:
# the daemon still has pages of the one before.
checks=0
check () {
  local seconds=$1 disk
  shift
  disk=disk$((++checks))
  truncate -s 16M $disk
  "$BULKHEAD_BUILDDIR/tests/system/coherence" --seconds "$seconds" \
    --dir "$dir" --file $disk "$@" "$run" nbdkit -f -t 32 -U @SOCKET@ \
    -D bulkhead.stats=1 bulkhead "$(sftp_url "$dir/$disk")" \
    identity="$dir/id" known-hosts="$known_hosts" >check.log 2>&1 \
    || die "$(cat check.log)"
  cat check.log
}

# counted NAME LEAST: a number before a name in what was printed.
counted () {
  local n least=$2
  [ -z "$small" ] || least=$((least / 4)) # a slow build
  n=$(grep -o "[0-9]* $1" check.log | head -n 1)
  [ "${n%% *}" -ge "$least" ] || die "only $n"
}

check 6
counted 'pages from the cache' 2000
counted writes 100
ok "four gateways read and write one truth"
check 10 --seed 2 --kill-workers 500 --kill-gateways 1200
counted workers 4
counted gateways 4
ok "the same while workers and gateways are killed"
check 10 --seed 3 --kill-daemon 2000 --kill-gateways 1500 --kill-workers 1000
counted daemons 2
ok "the same while the daemon is killed, too"
