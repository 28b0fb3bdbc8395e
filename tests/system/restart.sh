#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The server goes away and comes back while I/O waits; and a network that
# resets connections.
. "$(dirname "$0")/lib.sh"

start_sshd
random_file disk 16
start_bulkhead "$dir/disk"

model_begins --seconds 8 --connections 2 --out expected "$uri"
stop_sshd
sleep 1 # the outage
alive "$client" || die "the client ended"
start_sshd
wait "$client" || die "the client saw an error"
cmp expected disk
ok "the server was gone for a second; the client saw no error"
stop_nbdkit

start_relay 2300
write_known_hosts relay_hosts 2300
start_nbdkit relayed bulkhead "sftp://$user@127.0.0.1:2300$dir/disk" \
  identity="$dir/id" known-hosts="$dir/relay_hosts"
model_begins --seconds 6 --seed 3 --out expected "$uri"
resets=0
while alive "$client" && [ "$resets" -lt 8 ]; do
  relay reset
  resets=$((resets + 1))
  sleep 0.5
done
wait "$client" || die "the client saw an error"
cmp expected disk
[ "$resets" -ge 5 ] || die "only $resets resets"
ok "the connection was reset $resets times; the client saw no error"
stop_nbdkit
