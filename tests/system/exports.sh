#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# A directory URL: its files are NBD exports, listed and opened by name.
. "$(dirname "$0")/lib.sh"

# The exports that nbdinfo lists, as "name size", sorted.
listed () {
  nbdinfo --list --json "$uri" >list.json 2>list.err || return
  perl -MJSON::PP -e 'local $/; my $j = decode_json (<STDIN>);
    print join ",", sort map { "$_->{\"export-name\"} $_->{\"export-size\"}" }
      @{$j->{exports}};' <list.json
}

export_uri () {
  echo "nbd+unix:///$1?socket=$sock"
}

# content NAME: of an export, through nbdcopy.
content () {
  nbdcopy "$(export_uri "$1")" - 2>copy.err
}

refused () {
  ! nbdinfo "$(export_uri "$1")" >refused.out 2>&1
}

steps=$BULKHEAD_BUILDDIR/tests/system/nbd-steps

# Pages of one letter each.
pages () {
  local letter
  for letter; do head -c 4096 /dev/zero | tr '\0' "$letter"; done
}

start_sshd
mkdir -p files/sub empty
pages a b >files/one.img
pages p q r >'files/two words.img'
: >files/nothing
echo hidden >files/sub/deep
echo secret >outside
ln -s one.img files/link.img
ln -s sub files/linkdir
ln -s gone files/dangling
mkfifo files/fifo

# ---------------------------------------------------------------- the list
start_bulkhead "$dir/files/"
want='link.img 8192,nothing 0,one.img 8192,two words.img 12288'
got=$(listed) || die "$(cat list.err)"
[ "$got" = "$want" ] || die "listed are: $got"
grep -q '"description": "changed 20' list.json || die "no description"
nbdinfo --list "$uri" >list.txt 2>&1
grep -q 'export="two words.img"' list.txt || die "$(cat list.txt)"
ok "nbdinfo --list shows the regular files, their sizes and when they changed"

cmp <(content one.img) files/one.img
cmp <(content two%20words.img) "files/two words.img"
cmp <(content link.img) files/one.img
ok "an export is opened by its name"

# -------------------------------------------------------------- two at once
one=$(export_uri one.img) two=$(export_uri two%20words.img)
"$steps" "$one" "$two" "$one" -- 0:read:0:a 1:read:0:p 2:read:1:b 1:write:1:Q \
  0:write:1:B 2:read:1:B 1:read:1:Q 1:flush 0:flush 0:drop 2:read:1:B \
  2:write:0:A 2:flush 1:read:2:r >two.log
cmp files/one.img <(pages A B)
cmp 'files/two words.img' <(pages p Q r)
ok "two exports at once, and two connections to one of them"

# ------------------------------------------------------------------ refusals
for name in '' nowhere sub dangling .. . ../outside ..%2foutside %2fetc%2fpasswd \
    sub/deep one.img/ %0ax 'x%1b[2J' "$(printf 'x%.0s' {1..1100})"; do
  refused "$name" || die "not refused: $name: $(cat refused.out)"
done
grep -q 'the URL names a directory' export.log
grep -q 'leads out of the directory' export.log
grep -q 'there is no file' export.log
ok "the default export, unknown names and names that lead elsewhere are refused"

# ------------------------------------------------------------ as time goes by
echo later >files/later
got=$(listed)
[ "$got" = "later 6,$want" ] || die "listed are: $got"
[ "$(content later)" = later ]
rm files/later
refused later
ok "a file that appears later is listed and served"

# -------------------------------------------------------- the worker is killed
no_workers () {
  ! have_worker
}
wait_for 20 no_workers || die "workers of closed exports stay: $(worker_pids)"
ok "no worker stays when nobody has an export open"
"$steps" "$one" "$two" -- 0:tell:0:opened 0:await:0:killed 0:loop:1:20 \
  1:loop:1:20 0:write:1:Z 0:flush 1:write:0:Y 1:flush >killed.log 2>&1 &
client=$!
wait_for 30 test -e opened || die "$(cat killed.log)"
with_two_workers () {
  [ "$(worker_pids | wc -l)" = 2 ]
}
wait_for 20 with_two_workers || die "workers: $(worker_pids)"
for p in $(worker_pids); do kill -KILL "$p"; done
: >killed
wait "$client" || die "$(cat killed.log)"
cmp files/one.img <(pages A Z)
cmp 'files/two words.img' <(pages Y Q r)
[ "$(listed)" = "$want" ]
ok "each export has a worker, which may be killed"
stop_nbdkit

# -------------------------------------------- without a slash; empty; no such
export_name=plain start_bulkhead "$dir/files"
[ "$(listed)" = "$want" ]
stop_nbdkit
ok "a URL that turns out to be a directory is served as one"
export_name=empty start_bulkhead "$dir/empty/"
[ -z "$(listed)" ]
refused x
stop_nbdkit
ok "an empty directory has no exports"
if "$run" nbdkit -f -U "$dir/x.sock" bulkhead "$(sftp_url "$dir/none/")" \
    identity="$dir/id" known-hosts="$known_hosts" >none.log 2>&1; then
  die "a directory that is not there is served"
fi
grep -q 'there is no directory' none.log || die "$(cat none.log)"
if "$run" nbdkit -f -U "$dir/x.sock" bulkhead "$(sftp_url "$dir/outside/")" \
    identity="$dir/id" known-hosts="$known_hosts" >none.log 2>&1; then
  die "a file with a slash behind it is served"
fi
ok "a directory that is not there is refused in words"

# --------------------------------------- credentials are there for each export
# used ARGUMENT…: the list, then two exports at once.
used () {
  start_nbdkit login bulkhead "$(sftp_url "$dir/files/")" \
    known-hosts="$known_hosts" "$@"
  [ "$(listed)" = "$want" ] || die "$(cat list.err)"
  "$steps" "$(export_uri one.img)" "$(export_uri two%20words.img)" -- \
    0:read:0:A 1:read:0:Y >login.steps || die "$(cat login.steps)"
  [ "$(listed)" = "$want" ]
  stop_nbdkit
}

ssh-keygen -q -t ed25519 -N 'some words' -C locked -f locked
cat locked.pub >>authorized_keys
echo 'some words' >words
chmod 0600 words
used identity="$dir/locked" passphrase=+"$dir/words"
ok "a passphrase is there for every export"
SSH_ASKPASS=/bin/false ssh-agent -D -a "$dir/agent.sock" >agent.log 2>&1 &
agent_pid=$!
wait_for 10 agent_listens "$dir/agent.sock" || die "ssh-agent does not start"
SSH_AUTH_SOCK=$dir/agent.sock ssh-add -q "$dir/id"
used agent="$dir/agent.sock"
kill -TERM "$agent_pid"
ok "so is the agent, by a connection for each"
