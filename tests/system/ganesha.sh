# SPDX-License-Identifier: BSD-2-Clause
# Sourced after lib.sh by tests that need an NFS server: a private NFS-Ganesha
# with rpcbind, in the test's own network.

# Handles of files (open_by_handle_at) are the host's root's only.
need_ganesha () {
  command -v ganesha.nfsd >/dev/null && command -v rpcbind >/dev/null \
    || skip "no NFS-Ganesha, or no rpcbind (packages nfs-ganesha," \
      "nfs-ganesha-vfs, rpcbind)"
  [ "$(id -u)" = 0 ] && ip link add nfs0 type veth peer name nfs1 2>/dev/null \
    || skip "NFS-Ganesha needs root: it opens files by their handles"
  # Ganesha looks its address up with AI_ADDRCONFIG: it must find one that is
  # not loopback's.
  ip addr add 192.0.2.1/24 dev nfs0
  ip link set nfs0 up
  ip link set nfs1 up
  # What it remembers of its clients.
  mkdir -p /var/lib/nfs
  mount -t tmpfs tmpfs /var/lib/nfs
}

# ganesha_export ID PATH [LINE…]: to be served by start_ganesha.
ganesha_export () {
  local id=$1 path=$2
  shift 2
  mkdir -p "$path"
  cat >>"$dir/ganesha.exports" <<END
EXPORT {
  Export_Id = $id;
  Path = "$path";
  Pseudo = "/pseudo$id";
  Squash = No_Root_Squash;
  SecType = sys, none;
  Protocols = 3,4;
  Transports = TCP;
  FSAL { Name = VFS; }

$(printf '  %s\n' "$@")
}
END
}

# start_ganesha: sets $ganesha_pid. Again after a kill: with the same exports.
start_ganesha () {
  mkdir -p "$dir/ganesha" /run/ganesha /var/lib/nfs/ganesha
  if [ -z "${rpcbind_pid:-}" ]; then
    rpcbind -f 2>>"$dir/rpcbind.log" &
    rpcbind_pid=$!
    wait_for 10 port_answers 111 || die "rpcbind does not start"
  fi
  {
    cat <<END
NFS_CORE_PARAM {
  Protocols = 3,4;
  NFS_Port = 2049;
  MNT_Port = 20048;
  Bind_addr = 127.0.0.1;
  Enable_NLM = false;
  Enable_RQUOTA = false;
}
NFSV4 {
  Graceless = ${ganesha_graceless:-true};
  Grace_Period = 10;
  Lease_Lifetime = 10;
  RecoveryBackend = fs;
  Minor_Versions = 0,1,2;
}
END
    cat "$dir/ganesha.exports"
  } >"$dir/ganesha.conf"
  : >"$dir/ganesha.log"
  ganesha.nfsd -F -f "$dir/ganesha.conf" -L "$dir/ganesha.log" \
    -p "$dir/ganesha.pid" -N NIV_EVENT >>"$dir/ganesha.out" 2>&1 &
  ganesha_pid=$!
  wait_for 30 ganesha_is_up_or_dead
  ganesha_is_up || die "NFS-Ganesha does not start"
}

port_answers () {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

ganesha_is_up () {
  grep -q 'NFS SERVER INITIALIZED' "$dir/ganesha.log"
}

ganesha_is_up_or_dead () {
  ganesha_is_up || ! alive "$ganesha_pid"
}

kill_ganesha () {
  kill -KILL "$ganesha_pid"
  wait "$ganesha_pid" 2>/dev/null || :
}
