#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Attached disks under systemd, as bulkhead-attach(1) says, word for word: a
# Debian kernel in qemu with systemd as process 1, and udev. A volume that
# /etc/fstab mounts at boot, one that is attached and mounted by hand; a
# supervisor that is killed comes back; and the machine goes down while both are
# written to: nothing is lost, file systems are clean, and it does not take long.
time_limit=300
. "$(dirname "$0")/../system/lib.sh"
. "$lib_dir/../vm/vm.sh"
. "$lib_dir/../vm/guest.sh"
units=/lib/systemd/system
for program in /lib/systemd/systemd debugfs dumpe2fs; do
  command -v $program >/dev/null || skip "no $program"
done
udev=$BULKHEAD_VM_KERNEL/udev
[ -d "$udev" ] || skip "no $udev: make check-vm says how"

start_sshd
truncate -s 1M hand2.img
for name in boot hand; do
  truncate -s 32M $name.img
  mkfs.ext4 -q -F $name.img
done

guest_make systemd "nbd" mount umount
guest_ssh
guest_conf <<END
volumes:
  boot:
    url: sftp://$user@10.0.2.2:$sshd_port$dir/boot.img
    device: /dev/nbd3
    identity: ~/key
    known-hosts: ~/known_hosts
  hand:
    url: sftp://$user@10.0.2.2:$sshd_port$dir/hand.img
    identity: ~/key
    known-hosts: ~/known_hosts
  hand2:
    url: sftp://$user@10.0.2.2:$sshd_port$dir/hand2.img
    identity: ~/key
    known-hosts: ~/known_hosts
END

# ------------------------------------------------------- systemd, and what it needs

copy_program /lib/systemd/systemd /lib/systemd/systemd-shutdown \
  /lib/systemd/systemd-fsck /lib/systemd/system-generators/systemd-fstab-generator \
  "$(command -v systemctl)" "$(command -v systemd-run)"
for program in mount umount; do # where systemd looks for them
  cp -L "$(command -v $program)" "$root/bin/$program"
