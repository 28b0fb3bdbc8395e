#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead attach, detach and list when something is wrong, with a Debian kernel
# in qemu: killed at every point of attaching; a supervisor that is killed, or
# told to end, while the disk is in use; a network that is away for longer than
# --timeout; what can use a disk, and --force; several at once; and what README.md
# says of a disk, word for word.
time_limit=300
. "$(dirname "$0")/../system/lib.sh"
. "$lib_dir/../vm/vm.sh"
. "$lib_dir/../vm/guest.sh"
for program in strace dmsetup debugfs; do
  command -v $program >/dev/null || skip "no $program"
done

# The user and the key of README.md's newcomer, for all of it.
echo "me:x:0:0::$HOME:/bin/sh" >>"$dir/passwd"
echo "me:x:20000:0:99999:7:::" >>"$dir/shadow"
sshd_port=22
start_sshd
truncate -s 16M a.img b.img c.img
truncate -s 64M "$HOME/disk.img"
sed -n '/^## A disk of your own/,/^## /p' "$lib_dir/../../README.md" \
  | awk '/^```/ { block++; next } block == 3' >readme
grep -q '^bulkhead attach .*/dev/nbd0' readme || die "README.md has other blocks"

guest_make faults "nbd loop dm-mod" strace dmsetup
mkdir -p "$root/root/.ssh"
cp id "$root/root/.ssh/id_ed25519"
chmod -R go= "$root/root/.ssh"
echo "host $(cut -d' ' -f1,2 hostkey.pub)" >"$root/root/.ssh/known_hosts"
printf '%s\n' '127.0.0.1 localhost' '10.0.2.2 host' >"$root/etc/hosts"
cp readme "$root/etc/readme"
{
  echo volumes:
  for name in a b c; do
    printf '  %s:\n    url: sftp://me@host%s\n' $name "$dir/$name.img"
  done
} | guest_conf

cat >script <<'EOF'
echo "VM READY"
. /etc/guest.sh

supervisor () {
  ls /run/bulkhead/attach | sed -n 's/\.sock$//p'
}

attach () { # ARGUMENT…: sets $device
  device=$(bulkhead attach "$@") || bad "attach $*"
}

# ---------------------------------------------------------------- no driver, no right
refused 7 "nbd driver is not loaded" bulkhead attach a
grep -q 'modprobe nbd does not find it' said.err || bad "$(cat said.err)"
load nbd nbds_max=8
load loop
load dm-mod
refused 4 "may not set up block devices" su nobody -c \
  'bulkhead attach sftp://me@host/disk'

# ----------------------------------------------------------------------- README.md
sh -e /etc/readme >said.out 2>said.err || bad "README.md: $(cat said.out said.err)"
grep -q '^/dev/nbd0 .* ready .* sftp://me@host/~/disk.img$' said.out \
  || bad "README.md: $(cat said.out)"
all_gone
good "$(grep -c . /etc/readme) commands of README.md do what they say"

# ---------------------------------------------------------- killed while it attaches
# The supervisor in the foreground, killed before its system call SYSCALL number N:
# LEFT devices are left behind then, which WHAT… cleans up.
killed_at () { # SYSCALL N LEFT WHAT…
  status=0 point="$1 $2"
  strace -o /dev/null -e trace="$1" -e inject="$1:signal=SIGKILL:when=$2" \
    bulkhead attach -f a >out 2>&1 || status=$?
  [ $status = 137 ] || bad "killed at $point: status $status: $(cat out)"
  left=$(bulkhead list 2>/dev/null | grep -c 'left behind') || :
  [ "$left" = "$3" ] || bad "killed at $point: $(bulkhead list)"
  shift 3
  "$@" >out 2>&1 || bad "killed at $point: $*: $(cat out)"
  ! bulkhead list 2>/dev/null | grep 'left behind' || bad "killed at $point: $*"
  bulkhead detach --all
  all_gone
  good "killed at $point: $left left behind; then bulkhead ${2:-}"
}
killed_at clone 1 0 bulkhead detach --all     # before nbdkit
killed_at sendmsg 6 0 bulkhead detach --all   # before the device
killed_at clone 2 1 bulkhead detach a         # nobody has it open
killed_at rename 1 1 bulkhead detach /dev/nbd0
killed_at sendmsg 7 1 bulkhead attach b       # before it ends with who has it open

