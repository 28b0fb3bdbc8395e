#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead attach for real: a Debian kernel in qemu, in which what make install
# has installed makes disks of an SFTP server, an iSCSI target and an NFS server
# outside of it. For each: mkfs, mount, random file operations against a model
# while workers are killed and nbdkit is, fstrim, unmount, fsck, detach.
time_limit=420
. "$(dirname "$0")/../system/lib.sh"
. "$lib_dir/../system/ganesha.sh"
. "$lib_dir/../system/tgt.sh"
. "$lib_dir/../vm/vm.sh"
. "$lib_dir/../vm/guest.sh"

# ------------------------------------------------------------------ the servers

start_sshd
truncate -s 40M sftp.img iscsi.img
need_ganesha
ganesha_export 1 "$dir/srv" "Access_Type = RW;"
truncate -s 40M srv/nfs.img
start_ganesha
make_targets () {
  tgt_target 1 "$iqn"
  tgt_lun 1 1 iscsi.img
  tgt_lun_params 1 1 thin_provisioning=1
  tgt_open 1
}
start_tgt make_targets
ok "servers are up"

# ------------------------------------------------------------------ the guest

guest_make attach nbd resize2fs
guest_ssh
guest_conf <<END2
volumes:
  sftp:
    url: sftp://$user@10.0.2.2:$sshd_port$dir/sftp.img
    identity: ~/key
    known-hosts: ~/known_hosts
  iscsi:
    url: iscsi://10.0.2.2:3261/$iqn/1
  nfs:
    url: nfs://10.0.2.2/pseudo1/nfs.img
    version: 4.2
END2

# BULKHEAD_VM_DISKS=nfs: that one alone
echo "names='${BULKHEAD_VM_DISKS:-sftp iscsi nfs}'" >script
cat >>script <<'EOF'
echo "VM READY"
. /etc/guest.sh

# Workers go, and once nbdkit.
disturb () {
  for i in 1 2; do
    sleep 1
    kill -KILL $(pidof bulkhead-worker) || :
  done
  was=$(pidof nbdkit)
  kill -KILL $was
  until_ok 60 nbdkit_is_another "$was"
}

# disk NAME SECONDS [TRIM]
disk () {
  device=$(bulkhead attach -n 2 --timeout 10 --size-check 2 "$1") || bad "attach $1"
  until_ok 5 state_is "${device#/dev/}" ready || bad "$(bulkhead list)"
  good "$1 is $device: $(cat /sys/block/${device#/dev/}/size) sectors"
  mkfs.ext4 -q -F -E nodiscard "$device" || bad "mkfs $1"
  mount -t ext4 "$device" /mnt || bad "mount $1"
  disturb &
  file-model /mnt/file 4000000 7 "$2" || bad "$1: other data"
  wait $! || bad "$1: nbdkit does not come back"
  cp /bin/busybox /mnt/copy
  sync
  [ -z "${3:-}" ] || fstrim -v /mnt || bad "fstrim $1"
  refused 6 "is mounted at /mnt" bulkhead detach "$device"
  refused 6 "already" bulkhead attach "$1"
  umount /mnt || bad "umount $1"
  e2fsck -f -n "$device" >fsck.out 2>&1 || bad "fsck $1: $(cat fsck.out)"
  no_io_errors "$1"
  until_ok 10 mount -t ext4 -o ro "$device" /mnt || {
    grep -l nbd /proc/[0-9]*/mountinfo
    bad "$1: still in use after umount"
  }
  cmp /bin/busybox /mnt/copy || bad "$1: another copy"
  umount /mnt
  ! bulkhead list --json | grep -q '"restarts": 0' || bad "$(bulkhead list)"
  [ "$1" = iscsi ] || grows "$1"
  bulkhead detach "$1" || bad "detach $1"
  all_gone
  good "$1: random operations, kills, a new nbdkit, trim, fsck; nothing left"
}

sectors_are () { # N
  [ "$(cat /sys/block/${device#/dev/}/size)" = "$1" ]
}

# grows NAME: while its file system is in use, which then takes the new part.
grows () {
  mount -t ext4 "$device" /mnt
  file-model /mnt/file 2000000 8 3 &
  echo "VM GROW $1"
  until_ok 20 sectors_are 98304 || bad "$1: $(cat /sys/block/${device#/dev/}/size)"
  resize2fs "$device" >resize.out 2>&1 || bad "$1: $(cat resize.out)"
  # More than there was; most of it without writing it.
  fallocate -l 26M /mnt/most || bad "$1: no room"
  dd if=/dev/zero of=/mnt/rest bs=1M count=8 conv=fsync 2>/dev/null || bad "$1: no room"
  wait $! || bad "$1: other data"
  umount /mnt
  e2fsck -f -n "$device" >fsck.out 2>&1 || bad "fsck $1: $(cat fsck.out)"
  no_io_errors "$1"
  good "$1: has grown in use, and is used to its new end"
}

load nbd nbds_max=8
for name in $names; do
  case $name in
    sftp) disk sftp 6 ;; # knows no trim
    *) disk $name 6 trim ;;
  esac
done
good "$names"
echo "VM DONE"
EOF
# What the guest says: that a file is to grow.
grow_when_told () {
  local name
  for name in ${BULKHEAD_VM_DISKS:-sftp iscsi nfs}; do
    [ $name != iscsi ] || continue
    until grep -aq "VM GROW $name" "$dir/vm-attach.log" 2>/dev/null; do sleep 0.2; done
    case $name in
      sftp) truncate -s 48M "$dir/sftp.img" ;;
      nfs) truncate -s 48M "$dir/srv/nfs.img" ;;
    esac
  done
}
grow_when_told &
guest_run attach 330
