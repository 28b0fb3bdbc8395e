#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead copy between files, volumes and NBD servers: what arrives, the bar on a
# terminal, an interrupted copy that goes on, checksums, what is refused; and
# bulkhead bench, which leaves everything as it was.
. "$(dirname "$0")/lib.sh"

export BULKHEAD_RUN=$run
size=$(mib 24)

bulkhead () {
  "$run" bulkhead "$@"
}

# fails STATUS REGEX ARGUMENT…: in one or two lines
fails () {
  local want=$1 regex=$2 code=0
  shift 2
  bulkhead "$@" >said.out 2>said.err </dev/null || code=$?
  [ "$code" = "$want" ] || die "bulkhead $*: status $code: $(cat said.err)"
  [ "$(wc -l <said.err)" -le 2 ] && grep -Eq -- "$regex" said.err \
    || die "bulkhead $*: $(cat said.err)"
}

start_sshd
random_file source.img "$size"
# a hole in the middle, and a size that is no multiple of anything
dd if=/dev/zero of=source.img bs=1M seek=2 count=3 conv=notrunc status=none
truncate -s +777 source.img
key=(identity="$dir/id" known-hosts="$known_hosts")
bytes=$(stat -c %s source.img)
sum=$(sha256 source.img)

# ------------------------------------------------------------------ to and fro

truncate -s "$bytes" remote.img
bulkhead copy ./source.img "$(sftp_url "$dir/remote.img")" "${key[@]}" \
  --checksum >out 2>err || die "to a volume: $(cat err)"
cmp source.img remote.img || die "to a volume: something else"
grep -q "^$sum  sftp://" out || die "the checksum: $(cat out)"
! grep -q $'\r' err || die "a bar in a file"
bulkhead copy --json "$(sftp_url "$dir/remote.img")" "${key[@]}" ./back.img \
  -c >out || die "to a file"
documented copy out
cmp source.img back.img || die "to a file: something else"
[ "$(jq -r '[.bytes, .sha256] | join(" ")' out)" = "$bytes $sum" ] \
  || die "JSON: $(cat out)"
[ "$(($(stat -c %b back.img) * 512))" -lt $((bytes - 2097152)) ] \
  || die "the hole is filled"
ok "a file becomes a volume and a volume a file, with the checksum of both"

truncate -s $((bytes + 7 * 512)) remote.img
start_bulkhead "$dir/remote.img"
dd if=/dev/urandom of=other.img bs=64k count=40 status=none
bulkhead copy -q other.img "$uri" || die "to an NBD server"
stop_nbdkit
cmp -n $((64 * 1024 * 40)) other.img remote.img || die "NBD: something else"
cmp -n 65536 -i $((64 * 1024 * 40)) source.img remote.img \
  || die "what is behind it was touched"
ok "an NBD server is an end, too; what is behind the end stays"

# ------------------------------------------------------------------ interrupted

slow=127.0.0.1:2223
write_known_hosts "$dir/known_slow" 2223
start_relay 2223 --throttle $((size * 1048576 / 10))
rm -f dst.img
# One part after the other, so that some are done and some are not.
copy=(bulkhead copy --requests=1 "sftp://$user@$slow$dir/source.img" identity="$dir/id"
  known-hosts="$dir/known_slow" ./dst.img)
"${copy[@]}" >copy.log 2>&1 &
copying=$!
some_came () {
  [ -e dst.img ] && [ "$(($(stat -c %b dst.img) * 512))" -gt 500000 ]
}
wait_for 20 some_came || die "nothing comes: $(cat copy.log)"
pid=$(pgrep --exact bulkhead | head -n 1)
kill -INT "$pid"
code=0
wait "$copying" || code=$?
[ "$code" = 1 ] && grep -q 'goes on from there' copy.log \
  || die "interrupted: $code: $(cat copy.log)"
state=$(echo "$HOME"/.local/state/bulkhead/copy-*)
[ -s "$state" ] || die "no state"
cp "$state" state.copy
cp dst.img dst.copy
ok "an interrupted copy ends in order and notes what is done"