# halfway WHOM: killed when the device is there, and before that is told; again if
# it was too late.
halfway () {
  for try in 1 2 3 4 5; do
    bulkhead attach a >out 2>&1 &
    attach=$!
    while [ ! -e /sys/block/nbd0/pid ]; do :; done
    kill -STOP $attach || :
    if [ ! -s out ]; then
      kill -KILL $($1) || :
    fi
    kill -CONT $attach || :
    status=0
    wait $attach || status=$?
    [ $status = 0 ] || return 0
    bulkhead detach --all
    all_gone
  done
  bad "$1 is never killed in time"
}
attach_itself () {
  echo $attach
}
given_up () {
  nothing_left || state_is nbd0 ready
}
for try in 1 2 3; do
  halfway attach_itself
  until_ok 10 given_up || bad "$(bulkhead list)"
  nothing_left && break || : # else it had been told, but had not told us
  bulkhead detach --all
done
all_gone
good "bulkhead attach killed halfway: its supervisor gives the device up"
halfway supervisor
grep -q 'looks after the device was ended' out || bad "$(cat out)"
all_gone
good "its supervisor killed halfway: $(head -n 1 out)"

# ------------------------------------------------------ the supervisor, afterwards
attach a
kill -KILL $(supervisor)
until_ok 10 [ ! -e /sys/block/nbd0/pid ] || bad "it stays"
[ "$(bulkhead list 2>&1)" = "bulkhead: nothing is attached" ] || bad "list"
bulkhead detach --all
all_gone
good "a supervisor killed when nobody uses the device: the kernel ends it"

attach --timeout 4 a
mkfs.ext4 -q -F -E nodiscard /dev/nbd0
mount -t ext4 /dev/nbd0 /mnt
dmesg -c >/dev/null
file-model /mnt/file 2000000 1 3 &
model=$!
sleep 1
kill -KILL $(supervisor)
until_ok 5 state_is nbd0 'left behind' || bad "$(bulkhead list)"
refused 0 'attach VOLUME takes it up again' bulkhead list
refused 6 'is mounted at /mnt, and its bulkhead has gone' bulkhead detach a
grep -q 'bulkhead attach a' said.err || bad "$(cat said.err)"
refused 6 'nbd0 is connected already' bulkhead attach b /dev/nbd0
attach --timeout 4 a /dev/nbd0
[ "$device" = /dev/nbd0 ] || bad "it is $device"
wait $model || bad "other data, or an error"
sync
no_io_errors "killed in use"
good "a supervisor killed in use: the disk waits, and is taken up again"

# The network, for longer than a request may take.
dmesg -c >/dev/null
file-model /mnt/file 2000000 2 3 &
model=$!
ip link set eth0 down
until_ok 20 sh -c 'dmesg | grep -q "Connection timed out"' || bad "nothing is lost"
ip link set eth0 up
ip route add default via 10.0.2.2 2>/dev/null || :
wait $model || bad "other data, or an error"
sync
no_io_errors "network away"
good "the network away for longer than --timeout; nbdkit was restarted" \
  "$(bulkhead list --json | sed -n 's/.*"restarts": \([0-9]*\).*/\1/p') times"

# And when --dead-timeout runs out: another disk, as a file system would not get over
# that. It comes back with the network.
attach --timeout 2 --dead-timeout 4 b
reads () { # OFFSET in MiB, which nobody has read before
  dd if="$device" of=/dev/null bs=1M skip="$1" count=1 2>read.err
}
reads 2 || bad "$(cat read.err)"
ip link set eth0 down
kill -KILL "$(sed -n 's/.*"server": *\([0-9]*\).*/\1/p' /run/bulkhead/attach/nbd1.json)"
from=$(cut -d. -f1 /proc/uptime)
! reads 4 || bad "it reads without a network"
grep -q 'Input/output error\|I/O error' read.err || bad "$(cat read.err)"
waited=$(($(cut -d. -f1 /proc/uptime) - from))
[ $waited -ge 3 ] || bad "--dead-timeout 4: an error after $waited s"
state_is nbd1 reconnecting || bad "$(bulkhead list)"
ip link set eth0 up
ip route add default via 10.0.2.2 2>/dev/null || :
until_ok 30 reads 6 || bad "it does not come back: $(cat read.err; bulkhead list)"
bulkhead detach b || bad "detach b"
dmesg -c >/dev/null # of its errors
good "without a connection for --dead-timeout requests fail: after $waited s," \
  "until there is one"

