#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A file on a real server is the disk: what it says of itself, what is read,
# what is written, and that nbdkit ends when it is told to.
. "$(dirname "$0")/lib.sh"

start_sshd
random_file disk "$(mib 64)"
size=$(stat -c %s disk)

start_bulkhead "$dir/disk"
[ "$(nbdinfo --size "$uri")" = "$size" ] || die "size differs"
for can in read write flush fua multi-conn; do
  nbdinfo --can "$can" "$uri" || die "cannot $can"
done
! nbdinfo --is read-only "$uri" || die "read-only"
ok "size and capabilities"

nbdcopy "$uri" copy
[ "$(sha256 copy)" = "$(sha256 disk)" ] || die "the copy differs"
ok "a copy equals the file on the server"

random_file other "$(mib 64)"
nbdcopy --flush other "$uri"
[ "$(sha256 other)" = "$(sha256 disk)" ] || die "what was written differs"
ok "the file on the server equals what was copied to it"

"$model" --seconds 4 --connections 2 --depth 24 --out expected "$uri"
cmp expected disk
"$model" --ops 300 --depth 1 --seed 2 --max-bytes 65536 --out expected "$uri"
cmp expected disk
ok "random I/O over two connections, flushes and FUA equal a model"
stop_nbdkit

for readonly in readonly=true -r; do
  export_name=ro start_bulkhead "$dir/disk" "$readonly"
  nbdinfo --is read-only "$uri" || die "$readonly: not read-only"
  nbdcopy "$uri" copy
  cmp copy disk
  stop_nbdkit
done
chmod 0400 disk
if [ "$(id -u)" != 0 ]; then
  export_name=ro start_bulkhead "$dir/disk" readonly=true
  stop_nbdkit
fi
chmod 0600 disk
ok "readonly=true and -r"

# An odd size, smaller than any request.
printf 'thirteen here' >tiny
export_name=tiny start_bulkhead "$dir/tiny"
nbdcopy "$uri" copy
cmp copy tiny
stop_nbdkit
ok "a file of 13 bytes"