# Of another source, of another destination, damaged.
cp -p source.img source.copy
touch source.img
fails 2 'has changed' "${copy[@]:1}"
touch -r source.copy source.img
mv dst.img moved.img
fails 2 'destination is another' "${copy[@]:1}"
mv moved.img dst.img
printf 'x' | dd of="$state" bs=1 seek=40 conv=notrunc status=none
fails 1 'state .* is damaged' "${copy[@]:1}"
cp state.copy "$state"
ok "a state of something else, or a damaged one, is refused"

relay throttle 0
# What is there already does not come again: spoil it, and see it stay.
printf 'spoilt' | dd of=dst.img bs=1 seek=100 conv=notrunc status=none
code=0
"${copy[@]}" --checksum >copy.log 2>&1 || code=$?
grep -q 'goes on' copy.log || die "it begins anew: $(cat copy.log)"
[ "$code" = 8 ] && grep -q 'is not what was written' copy.log \
  || die "the checksum has not seen it: $code: $(cat copy.log)"
cp state.copy "$state"
cp --no-preserve=all dst.copy dst.data
cat dst.data >dst.img
"${copy[@]}" --checksum >copy.log 2>&1 || die "going on: $(cat copy.log)"
grep -q 'goes on' copy.log || die "it begins anew: $(cat copy.log)"
cmp source.img dst.img || die "going on: something else"
[ ! -e "$state" ] || die "the state stays"
ok "the same command goes on, does nothing twice, and --checksum sees a fault"

# Killed, with no chance to note anything, and both ends are volumes.
relay throttle $((size * 1048576 / 10))
truncate -s "$bytes" far.img
far=("${copy[@]:0:6}" "$(sftp_url "$dir/far.img")" "${key[@]}")
"${far[@]}" >copy.log 2>&1 &
copying=$!
noted () {
  compgen -G "$HOME/.local/state/bulkhead/copy-*" >/dev/null
}
wait_for 20 noted || die "nothing is noted: $(cat copy.log)"
kill -KILL "$(pgrep --exact bulkhead | head -n 1)"
! wait "$copying" 2>/dev/null || die "it was not killed"
relay throttle 0
! cmp -s source.img far.img || die "it was there already"
"${far[@]}" --checksum >copy.log 2>&1 || die "after SIGKILL: $(cat copy.log)"
grep -Eq 'goes on: [1-9][0-9]* of' copy.log || die "anew: $(cat copy.log)"
cmp source.img far.img || die "after SIGKILL: something else"
ok "after SIGKILL, too, from one server to another: $(grep -o 'goes on.*' copy.log)"

# A disk that is full, here and at the server; when there is room it goes on.
if [ "$(id -u)" = 0 ]; then
  mkdir full
  mount -t tmpfs -o size=2M tmpfs full
  fails 1 'full/x.img at [0-9]+: No space left on device' copy --requests=1 \
    ./source.img full/x.img
  grep -q 'the same command goes on' said.err || die "$(cat said.err)"
  mount -o remount,size=64M full
  bulkhead copy --requests=1 ./source.img full/x.img >copy.log 2>&1 \
    || die "with room: $(cat copy.log)"
  grep -q 'goes on: [1-9]' copy.log || die "with room: $(cat copy.log)"
  cmp source.img full/x.img || die "with room: something else"
  # What was noted of a file that has been emptied since is not so any more.
  rm full/x.img
  mount -o remount,size=2M full
  fails 1 'full/x.img at [0-9]+: No space left on device' copy --requests=1 \
    ./source.img full/x.img
  mount -o remount,size=64M full
  : >full/x.img
  bulkhead copy --requests=1 ./source.img full/x.img >copy.log 2>&1 \
    || die "emptied: $(cat copy.log)"
  cmp source.img full/x.img || die "emptied: something else"
  rm full/x.img
  truncate -s "$bytes" full/y.img
  mount -o remount,size=2M full
  fails 1 'y.img at [0-9]+: ' copy ./source.img "$(sftp_url "$dir/full/y.img")" \
    "${key[@]}"
  mount -o remount,size=64M full
  bulkhead copy -q ./source.img "$(sftp_url "$dir/full/y.img")" "${key[@]}" \
    2>copy.log || die "with room at the server: $(cat copy.log)"
  cmp source.img full/y.img || die "with room at the server: something else"
  umount full
  ok "a full disk is told, and the copy goes on when there is room"
fi

# ----------------------------------------------------------------------- refused