# What is told to everything at once when a host goes down, or a session ends.
file-model /mnt/file 2000000 3 3 &
model=$!
sleep 1
kill -TERM $(supervisor) $(pidof nbdkit) $(pidof bulkheadd) $(pidof bulkhead-worker)
kill -HUP $(supervisor) $(pidof nbdkit)
wait $model || bad "other data, or an error"
no_io_errors "told to end in use"
refused 6 'is mounted at /mnt' bulkhead detach a
good "everything told to end: the disk goes on as long as it is mounted"
umount /mnt
all_gone
good "and ends when it is not"

# ---------------------------------------------------------------------- who uses it
attach a
used () { # REGEX
  refused 6 "$1" bulkhead detach a
}
e2fsck -f -n /dev/nbd0 >fsck.out 2>&1 || bad "$(cat fsck.out)"
mkswap /dev/nbd0 >/dev/null
swapon /dev/nbd0
used '/dev/nbd0 is swap space'
swapoff /dev/nbd0
dmsetup create lin --table '0 8192 linear /dev/nbd0 0' || bad "no dm"
used 'is used by the device dm-0 \(lin\)'
dmsetup remove lin
losetup /dev/loop0 /dev/nbd0
used 'is used by the device loop0'
losetup -d /dev/loop0
sleep 1000 </dev/nbd0 &
used "is in use by sleep, process $!"
kill -KILL $!
wait $! || :
mkfs.ext4 -q -F -E nodiscard /dev/nbd0
unshare -m sh -c \
  'mount --make-rprivate / && mount -t ext4 /dev/nbd0 /mnt && : >in && sleep 1000' &
until_ok 5 [ -e in ] || bad "no namespace"
used "is mounted at /mnt in the mount namespace of .*, process $!"
kill -KILL $(pidof sleep)
wait $! || :
refused 6 'connected already' bulkhead attach b /dev/nbd0
until_ok 5 bulkhead detach a || bad "$(bulkhead list)"
all_gone
no_io_errors "who uses it"

# ---------------------------------------------------------------------------- force
attach a
mount -t ext4 /dev/nbd0 /mnt
used 'is mounted at /mnt'
bulkhead detach --force a || bad "--force"
attach a
[ "$device" != /dev/nbd0 ] || bad "it is $device again"
bulkhead detach "$device"
! dd if=/dev/zero of=/mnt/x bs=64k count=1 conv=fsync 2>/dev/null || bad "it is written"
umount /mnt || umount -l /mnt
all_gone
attach a
sleep 1000 </dev/nbd0 &
kill -KILL $(supervisor)
refused 6 "in use by sleep, process $!, and its bulkhead has gone" bulkhead detach a
bulkhead detach --force a || bad "--force of what was left behind"
kill -KILL $!
all_gone
good "--force: of what is in use, and of what was left behind in use"

# ------------------------------------------------------------------- several at once
for name in a b c; do
  bulkhead attach $name >$name.out 2>&1 &
done
wait
all_ready () {
  [ "$(bulkhead list | grep -c ' ready ')" = 3 ]
}
until_ok 5 all_ready || bad "$(cat ?.out; bulkhead list)"
[ "$(cat ?.out | sort -u | wc -l)" = 3 ] || bad "$(cat ?.out)"
bulkhead detach --all || bad "--all"
all_gone
good "three at once"
echo "VM DONE"
EOF
guest_run faults 260
debugfs -R "dump /passwd $dir/dumped" "$HOME/disk.img" 2>debugfs.log
cmp dumped "$root/etc/passwd" || die "README.md: nothing of it is on the server"
ok "what README.md copies to the disk is on the server"
