#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The server renews the session's keys every 16 MiB, in the middle of transfers.
. "$(dirname "$0")/lib.sh"

start_sshd 'RekeyLimit 16M' 'LogLevel DEBUG1'
random_file disk "$(mib 256)"
start_bulkhead "$dir/disk"

rekeys () {
  grep -c 'rekey .* after\|set_newkeys: rekeying\|rekey out after' sshd.log || :
}

before=$(rekeys)
nbdcopy "$uri" copy
[ "$(sha256 copy)" = "$(sha256 disk)" ] || die "the copy differs"
after=$(rekeys)
[ "$after" -gt "$before" ] || die "the server did not rekey"
ok "$(mib 256) MiB read, equal"

random_file other "$(mib 256)"
nbdcopy --flush other "$uri"
[ "$(sha256 other)" = "$(sha256 disk)" ] || die "what was written differs"
[ "$(rekeys)" -gt "$after" ] || die "the server did not rekey"
ok "$(mib 256) MiB written, equal"
[ "$(grep -c 'Accepted publickey' sshd.log)" = 1 ] || die "more than one login"
ok "all in one session"
stop_nbdkit