fails 2 'missing' copy ./source.img
fails 2 'are the same' copy ./source.img ./source.img
fails 2 'are the same' copy "$(sftp_url "$dir/remote.img")" "${key[@]}" \
  "$(sftp_url "$dir/remote.img")" "${key[@]}"
truncate -s 1M small.img
fails 1 'needed' copy ./source.img "$(sftp_url "$dir/small.img")" "${key[@]}"
fails 2 'no number|not a number' copy --requests=0 ./source.img ./x.img
[ ! -e x.img ] || die "a file was made"
ok "what cannot be is told in one or two lines"

# ----------------------------------------------------------------------- the bar

if command -v tmux >/dev/null; then
  export TERM=screen
  relay throttle $((size * 1048576 / 8))
  rm -f dst.img
  tmux -S "$dir/tmux" -f /dev/null new-session -d -s bar -x 80 -y 24 \
    "$run bulkhead copy --requests=1 sftp://$user@$slow$dir/source.img identity=$dir/id \
      known-hosts=$dir/known_slow ./dst.img; read -r _"
  bar () {
    tmux -S "$dir/tmux" capture-pane -p -t bar | grep -Eq -- "$1"
  }
  wait_for 20 bar 'copy \[#+ +\] +[1-9][0-9]? %.*/s' \
    || die "no bar: $(tmux -S "$dir/tmux" capture-pane -p -t bar)"
  relay throttle 0
  wait_for 30 bar 'copy \[#+\] +100 %' \
    || die "it does not end: $(tmux -S "$dir/tmux" capture-pane -p -t bar)"
  tmux -S "$dir/tmux" kill-server
  cmp source.img dst.img || die "with a bar: something else"
  ok "on a terminal a bar shows how far it is"
fi

# ------------------------------------------------------------------------- bench

cp source.img remote.img
truncate -s "$((size * 1048576))" remote.img
before=$(sha256 remote.img)
bulkhead bench --seconds=1 --write --json "$(sftp_url "$dir/remote.img")" \
  "${key[@]}" >out 2>err || die "bench: $(cat err)"
[ "$(sha256 remote.img)" = "$before" ] || die "bench has changed it"
documented bench out
[ "$(jq '.results | length' out)" = 8 ] || die "bench: $(cat out)"
jq -e '[.results[] | .requests > 0 and .latency.p50_ns > 0
  and .latency.p50_ns <= .latency.p99_ns and .seconds < 10] | all' out \
  >/dev/null || die "bench: $(cat out)"
jq -e '[.results[] | select(.cached)] | length == 2' out >/dev/null \
  || die "bench: $(cat out)"
start_bulkhead "$dir/remote.img"
fails 6 'serves this volume' bench --seconds=1 --write \
  "$(sftp_url "$dir/remote.img")" "${key[@]}"
stop_nbdkit
# By a server that refuses whatever would change anything.
sed "s/^Subsystem.*/& -R/; s/^Port.*/Port 2224/; s/sshd.pid/sshd-R.pid/" \
  sshd_config >sshd_R_config
/usr/sbin/sshd -D -e -f "$dir/sshd_R_config" 2>>sshd.log &
wait_for 10 test -s sshd-R.pid || die "the other sshd does not start"
write_known_hosts "$dir/known_R" 2224
touched=$(stat -c '%y %z' remote.img)
bulkhead bench --seconds=1 "sftp://$user@127.0.0.1:2224$dir/remote.img" \
  identity="$dir/id" known-hosts="$dir/known_R" >out 2>err \
  || die "bench: $(cat err)"
fails 4 'can only be read' bench --write \
  "sftp://$user@127.0.0.1:2224$dir/remote.img" known-hosts="$dir/known_R" \
  identity="$dir/id"
[ "$(stat -c '%y %z' remote.img)" = "$touched" ] || die "bench touches it"
grep -q 'random read, 4 KiB, depth 32 ' out || die "bench: $(cat out)"
! grep -q write out || die "bench writes unasked"
[ "$(sha256 remote.img)" = "$before" ] || die "bench has changed it"
[ -z "$(ls -d "$dir"/bulkhead-bench-* 2>/dev/null)" ] || die "bench leaves things"
ok "bench measures, and leaves all as it was"
