#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead doctor: each check on a machine that lacks just that, as far as one can
# be made here: personality, seccomp, namespaces, limits, other programs in front.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "modules and limits are faked by mounts: needs root"
export BULKHEAD_RUN=$run
without=$BULKHEAD_BUILDDIR/tests/fake/without
chmod 700 "$dir"

# finds STATUS CHECK HEALTH FOUND MEND COMMAND…: what it says of that check when
# it is run by the command; "" as MEND: it is well
finds () {
  local want=$1 check=$2 health=$3 found=$4 mend=$5 status=0
  shift 5
  "$@" bulkhead doctor --json >list 2>err || status=$?
  [ "$status" = "$want" ] || die "$check: status $status: $(cat list err)"
  jq -e --arg c "$check" --arg h "$health" --arg f "$found" --arg m "$mend" '
    .[] | select(.check == $c) | .health == $h and (.found | test($f))
      and if $m == "" then .mend == null else .mend | test($m) end' \
    list >/dev/null || die "$check: $(jq -c ".[] | select(.check == \"$check\")" list)"
}
in_run=("$run" env)

finds 0 kernel ok 'Linux [5-9]' '' "${in_run[@]}"
finds 0 seccomp ok . '' "${in_run[@]}"
finds 7 kernel missing '2\.6.*5.10 or newer' 'linux-image' \
  "${in_run[@]}" setarch --uname-2.6
finds 7 seccomp missing 'no seccomp filters' 'SECCOMP_FILTER' \
  "${in_run[@]}" "$without" 38 seccomp
finds 0 landlock weaker 'not available' 'CONFIG_SECURITY_LANDLOCK' \
  "${in_run[@]}" "$without" 38 landlock_create_ruleset
finds 0 landlock weaker 'not available' 'landlock to lsm=' \
  "${in_run[@]}" "$without" 95 landlock_create_ruleset
finds 0 namespaces weaker 'not for this user' 'unshare' \
  "${in_run[@]}" "$without" 1 unshare
cat >no-users <<'END'
echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"
END
# root of a namespace of users, which allows no other one
finds 0 namespaces weaker 'all but user' 'user.max_user_namespaces' \
  unshare --user --map-root-user bash no-users "${in_run[@]}"
finds 0 namespaces weaker 'not for this user' 'user.max_user_namespaces' \
  unshare --user --map-root-user bash no-users \
  setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "${in_run[@]}"
finds 0 limits weaker 'at most 300 open files.*about 10 volumes' 'LimitNOFILE' \
  prlimit --nofile=300:300 "${in_run[@]}"
ok "kernel, seccomp, Landlock, namespaces and limits"

# What /lib/modules has decides what mends it.
if [ ! -e /sys/module/nbd ]; then
  mkdir /run/lib /run/work
  mount -t overlay overlay -o \
    lowerdir=/usr/lib,upperdir=/run/lib,workdir=/run/work /usr/lib
  rm -rf /lib/modules
  finds 0 'nbd module' weaker 'has no nbd module' 'linux-image' "${in_run[@]}"
  mkdir -p "/lib/modules/$(uname -r)"
  echo 'kernel/drivers/block/nbd.ko.xz:' >"/lib/modules/$(uname -r)/modules.dep"
  finds 0 'nbd module' weaker 'not loaded' 'modprobe nbd' "${in_run[@]}"
  ok "the nbd module"
fi

mkdir bin empty
finds 7 nbdkit missing 'no nbdkit' 'install nbdkit' \
  "${in_run[@]}" env PATH="$BULKHEAD_BUILDDIR:$dir/empty"
printf '#!/bin/sh\necho version=1.30.9\n' >bin/nbdkit
chmod 755 bin/nbdkit
finds 7 nbdkit missing '1.30.9; 1.32 or newer' 'install nbdkit' \
  "${in_run[@]}" env PATH="$dir/bin:$PATH:$BULKHEAD_BUILDDIR"
printf '#!/bin/sh\necho version=1.32.1\necho bulkhead_version=9.9.9\n' >bin/other
chmod 755 bin/other
finds 7 plugin missing 'of version 9.9.9, this program' 'make install' \
  "${in_run[@]}" env BULKHEAD_RUN="$dir/bin/other"
finds 7 plugin missing 'cannot load' 'make install' \
  "${in_run[@]}" env BULKHEAD_RUN=/nowhere
for check in bulkheadd worker resolver relay; do
  finds 7 $check missing 'No such file' 'BULKHEAD_LIBEXEC_DIR' \
    "${in_run[@]}" env BULKHEAD_LIBEXEC_DIR="$dir/empty"
done
ok "programs that are missing, or of another version"

chmod 755 runtime
finds 7 'runtime folder' missing 'open to others' 'chmod 700' "${in_run[@]}"
chmod 700 runtime
finds 7 'runtime folder' missing 'nowhere' '.' \
  "${in_run[@]}" env BULKHEAD_RUNTIME_DIR=/nowhere/at/all
mkdir -m 700 /run/own
finds 0 'runtime folder' ok '/run/own' '' \
  "${in_run[@]}" env BULKHEAD_RUNTIME_DIR=/run/own
finds 0 daemon ok 'none runs' '' "${in_run[@]}"
"$BULKHEAD_BUILDDIR/tests/fake/other-daemon" runtime/bulkheadd.sock version 77 \
  >other.log &
wait_for 10 grep -q ready other.log || die "the other daemon does not start"
finds 7 daemon missing 'speaks version 77' "kill $!" "${in_run[@]}"
kill $!
ok "the runtime folder, and a daemon of another version"

# For people: the same, with what mends it below.
"$run" bulkhead doctor >text || [ $? = 7 ]
grep -q '^kernel  *ok  *Linux' text || die "$(cat text)"
awk '/(weaker|missing)/ { want = NR + 1 } /to mend it: ./ { ok += NR == want }
  END { exit !ok }' text || die "$(cat text)"
[ -z "$("$run" bulkhead doctor -q || :)" ] || die "--quiet is not"
ok "in words"
