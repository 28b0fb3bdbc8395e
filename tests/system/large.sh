#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Offsets beyond 2 TiB, in a sparse file of 3 TiB.
. "$(dirname "$0")/lib.sh"

start_sshd
truncate -s 3T disk || die "the scratch folder's file system is too small"
offset=$((2560 << 30))

# A window of 8 MiB around a place beyond 2 TiB, by nbdkit's offset filter.
start_nbdkit export --filter=offset bulkhead "$(sftp_url "$dir/disk")" \
  identity="$dir/id" known-hosts="$known_hosts" offset="$offset" range=8M
random_file data 8
nbdcopy --flush data "$uri"
nbdcopy "$uri" copy
cmp copy data
dd if=disk bs=1M skip=$((offset >> 20)) count=8 status=none | cmp - data
ok "8 MiB at 2.5 TiB, written and read"
"$model" --ops 500 --out expected "$uri"
dd if=disk bs=1M skip=$((offset >> 20)) count=8 status=none | cmp - expected
ok "random I/O there"
[ "$(du -m disk | cut -f1)" -lt 64 ] || die "it wrote somewhere else, too"
ok "and nowhere else"
stop_nbdkit

export_name=whole start_bulkhead "$dir/disk"
[ "$(nbdinfo --size "$uri")" = $((3 << 40)) ] || die "size"
stop_nbdkit
ok "the size is 3 TiB"
