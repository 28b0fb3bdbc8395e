#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Limits by cgroups, in a kernel whose cgroups of version 2 have controllers, and
# where this one may divide its own.
time_limit=240
. "$(dirname "$0")/../system/lib.sh"
. "$lib_dir/../vm/vm.sh"

cat >script <<'EOF'
mount -t cgroup2 none /sys/fs/cgroup
cd /sys/fs/cgroup
echo '+memory +pids +cpu' >cgroup.subtree_control
mkdir ours shared
sh -c 'echo 0 >/sys/fs/cgroup/ours/cgroup.procs; exec /bin/cgroup-probe' \
  && echo "CGROUP HOLDS"
ls -d ours/*/ 2>/dev/null && echo "CGROUP LEFT"
# With somebody else in it, it is not the daemon's.
sh -c 'echo 0 >/sys/fs/cgroup/shared/cgroup.procs; sleep 1 & /bin/cgroup-probe
       echo "CGROUP STATUS $?"'
echo "VM READY"
EOF
vm_memory=1536
vm_programs=$BULKHEAD_BUILDDIR/tests/fake/cgroup-probe
vm_start cgroup "" "" script
grep -q 'CGROUP HOLDS' vm-cgroup.log || die "no limits: $(tail -n 9 vm-cgroup.log)"
ok "a process is held by memory.max and pids.max: $(grep -a 'fork:' vm-cgroup.log)"
! grep -q 'CGROUP LEFT' vm-cgroup.log || die "something is left"
grep -q 'CGROUP STATUS 77' vm-cgroup.log || die "it divides what is not its own"
ok "only its own cgroup is divided, and nothing stays"
