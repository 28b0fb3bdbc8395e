#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# NFSv3, 4.1 and 4.2 against the kernel's own server (knfsd), with its own
# mountd: random I/O against a model while the server is stopped and started
# again, so that sessions are gone and its grace period runs; links, holes; and
# a machine that loses its memory in the middle of unflushed writes, and another
# one behind the last flush, whose disk is then looked into.
time_limit=300
. "$(dirname "$0")/../system/lib.sh"
. "$lib_dir/../vm/vm.sh"
for program in mke2fs e2fsck debugfs rpcbind; do
  command -v "$program" >/dev/null || skip "no $program"
done

vm_disk=$dir/disk.ext4
vm_programs="$vm_nfsd/usr/sbin/rpc.mountd $vm_nfsd/usr/sbin/exportfs"
vm_programs+=" $(command -v rpcbind)"
cat >script <<'EOS'
mkdir -p /srv /var/lib /etc
mount -t ext4 /dev/vda /srv
mkdir -p /srv/state/v4recovery
ln -s /srv/state /var/lib/nfs
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
printf '%s:x:%s::/:/bin/sh\n' root 0:0 _rpc 1:1 >/etc/passwd
echo 'root:x:0:' >/etc/group
printf 'sunrpc 111/tcp rpcbind\nsunrpc 111/udp rpcbind\n' >/etc/services
cat >/etc/netconfig <<END
udp        tpi_clts      v     inet     udp     -       -
tcp        tpi_cots_ord  v     inet     tcp     -       -
local      tpi_cots_ord  -     loopback -       -       -
END
echo '/srv/export *(rw,insecure,no_root_squash,no_subtree_check,fsid=0)' \
  >/etc/exports
mount -t nfsd nfsd /proc/fs/nfsd
mkdir -p /run/rpcbind
rpcbind -f &
until netstat -ltn | grep -q ':111 '; do sleep 0.1; done
exportfs -r
echo '+3 +4 +4.1 +4.2' >/proc/fs/nfsd/versions
echo 10 >/proc/fs/nfsd/nfsv4leasetime
echo 10 >/proc/fs/nfsd/nfsv4gracetime
rpc.mountd -p 20048
start () {
  echo 'tcp 2049' >/proc/fs/nfsd/portlist
  echo 4 >/proc/fs/nfsd/threads
}
start
echo "VM READY"
last=
while what=$(nc -l -p 7777 </dev/null); do
  case $what in
    "$last") ;; # was told again before it was heard
    restart*)
      echo 0 >/proc/fs/nfsd/threads
      start ;;
    count*)
      grep proc4ops /proc/net/rpc/nfsd ;;
  esac
  last=$what
  echo "VM did $what."
done
EOS

mkdir -p root/export/dir
random_file root/export/dir/disk.img 8
cp root/export/dir/disk.img disk
ln -s dir/disk.img root/export/link
truncate -s 4M root/export/sparse
dd if=disk of=root/export/sparse bs=1M count=1 seek=2 conv=notrunc status=none
truncate -s 48M "$vm_disk"
mke2fs -q -t ext4 -d root "$vm_disk"

boot () { # NAME
  vm_start "$1" "ext4 crc32c_generic virtio_blk nfsd md5" "2049 20048 7777" \
    script
}

has_done () { # WHAT
  grep -aq "VM did $1\." "$dir/vm-$vm_name.log"
}

# tell_vm WHAT: with a number of its own, until it is done: between two orders
# nobody listens for a moment.
orders=0
tell_vm () {
  local i what
  orders=$((orders + 1))
  what="$1 $orders"
  for i in {1..20}; do
    (exec 3<>"/dev/tcp/127.0.0.1/${vm_port[2]}" && echo "$what" >&3) \
      || die "the machine is gone"
    ! wait_for 5 has_done "$what" || return 0
  done
  die "the server does not $1"
}

# How many operations of that number (RFC 7863) the server has done so far.
count_of () {
  tell_vm count
  count=$(grep -a proc4ops "$dir/vm-$vm_name.log" | tail -n 1 | tr -d '\r' \
    | cut -d' ' -f$(($1 + 3)))
}

# gateway NAME VERSION PATH [ARGUMENT…]
gateway () {
  local name=$1 version=$2 path=$3
  shift 3
  [ "$version" != 3 ] || path=/srv/export$path
  start_nbdkit "$name" bulkhead "nfs://127.0.0.1:${vm_port[0]}$path" \
    version="$version" mountport="${vm_port[1]}" "$@"
}

# server_has FILE CONTENT: on the disk of a machine that has lost its power.
server_has () {
  e2fsck -fp "$vm_disk" >e2fsck.log 2>&1 || [ $? = 1 ] \
    || die "the disk is broken: $(cat e2fsck.log)"
  debugfs -R "dump /export/$1 $dir/dumped" "$vm_disk" 2>debugfs.log
  cmp "$2" dumped
}

vm_name=first
boot first
ok "the kernel's server is up: Linux $vm_version"

# connections VERSION: how many of that volume's.
connections () {
  [ "$1" = 4.2 ] && echo 3 || echo 1
}

count_of 41 # BIND_CONN_TO_SESSION
for version in 3 4.1 4.2; do
  before=$count
  gateway "model$version" "$version" /link \
    connections="$(connections "$version")"
  model_begins --seconds 5 --connections 2 --max-bytes 262144 --out expected \
    "$uri"
  tell_vm restart
  wait "$client" || die "the model failed: $(tail -n 3 client.log)"
  nbdcopy "$uri" copy
  cmp expected copy
  stop_nbdkit
  count_of 41
  bound=$((count - before))
  [ "$version" != 4.2 ] || [ "$bound" -ge 4 ] \
    || die "$bound connections were bound, of two each to two sessions"
  ok "version $version, by a link: random I/O equals the model with the server" \
    "restarted ($bound connections bound to a session)"
done

gateway sparse 4.2 /sparse
nbdinfo --map "$uri" >map
cat >map.expected <<END
         0     2097152    3  hole,zero
   2097152     1048576    0  data
   3145728     1048576    3  hole,zero
END
diff -b map.expected map || die "the map is $(cat map)"
count_of 68
before=$count
nbdcopy --no-extents "$uri" copy
cmp copy root/export/sparse
count_of 68
[ "$count" -gt "$before" ] || die "no READ_PLUS"
stop_nbdkit
ok "version 4.2: the map of a sparse file, and its content by" \
  "$((count - before)) READ_PLUS"

gateway power 4.2 /dir/disk.img
model_begins --seconds 6 --connections 2 --max-bytes 262144 --out expected \
  "$uri"
vm_stop
vm_name=second
boot second
wait "$client" || die "the model failed: $(tail -n 3 client.log)"
vm_stop
server_has dir/disk.img expected
ok "a machine that loses its memory in unflushed writes loses nothing, and" \
  "what was flushed is on its disk"
