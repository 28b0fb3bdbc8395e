#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The layers that hold a worker: of root's daemon, of a user's, and of a user's
# where user namespaces are forbidden. Each is served, and each is shown.
. "$(dirname "$0")/lib.sh"

start_sshd
random_file disk 4

# Who else we are: another uid if we are root, else ourselves.
who=()
if [ "$(id -u)" = 0 ]; then
  chmod 0711 "$dir"
  mkdir other
  cp id known_hosts other/
  chown -R 4001:4001 other
  chmod 0700 other
  who=(setpriv --reuid=4001 --regid=4001 --clear-groups)
  "${who[@]}" test -x "$run" || skip "other users cannot reach $run"
fi

# What a distribution does that forbids user namespaces: none may be made from
# here on, by a limit of a user namespace of our own.
without_namespaces () {
  "${who[@]}" unshare --user --map-current-user --keep-caps sh -c '
    echo 0 >/proc/sys/user/max_user_namespaces || exit 1
    exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all "$@"' \
    sh "$@"
}

# layers_of NAME FOLDER COMMAND…: serves the disk by a daemon and an nbdkit that
# are started by that command; sets $layers to what its log tells.
layers_of () {
  local name=$1 folder=$2 daemon log=$dir/$1-daemon.log
  shift 2
  BULKHEAD_RUNTIME_DIR=$folder/run "$@" "$run" bulkheadd --foreground \
    --private --idle-timeout=1 --log-level=debug >"$log" 2>&1 </dev/null &
  daemon=$!
  wait_for 10 grep -q 'serves' "$log" || die "$name: $(cat "$log")"
  BULKHEAD_RUNTIME_DIR=$folder/run HOME=$folder "$@" "$run" nbdkit -t 32 \
    -U "$folder/$name.sock" --run 'nbdcopy "$uri" '"$folder/$name.copy && \
    $run bulkhead status --json >$folder/$name.json && \
    $run bulkhead status >$folder/$name.status" \
    bulkhead "$(sftp_url "$dir/disk")" identity="$folder/id" \
    known-hosts="$folder/known_hosts" >"$name.log" 2>&1 </dev/null \
    || die "$name: $(cat "$name.log" "$log")"
  cmp "$folder/$name.copy" disk
  layers=$(sed -n 's/.*: worker [0-9]* sealed: //p' "$log" | head -n 1)
  shown=$(jq -r '[.volumes[].gateways[].workers[].layers[]] | join(" ")' \
    "$folder/$name.json")
  [ "$shown" = "$layers" ] || die "status shows: $shown; the log: $layers"
  for l in $layers; do
    grep -qw -- "$l" "$folder/$name.status" \
      || die "status has no $l in words: $(cat "$folder/$name.status")"
  done
  wait_for 20 gone "$daemon" || die "$name: the daemon does not end"
  wait "$daemon" || :
}

# has LAYER…, lacks LAYER…
has () {
  local l
  for l; do
    [[ " $layers " == *" $l "* ]] || die "no $l: $layers"
  done
}
lacks () {
  local l
  for l; do
    [[ " $layers " != *" $l "* ]] || die "$l after all: $layers"
  done
}

always=(no-new-privs seccomp rlimits non-dumpable no-capabilities)
namespaces=(mount-ns pid-ns net-ns ipc-ns uts-ns empty-root)

if [ "$(id -u)" = 0 ]; then
  layers_of root "$dir"
  has "${always[@]}" "${namespaces[@]}" unprivileged-uid
  lacks user-ns
  ok "root: $layers"
  folder=$dir/other
else
  folder=$dir
fi

layers_of user "$folder" "${who[@]}"
has "${always[@]}" "${namespaces[@]}" user-ns
lacks unprivileged-uid
ok "a user: $layers"
of_user=$layers

without_namespaces true 2>/dev/null || skip "no limit of user namespaces here"
! without_namespaces unshare --user true 2>/dev/null || die "no limit"
layers_of restricted "$folder" without_namespaces
has "${always[@]}"
lacks user-ns "${namespaces[@]}" unprivileged-uid
for l in $of_user; do
  case $l in landlock-*|no-exec-gain) has "$l" ;; esac
done
ok "a user without user namespaces: $layers"
