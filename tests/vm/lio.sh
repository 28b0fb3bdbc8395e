#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# iSCSI against the kernel's own target (LIO): CHAP by SHA3-256, which tgt does
# not know, one-way and mutual; then data, written and read.
time_limit=240
. "$(dirname "$0")/../system/lib.sh"
. "$lib_dir/../vm/vm.sh"

cat >script <<'EOF'
mount -t configfs configfs /sys/kernel/config
dd if=/dev/zero of=/tmp/lun bs=1M count=64 2>/dev/null
t=/sys/kernel/config/target
mkdir -p $t/core/fileio_0/disk
echo fd_dev_name=/tmp/lun,fd_dev_size=67108864 >$t/core/fileio_0/disk/control
echo 1 >$t/core/fileio_0/disk/enable
mkdir $t/iscsi
for n in one two; do
  q=$t/iscsi/iqn.2003-01.org.example:$n/tpgt_1
  mkdir -p $q/lun/lun_1 $q/np/10.0.2.15:3260
  ln -s $t/core/fileio_0/disk $q/lun/lun_1/disk
  echo 1 >$q/attrib/generate_node_acls
  echo 1 >$q/attrib/cache_dynamic_acls
  echo 0 >$q/attrib/demo_mode_write_protect
  echo 1 >$q/attrib/authentication
  echo CHAP >$q/param/AuthMethod
  echo -n me >$q/auth/userid
  echo -n 'sixteen letters!' >$q/auth/password
  if [ $n = two ]; then
    echo -n them >$q/auth/userid_mutual
    echo -n 'their own letters' >$q/auth/password_mutual
  fi
  echo 1 >$q/enable
done
echo "VM READY"
EOF
vm_start lio "iscsi_target_mod target_core_file sha3_generic" 3260 script
ok "the kernel's target is up: Linux $vm_version"

umask 077
printf 'sixteen letters!\n' >secret
printf 'another sixteen !\n' >wrong
printf 'their own letters\n' >theirs
url=iscsi://127.0.0.1:${vm_port[0]}/iqn.2003-01.org.example
random_file disk 8

# copies WHAT ARGUMENT…
copies () {
  local what=$1
  shift
  start_nbdkit lio bulkhead "$@"
  nbdcopy --flush disk "$uri"
  nbdcopy "$uri" copy
  cmp -n "$(stat -c %s disk)" disk copy || die "$what: other data came back"
  stop_nbdkit
  ok "$what"
}

copies "CHAP" "$url:one/1" user=me password=+secret
copies "mutual CHAP" "$url:two/1" user=me password=+secret \
  target-user=them target-password=+theirs
[ "$(grep -c 'logs in by CHAP with SHA3-256' runtime/bulkheadd.log)" = 1 ] \
  || die "the one login was not by SHA3-256"
[ "$(grep -c 'logs in by mutual CHAP with SHA3-256' runtime/bulkheadd.log)" = 1 ] \
  || die "the mutual login was not by SHA3-256"
ok "both by SHA3-256"
if "$run" nbdkit -U "$dir/s" --foreground bulkhead "$url:one/1" user=me \
  password=+wrong 2>refused.err; then
  die "a wrong password is taken"
fi
ok "a wrong password: $(head -n 1 refused.err)"
if "$run" nbdkit -U "$dir/s" --foreground bulkhead "$url:two/1" user=me \
  password=+secret target-user=them target-password=+wrong 2>refused.err; then
  die "a target that does not know its password is taken"
fi
ok "a target with a wrong password: $(head -n 1 refused.err)"
vm_stop
