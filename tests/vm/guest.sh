# SPDX-License-Identifier: BSD-2-Clause
# Sourced after vm.sh (bash): a guest that has what make install installs, and
# what its script has to say things with.

for program in mkfs.ext4 e2fsck fstrim; do
  command -v $program >/dev/null || skip "no $program"
done

copy_program () { # FILE…: into $root, with their libraries
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

# guest_make NAME "MODULE…" [PROGRAM…]: the files of vm_start NAME; sets $root.
# The modules, with what they need, are left in /mod for the script to load: see
# load.
guest_make () {
  local name=$1 modules=$2 m
  shift 2
  root=$dir/vm-$name
  mkdir -p "$root"/{bin,etc,mod,usr,root/.config/bulkhead}
  # Another test may be at it.
  flock "$BULKHEAD_VM_KERNEL/kernel" make -s -C "$BULKHEAD_BUILDDIR" install-exec \
    install-pluginLTLIBRARIES install-helperPROGRAMS DESTDIR="$root" \
    >install.log 2>&1 || die "make install: $(tail -n 5 install.log)"
  cp "$BULKHEAD_BUILDDIR/tests/vm/file-model" "$root/bin/"
  for m in nbdkit mkfs.ext4 e2fsck fstrim "$@"; do
    copy_program "$(command -v "$m")"
  done
  copy_program /bin/file-model \
    $(ldconfig -p | awk '/libnss_files.so.2/ && !n++ { print $NF }') \
    $(cd "$root" && find usr/local usr/lib -type f \( -perm -100 -o -name '*.so' \) \
      -printf '/%p\n')
  find "$root/usr/local" "$root/usr/lib" -type f \( -perm -100 -o -name '*.so*' \) \
    -exec strip --strip-unneeded {} + 2>/dev/null || :
  printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534::/:/bin/sh \
    >"$root/etc/passwd"
  for m in $modules; do
    modprobe -d "$BULKHEAD_VM_KERNEL" -S "$vm_version" --show-depends "$m" \
      | awk -v name="$m" '$1 == "insmod" { print name, $2 }'
  done | while read -r name m; do
    cp "$m" "$root/mod/"
    echo "$name /mod/${m##*/}" >>"$root/mod/list"
  done
  cat >"$root/etc/guest.sh" <<'EOF'
export HOME=/root PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin
export LD_LIBRARY_PATH=
mkdir -p /run /mnt
[ -d /run/systemd ] || mount -t tmpfs tmpfs /run
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

# load MODULE [PARAMETER…]
load () {
  name=$1
  shift
  grep "^$name " /mod/list | cut -d' ' -f2 >/tmp/mods
  while read -r m; do
    case $m in
      */"$name".ko) insmod "$m" "$@" || bad "no $m" ;;
      *) insmod "$m" 2>/dev/null || : ;;
    esac
  done </tmp/mods
}

# until_ok SECONDS COMMAND…
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

all_gone () {
  until_ok "${1:-10}" nothing_left || bad "$(ls /run/bulkhead/attach) are left"
}

state_is () { # nbdN STATE
  bulkhead list | grep -q "^/dev/$1 .* $2 "
}

nbdkit_is_another () { # PID
  [ -n "$(pidof nbdkit)" ] && [ "$(pidof nbdkit)" != "$1" ]
}

no_io_errors () {
  ! dmesg | grep -iE 'I/O error|Buffer I/O|EXT4-fs (error|warning)' \
    || bad "$*: errors"
}
EOF
}

# A user's key and known_hosts for our sshd as the guest sees it.
guest_ssh () {
  cp "$dir/id" "$root/root/key"
  chmod 600 "$root/root/key"
  printf '[10.0.2.2]:%s %s\n' "$sshd_port" \
    "$(cut -d' ' -f1,2 "$dir/hostkey.pub")" >"$root/root/known_hosts"
}

# guest_conf <<END …: the guest's bulkhead.conf.
guest_conf () {
  (umask 077 && cat >"$root/root/.config/bulkhead/bulkhead.conf")
}

# guest_run NAME SECONDS: boots, runs ./script there, and prints what it says.
guest_run () {
  vm_start "$1" "ext4 crc32c_generic virtio_net" "" script
  vm_is_done () {
    grep -aq 'VM DONE\|VM BAD\|VM FAILED\|Kernel panic' "$dir/vm-$vm_guest.log" \
      || ! kill -0 "$vm_pid" 2>/dev/null
  }
  vm_guest=$1
  wait_for "$2" vm_is_done || { tail -n 30 "vm-$1.log"; die "it takes too long"; }
  sed -n "s/\r\$//; s/^VM OK: /PASS: $1: /p" "vm-$1.log"
  grep -aq 'VM DONE' "vm-$1.log" || { tail -n 60 "vm-$1.log"; die "in the guest"; }
  vm_stop
}
