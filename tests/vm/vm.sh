# SPDX-License-Identifier: BSD-2-Clause
# Sourced after tests/system/lib.sh (bash): a Debian kernel in qemu, by TCG, as
# the server of a test. Its network is qemu's user mode: what the guest listens
# on is reached through a port of our loopback, no more.
#
# $BULKHEAD_VM_KERNEL is where a linux-image-…-cloud-amd64 was unpacked (see
# vm_kernel in tools/debian.sh): boot/vmlinuz-V and lib/modules/V.

: "${BULKHEAD_VM_KERNEL:=$BULKHEAD_BUILDDIR/vm-kernel}"
# Where nfs-kernel-server was unpacked; it is not installed, as that would start
# a server here.
vm_nfsd=$BULKHEAD_VM_KERNEL/nfsd
[ -s "$BULKHEAD_VM_KERNEL/kernel" ] \
  || skip "no kernel in $BULKHEAD_VM_KERNEL: make check-vm says how"
for program in qemu-system-x86_64 cpio modprobe; do
  command -v "$program" >/dev/null || skip "no $program"
done
vm_version=$(ls "$BULKHEAD_VM_KERNEL/lib/modules")

# vm_start NAME "MODULE…" "GUESTPORT…" SCRIPT: boots, and waits until the script
# (busybox sh, as process 1's child, with these modules loaded and eth0 up) has
# printed "VM READY". If there is an /etc/init, that becomes process 1 instead.
# $vm_programs, files of this host, are in its /bin, with
# their libraries; it has $vm_memory MiB; $vm_disk, a file, is its /dev/vda. Port
# i is reached at 127.0.0.1, ${vm_port[i]}. $vm_pid is qemu's.
vm_start () {
  local name=$1 modules=$2 ports=$3 script=$4 root=$dir/vm-$1 forward= i=0 m p
  local disk=()
  mkdir -p "$root"/{bin,dev,etc,mod,mnt,proc,sys,tmp,run,var}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for p in ${vm_programs:-}; do
    cp "$p" "$root/bin/"
    ldd "$p" | grep -o '/[^ ]*' | while read -r m; do
      cp -L --parents "$m" "$root"
    done
  done
  for m in virtio_pci virtio_net $modules; do
    modprobe -d "$BULKHEAD_VM_KERNEL" -S "$vm_version" --show-depends "$m" \
      | awk '$1 == "insmod" { print $2 }'
  done | awk '!seen[$0]++' >"$root/etc/modules"
  while read -r m; do cp "$m" "$root/mod/"; done <"$root/etc/modules"
  sed -i 's|.*/|/mod/|' "$root/etc/modules"
  cat >"$root/init" <<'EOF'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
while read -r m; do insmod "$m" || echo "VM: cannot load $m"; done </etc/modules
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
[ ! -x /etc/init ] || exec /etc/init
sh -e /etc/script || echo "VM FAILED"
sleep 100000
EOF
  cat >"$root/etc/script" <"$script"
  chmod 0755 "$root/init"
  (cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$root.img"
  vm_port=()
  for p in $ports; do
    vm_port[i]=$((20000 + p % 10000))
    forward+=",hostfwd=tcp:127.0.0.1:${vm_port[i]}-10.0.2.15:$p"
    i=$((i + 1))
  done
  [ -z "${vm_disk:-}" ] \
    || disk=(-drive "file=$vm_disk,format=raw,if=virtio,cache=writeback")
  qemu-system-x86_64 -accel tcg -cpu max -m "${vm_memory:-512}" \
    -nographic -no-reboot \
    -nodefaults -serial "file:$dir/vm-$name.log" -monitor none \
    -kernel "$BULKHEAD_VM_KERNEL/boot/vmlinuz-$vm_version" \
    -initrd "$root.img" -append 'console=ttyS0 quiet panic=-1' \
    -netdev "user,id=n$forward" -device virtio-net-pci,netdev=n,romfile= \
    "${disk[@]}" \
    >"$dir/qemu-$name.log" 2>&1 </dev/null &
  vm_pid=$!
  wait_for 90 vm_is_up "$name" || die "the virtual machine does not start"
}

vm_is_up () {
  ! grep -aq 'VM FAILED' "$dir/vm-$1.log" 2>/dev/null \
    || die "the virtual machine's script failed"
  kill -0 "$vm_pid" 2>/dev/null || die "qemu has ended"
  grep -aq 'VM READY' "$dir/vm-$1.log" 2>/dev/null
}

vm_stop () {
  kill -KILL "$vm_pid"
  wait "$vm_pid" 2>/dev/null || :
}