done
mkdir -p "$root$units" "$root/etc/systemd/system" "$root/lib/udev/rules.d"
cp -P $units/*.target $units/*.slice $units/systemd-poweroff.service \
  $units/systemd-fsck@.service "$root$units/"
copy_program_of () { # DIR FILE: as copy_program, out of an unpacked package
  mkdir -p "$root$(dirname "$2")"
  cp -L "$1$2" "$root$2"
  ldd "$1$2" | grep -o '/[^ ]*' | while read -r library; do
    [ -e "$root$library" ] || cp -L --parents "$library" "$root"
  done
}
copy_program_of "$udev" /bin/udevadm
ln -s /bin/udevadm "$root/lib/systemd/systemd-udevd"
cp "$udev$units"/systemd-udev*.{service,socket} "$root$units/"
cp "$udev"/lib/udev/rules.d/{50-udev-default,60-block,60-persistent-storage,99-systemd}.rules \
  /lib/udev/rules.d/99-systemd.rules "$root/lib/udev/rules.d/" 2>/dev/null || :
[ -s "$root/lib/udev/rules.d/99-systemd.rules" ] || die "no rules of udev"
mkdir -p "$root$units/sysinit.target.wants"
for unit in systemd-udevd systemd-udev-trigger; do
  ln -s ../$unit.service "$root$units/sysinit.target.wants/"
done
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
printf '%s\n' 'ID=debian' >"$root/etc/os-release"
printf '%s\n' root:x:0: >"$root/etc/group"
printf '[Manager]\nDefaultStandardOutput=journal+console\nDefaultStandardError=journal+console\n' \
  >"$root/etc/systemd/system.conf"

# What the manual page says, word for word, as it is shown: without the margin.
page=$lib_dir/../../docs/bulkhead-attach.pod
sed -n '/^=head1 AT BOOT/,/^=head1 FILES/s/^ //p' "$page" >said
unit="$root/etc/systemd/system/bulkhead-attach@.service"
sed -n '/^\[Unit\]/,/^WantedBy/p' said >"$unit"
grep '^/dev/nbd3' said >"$root/etc/fstab"
systemctl --root="$root" --quiet enable bulkhead-attach@boot remote-fs.target
# (busybox's shell takes its own mount otherwise, which does not note _netdev.)
by_hand=$(grep '^mount -o' said \
  | sed 's|^mount|/bin/mount|; s|/dev/nbd3|"$device"|; s|/mnt|/hand|')
[ -n "$by_hand" ] && [ -s "$root/etc/fstab" ] && grep -q '^KillMode' "$unit" \
  || die "the manual page says other things: $(cat said)"

cat >"$root/etc/systemd/system/default.target" <<'END'
[Unit]
Requires=multi-user.target
After=multi-user.target
AllowIsolate=yes
END
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/hand"
cat >"$root/etc/systemd/system/check.service" <<'END'
[Unit]
After=remote-fs.target
[Service]
Type=oneshot
ExecStart=/bin/sh -e /etc/script
StandardOutput=file:/dev/console
StandardError=file:/dev/console
[Install]
WantedBy=multi-user.target
END
systemctl --root="$root" --quiet enable check.service
cat >"$root/etc/init" <<'END'
#!/bin/sh
mkdir -p /hand
sh -e -c '. /etc/guest.sh; load nbd nbds_max=8'
umount /run
exec /lib/systemd/systemd --log-target=console --log-level=info
END
chmod 0755 "$root/etc/init"

{
  printf '%s\n' 'echo "VM READY"' '. /etc/guest.sh' "mount_by_hand () { $by_hand; }"
  cat <<'EOF'
is_mounted () {
  grep -q "^/dev/$1 $2 " /proc/mounts
}
until_ok 30 is_mounted nbd3 /mnt || bad "$(systemctl status mnt.mount 'bulkhead*')"
good "mounted at boot: $(grep nbd3 /proc/mounts)"

systemctl start bulkhead-attach@hand || bad "$(systemctl status 'bulkhead*')"
device=$(bulkhead list | sed -n 's|^\(/dev/nbd[0-9]*\) .* ready .* hand$|\1|p')
[ -n "$device" ] || bad "started, and not ready: $(bulkhead list)"
systemctl stop bulkhead-attach@hand || bad "stop"
! bulkhead list | grep ' hand$' || bad "stopped, and attached"
systemctl start bulkhead-attach@hand || bad "again"
mount_by_hand || bad "mount $device"
good "attached by a service, and mounted by hand: $(grep hand /proc/mounts)"

main=$(systemctl show -P MainPID bulkhead-attach@boot)
kill -KILL "$main"
is_another () {
  new=$(systemctl show -P MainPID bulkhead-attach@boot)
  [ "$new" != 0 ] && [ "$new" != "$main" ] && state_is nbd3 ready
}
until_ok 20 is_another || bad "$(systemctl status 'bulkhead*'; systemctl list-jobs)"
file-model /mnt/file 1000000 1 2 || bad "other data"
no_io_errors "a supervisor killed"
good "a supervisor that is killed comes back"

systemd-run --quiet --scope --slice=user.slice \
  sh -ec 'bulkhead attach hand2; bulkhead detach hand2' >out 2>&1 || bad "$(cat out)"
grep -q 'unmount it before the machine goes down' out || bad "a session: $(cat out)"
good "in a session: $(grep unmount out)"

! systemctl start bulkhead-attach@none 2>/dev/null || bad "a volume that there is not"
good "what cannot be attached fails"

cp /bin/busybox /mnt/copy
cp /bin/busybox /hand/copy
file-model /mnt/file 1000000 2 600 >/dev/null 2>&1 &
file-model /hand/file 1000000 3 600 >/dev/null 2>&1 &
good "goes down, with both mounted and written to"
systemctl poweroff --no-block
EOF
} >script

vm_start systemd "ext4 crc32c_generic virtio_net" "" script
guest_is_off () {
  grep -aq 'VM BAD\|VM FAILED\|Kernel panic' vm-systemd.log || gone "$vm_pid"
}
guest_goes_down () {
  guest_is_off || grep -aq 'VM OK.*goes down' vm-systemd.log
}
wait_for 150 guest_goes_down || { tail -n 60 vm-systemd.log; die "in the guest"; }
from=$SECONDS
# Far below TimeoutStopSec=, and systemd's own 90 seconds.
wait_for 60 guest_is_off || { tail -n 60 vm-systemd.log; die "it does not go down"; }
sed -n "s/\r\$//; s/.*VM OK: /PASS: systemd: /p" vm-systemd.log
grep -aq 'VM OK.*goes down' vm-systemd.log && gone "$vm_pid" \
  || { tail -n 80 vm-systemd.log; die "in the guest"; }
took=$((SECONDS - from))
for name in boot hand; do
  ! dumpe2fs -h $name.img 2>/dev/null | grep -q needs_recovery \
    || die "$name: the file system was not unmounted"
  e2fsck -f -n $name.img >fsck.out 2>&1 || die "$name: $(cat fsck.out)"
  debugfs -R "dump /copy $dir/dumped" $name.img 2>/dev/null
  cmp dumped "$root/bin/busybox" || die "$name: what was written is not there"
done
ok "gone down after $took s: file systems unmounted, clean, with all that was written"
