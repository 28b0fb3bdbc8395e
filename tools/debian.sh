# SPDX-License-Identifier: BSD-2-Clause
# Sourced by quickstart and selftest (POSIX sh): the Debian packages that they
# need, and how those get onto the machine.

packages_build="autoconf automake gcc libc6-dev libtool make pkg-config perl
libcunit1-dev libev-dev libisal-dev libjansson-dev libncurses-dev libnbd-dev libnl-genl-3-dev libseccomp-dev libssh2-1-dev
libssl-dev liburiparser-dev libyaml-dev nbdkit nbdkit-plugin-dev"
packages_demo="libnbd-bin openssh-client openssh-server"
packages_vm="busybox-static cpio e2fsprogs kmod mount qemu-system-x86 systemd"
packages_test="tmux fish iproute2 jq openssl procps passwd util-linux xz-utils zsh
dropbear-bin nfs-ganesha nfs-ganesha-vfs openssh-sftp-server proftpd-core proftpd-mod-crypto
python3-asyncssh python3-paramiko qemu-block-extra qemu-utils rclone rpcbind
fio strace tgt"

# For make fuzz, make fuzz-afl and make coverage; nothing else wants them.
packages_fuzz="afl++ clang gcovr libclang-rt-14-dev valgrind"

packages_missing () {
  for p; do
    case $(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null) in
      installed) ;;
      *) printf ' %s' "$p" ;;
    esac
  done
}

# packages_install PACKAGE…: those that are missing. Needs root or sudo only if
# there are any. Servers that come with it are not started, and do not start at
# the next boot: only their programs are wanted.
packages_install () {
  command -v dpkg-query >/dev/null 2>&1 || {
    echo "This is no Debian: configure will name what is missing."
    return 0
  }
  missing=$(packages_missing "$@")
  [ -n "$missing" ] || return 0
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
      echo "These packages are missing; as root, run:" >&2
      echo "  apt-get install$missing" >&2
      return 1
    }
    as_root=sudo
  fi
  echo "Installing$missing"
  policy=/usr/sbin/policy-rc.d
  [ -e $policy ] && policy=
  [ -z "$policy" ] || printf '#!/bin/sh\nexit 101\n' \
    | $as_root sh -c "cat >$policy && chmod 0755 $policy"
  status=0
  { $as_root apt-get -q update \
      && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        --no-install-recommends install $missing; } >&2 || status=$?
  [ -z "$policy" ] || $as_root rm -f $policy
  for service in openssh-server:ssh proftpd-core:proftpd \
    nfs-ganesha:nfs-ganesha rpcbind:rpcbind tgt:tgt; do
    case $missing in
      *" ${service%:*}"*)
        if [ -d /run/systemd/system ]; then
          $as_root systemctl disable "${service#*:}.service" >/dev/null 2>&1 \
            || :
        fi ;;
    esac
  done
  return $status
}

# vm_kernel DIR: a kernel with its modules, for virtual machines, unpacked from
# its package: installing that would make an initrd and a boot menu here. The
# same with the programs of the kernel's NFS server, and with udev.
vm_kernel () {
  [ ! -s "$1/kernel" ] || [ ! -d "$1/nfsd" ] || [ ! -d "$1/udev" ] || return 0
  rm -rf "$1"
  mkdir -p "$1" || return 1
  (
    cd "$1" || exit 1
    package=$(apt-cache depends linux-image-cloud-amd64 \
      | awk '/Depends: linux-image/ { print $2; exit }')
    apt-get -q download "$package" && dpkg-deb -x "$package"_*.deb . \
      && rm -f "$package"_*.deb && depmod -b "$PWD" "$(ls lib/modules)" \
      && apt-get -q download nfs-kernel-server \
      && dpkg-deb -x nfs-kernel-server_*.deb nfsd \
      && rm -f nfs-kernel-server_*.deb && apt-get -q download udev \
      && dpkg-deb -x udev_*.deb udev && rm -f udev_*.deb \
      && echo "$package" >kernel
  )
}
