#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead attach for real: a Debian kernel in qemu, in which what make install
# has installed makes disks of an SFTP server, an iSCSI target and an NFS server
# outside of it. For each: mkfs, mount, random file operations against a model
# while workers are killed and nbdkit is, fstrim, unmount, fsck, detach; and what
# attach and detach refuse.
time_limit=420
. "$(dirname "$0")/../system/lib.sh"
. "$lib_dir/../system/ganesha.sh"
. "$lib_dir/../system/tgt.sh"
. "$lib_dir/../vm/vm.sh"

for program in mkfs.ext4 e2fsck fstrim; do
  command -v $program >/dev/null || skip "no $program"
done

# ------------------------------------------------------------------ the servers

start_sshd
truncate -s 40M sftp.img iscsi.img grow.img
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

root=$dir/vm-attach
mkdir -p "$root"/{bin,usr,root/.config/bulkhead}
make -s -C "$BULKHEAD_BUILDDIR" install-exec install-pluginLTLIBRARIES \
  install-helperPROGRAMS DESTDIR="$root" >install.log 2>&1 \
  || die "make install: $(tail -n 5 install.log)"
copy_program () {
  local file
  for file; do
    mkdir -p "$root$(dirname "$file")"
    [ -e "$root$file" ] || cp -L "$file" "$root$file"
    # Its libraries, and the program that loads them.
    { ldd "$root$file" 2>/dev/null | grep -o '/[^ ]*' || :; } | while read -r library; do
      mkdir -p "$root$(dirname "$library")"
      [ -e "$root$library" ] || cp -L "$library" "$root$library"
    done
  done
}
copy_program "$(command -v nbdkit)" "$(command -v mkfs.ext4)" \
  "$(command -v e2fsck)" "$(command -v fstrim)" \
  $(ldconfig -p | awk '/libnss_files.so.2/ && !n++ { print $NF }') \
  $(cd "$root" && find usr/local usr/lib -type f \( -perm -100 -o -name '*.so' \) \
    -printf '/%p\n')
cp "$BULKHEAD_BUILDDIR/tests/vm/file-model" "$root/bin/"
copy_program /bin/file-model
find "$root/usr/local" "$root/usr/lib" -type f \( -perm -100 -o -name '*.so*' \) \
  -exec strip --strip-unneeded {} + 2>/dev/null || :
mkdir -p "$root/etc"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
cp "$dir/id" "$root/root/key"
chmod 600 "$root/root/key"
printf '[10.0.2.2]:%s %s\n' "$sshd_port" "$(cut -d' ' -f1,2 "$dir/hostkey.pub")" \
  >"$root/root/known_hosts"
cat >"$root/root/.config/bulkhead/bulkhead.conf" <<END
volumes:
  sftp:
    url: sftp://$user@10.0.2.2:$sshd_port$dir/sftp.img
    identity: ~/key
    known-hosts: ~/known_hosts
  grow:
    url: sftp://$user@10.0.2.2:$sshd_port$dir/grow.img
    identity: ~/key
    known-hosts: ~/known_hosts
    device: /dev/nbd5
  iscsi:
    url: iscsi://10.0.2.2:3261/$iqn/1
  nfs:
    url: nfs://10.0.2.2/pseudo1/nfs.img
    version: 4.2
END
chmod 600 "$root/root/.config/bulkhead/bulkhead.conf"

# BULKHEAD_VM_DISKS=nfs: that one alone
echo "names='${BULKHEAD_VM_DISKS:-sftp iscsi nfs}'" >script
cat >>script <<'EOF'
echo "VM READY"
export HOME=/root PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin
export LD_LIBRARY_PATH=
mkdir -p /run /mnt
mount -t tmpfs tmpfs /run
mount -t devpts devpts /dev/pts 2>/dev/null || mkdir -p /dev/pts
cd /tmp

bad () {
  echo "VM: $*"
  tail -n 20 /run/bulkhead/attach/attach.log /run/bulkhead/bulkheadd.log || :
  head /sys/block/nbd*/pid /sys/block/nbd*/backend /run/bulkhead/attach/*.json \
    || :
  ps || :
  dmesg | tail -n 15
  echo "VM BAD: $*"
  exit 1
}

good () {
  echo "VM OK: [$(cut -d' ' -f1 /proc/uptime)] $*"
}

# until SECONDS COMMAND…
until_ok () {
  n=$(($1 * 10))
  shift
  while ! "$@"; do
    n=$((n - 1))
    [ $n -gt 0 ] || return 1
    usleep 100000
  done
}

# refused STATUS REGEX COMMAND…
refused () {
  want=$1 regex=$2 status=0
  shift 2
  "$@" >said.out 2>said.err || status=$?
  [ "$status" = "$want" ] || bad "$*: status $status: $(cat said.err)"
  [ "$(wc -l <said.err)" -le 2 ] || bad "$*: $(cat said.err)"
  grep -Eq "$regex" said.err || bad "$*: $(cat said.err)"
  good "$(head -n 1 said.err)"
}

# Nothing that belongs to an attached disk.
nothing_left () {
  [ -z "$(pidof nbdkit)" ] && [ -z "$(cat /sys/block/nbd*/pid 2>/dev/null)" ] \
    && [ -z "$(ls /run/bulkhead/attach | grep -v '^attach\.')" ] \
    && [ -z "$(pidof bulkhead)" ]
}

state_is () {
  bulkhead list | grep -q "^/dev/$1 .* $2 "
}

nbdkit_is_another () {
  [ -n "$(pidof nbdkit)" ] && [ "$(pidof nbdkit)" != "$1" ]
}

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
  device=$(bulkhead attach -n 2 --timeout 10 "$1") || bad "attach $1"
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
  ! dmesg | grep -i 'I/O error' || bad "$1: errors"
  until_ok 10 mount -t ext4 -o ro "$device" /mnt || {
    grep -l nbd /proc/[0-9]*/mountinfo
    bad "$1: still in use after umount"
  }
  cmp /bin/busybox /mnt/copy || bad "$1: another copy"
  umount /mnt
  ! bulkhead list --json | grep -q '"restarts": 0' || bad "$(bulkhead list)"
  bulkhead detach "$1" || bad "detach $1"
  until_ok 10 nothing_left || bad "$1 leaves $(ls /run/bulkhead/attach; ps)"
  good "$1: random operations, kills, a new nbdkit, trim, fsck; nothing left"
}

refused 7 "nbd driver is not loaded" bulkhead attach sftp
insmod /mod/nbd.ko nbds_max=8 || bad "no nbd.ko"

for name in $names; do
  case $name in
    sftp) disk sftp 6 ;; # knows no trim
    *) disk $name 6 trim ;;
  esac
done
good "$names"
echo "VM DONE"
EOF
modprobe -d "$BULKHEAD_VM_KERNEL" -S "$vm_version" --show-depends nbd \
  | while read -r _ m _; do mkdir -p "$root/mod"; cp "$m" "$root/mod/"; done
vm_start attach "ext4 crc32c_generic virtio_net" "" script
vm_is_done () {
  grep -aq 'VM DONE\|VM BAD\|VM FAILED\|Kernel panic' "$dir/vm-attach.log" \
    || ! kill -0 "$vm_pid" 2>/dev/null
}
wait_for 330 vm_is_done || { tail -n 30 vm-attach.log; die "it takes too long"; }
sed -n 's/\r$//; s/^VM OK: /PASS: attach: /p' vm-attach.log
grep -aq 'VM DONE' vm-attach.log || { tail -n 60 vm-attach.log; die "in the guest"; }
vm_stop
