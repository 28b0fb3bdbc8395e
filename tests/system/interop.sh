#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The other SFTP servers of Debian: reading, writing where FLUSH can be kept or
# the user insists, and being told why where it cannot.
. "$(dirname "$0")/lib.sh"

python=/usr/bin/python3 # Debian's, which sees Debian's packages
openssh_sftp_server=/usr/lib/openssh/sftp-server
fakes=$lib_dir/../fake

needs () {
  local file
  for file; do
    [ -e "$file" ] || missing="$missing $file"
  done
}

missing=
needs /usr/sbin/proftpd /usr/lib/proftpd/mod_sftp.so /usr/bin/rclone \
  /usr/sbin/dropbear /usr/bin/dropbearconvert "$openssh_sftp_server" "$python" \
  /usr/lib/python3/dist-packages/asyncssh \
  /usr/lib/python3/dist-packages/paramiko
[ -z "$missing" ] || skip "not installed:$missing"

# ------------------------------------------------------------------- servers

# Each starts one in the foreground at $port, with the host key of the others,
# for $user with the keys $dir/id, id_ecdsa and id_rsa.

# It wants to be told all that it would look for in the system's folders.
proftpd_server () {
  { ssh-keygen -e -f id.pub; ssh-keygen -e -f id_ecdsa.pub
    ssh-keygen -e -f id_rsa.pub; } >id.rfc4716
  echo "$user:!:$(id -u):$(id -g)::$HOME:/bin/sh" >proftpd.passwd
  chmod 0600 proftpd.passwd
  cat >proftpd.conf <<EOF
LoadModule mod_sftp.c
ServerType standalone
ServerName interop
User $user
Group $(id -gn)
RootLogin on
UseFtpUsers off
RequireValidShell off
UseReverseDNS off
UseIPv6 off
DefaultAddress 127.0.0.1
Port $port
PidFile $dir/proftpd.pid
ScoreboardFile $dir/proftpd.scoreboard
DelayTable none
WtmpLog off
TransferLog none
SystemLog $dir/proftpd-system.log
AuthOrder mod_auth_file.c
AuthUserFile $dir/proftpd.passwd
AllowOverwrite on
SFTPEngine on
SFTPLog $dir/proftpd-sftp.log
SFTPHostKey $dir/hostkey
SFTPAuthMethods publickey
SFTPAuthorizedUserKeys file:$dir/id.rfc4716
EOF
  exec /usr/sbin/proftpd --nodaemon --config "$dir/proftpd.conf"
}

# Without a cache, as by default. Its log is worth having.
rclone_server () {
  exec rclone serve sftp / --addr "127.0.0.1:$port" --key "$dir/hostkey" \
    --authorized-keys "$dir/authorized_keys" --config /dev/null \
    --cache-dir "$dir/rclone" -v
}

# It reads only ~/.ssh/authorized_keys, and a host key in its own format.
dropbear_server () {
  dropbearconvert openssh dropbear hostkey hostkey.dropbear
  cp authorized_keys "$HOME/.ssh/authorized_keys"
  chmod go-rwx "$HOME" "$HOME/.ssh" "$HOME/.ssh/authorized_keys"
  exec /usr/sbin/dropbear -F -E -s -r hostkey.dropbear -P "$dir/dropbear.pid" \
    -p "127.0.0.1:$port"
}

asyncssh_server () {
  exec "$python" "$fakes/sftp-asyncssh.py" "$port" hostkey authorized_keys
}

paramiko_server () {
  exec "$python" "$fakes/sftp-paramiko.py" "$port" hostkey authorized_keys
}

port_answers () {
  { exec 9<>"/dev/tcp/127.0.0.1/$port"; } 2>/dev/null
}

server_is_up_or_dead () {
  port_answers || ! alive "$server_pid"
}

# start_server NAME
start_server () {
  "$1_server" >"$1-server.log" 2>&1 </dev/null &
  server_pid=$!
  wait_for 10 server_is_up_or_dead || die "$1 does not start"
  alive "$server_pid" || die "$1 does not start"
}

stop_server () {
  local p
  for p in "$server_pid" $(descendants_of "$server_pid"); do
    kill -KILL "$p" 2>/dev/null || :
  done
  wait "$server_pid" 2>/dev/null || :
}

# ---------------------------------------------------------------------- tests

# What OpenSSH's client sees: "limits@openssh.com fsync@openssh.com".
extensions () {
  timeout 20 sftp -vvv -F none -b /dev/null -P "$port" -i "$dir/id" \
    -o IdentitiesOnly=yes -o UserKnownHostsFile="$known_hosts" \
    -o StrictHostKeyChecking=yes "$user@127.0.0.1" 2>&1 </dev/null \
    | tee "$1-sftp.log" \
    | sed -n 's/.*Server supports extension "\([^"]*\)".*/\1/p' | tr '\n' ' '
}

# serve NAME ARGUMENT…
serve () {
  local name=$1
  shift
  start_nbdkit "$name" bulkhead "sftp://$user@127.0.0.1:$port$dir/disk" \
    identity="$dir/id" known-hosts="$known_hosts" "$@"
}

# written WHAT: random I/O with flushes, and what came of it on the server.
written () {
  "$model" --seconds 2 --depth 16 --out expected "$uri"
  cmp expected disk
  ok "$1"
}

# read_only NAME REGEX: and it says so, with this reason.
read_only () {
  nbdinfo --is read-only "$uri" || die "$1: not read-only"
  grep -q "serving read-only: .*$2" "$1.log" || die "$1: does not say why"
  ok "$1: $(sed -n '$s/.*\(serving read-only\)/\1/p' "$1.log")"
}

rclone_sessions_ended () {
  [ "$(grep -c 'Failed to serve SFTP' rclone-server.log)" -ge "$1" ]
}

# insisting NAME: on writing to a server that cannot keep a FLUSH.
insisting () {
  serve "$1" allow-unsafe-flush=yes
  case $1 in
    rclone)
      # Opening for writing empties the file, whatever the flags say.
      read_only "$1" 'would empty the file'
      nbdcopy "$uri" copy
      stop_nbdkit
      # It may write only when a file is closed, which is at the session's end.
      wait_for 10 rclone_sessions_ended 2 || die "$1: a session without an end"
      cmp copy disk
      [ -z "$(ls -d .bulkhead-no-file* 2>/dev/null)" ] || die "$1: litter"
      ok "$1: allow-unsafe-flush=yes: the file is left alone" ;;
    *)
      written "$1: allow-unsafe-flush=yes: random I/O equals a model"
      stop_nbdkit ;;
  esac
}

# logins NAME: by the other kinds of keys.
logins () {
  local type log
  for type in ecdsa rsa; do
    log=$1-$type.log
    timeout 20 "$run" nbdkit -U - bulkhead \
      "sftp://$user@127.0.0.1:$port$dir/disk" readonly=true \
      identity="$dir/id_$type" known-hosts="$known_hosts" \
      --run 'nbdinfo --size "$uri"' >"$log" 2>&1 </dev/null || :
    [ "$(cat "$log")" = 8388608 ] || die "$1: $type: $(cat "$log")"
    ok "$1: a login with an $type key"
  done
}

# interop NAME
interop () {
  local name=$1 has remarks
  start_server "$name"
  has=$(extensions "$name")
  echo "$name offers: $has"
  random_file disk 8

  serve "$name"
  nbdcopy "$uri" copy
  [ "$(sha256 copy)" = "$(sha256 disk)" ] || die "$name: the copy differs"
  ok "$name: a copy equals the file on the server"
  logins "$name"
  remarks=$(sed -n "s|.*:$port$dir/disk: worker .* ready, epoch 1: ||p" \
    runtime/bulkheadd.log | tail -n 1)
  case "/$has/$remarks" in
    */*limits@openssh.com*/*limits@openssh.com*) die "$name: $remarks" ;;
    */*limits@openssh.com*/*bytes*|*/*bytes*limits@openssh.com) ;;
    *) die "$name: not told how large requests are: $remarks" ;;
  esac
  ok "$name: $remarks"
  case " $has" in
    *' fsync@openssh.com '*)
      ! nbdinfo --is read-only "$uri" || die "$name: read-only"
      written "$name: random I/O and flushes equal a model"
      stop_nbdkit ;;
    *)
      read_only "$name" 'does not offer fsync@openssh.com, .*allow-unsafe'
      stop_nbdkit
      insisting "$name" ;;
  esac
  stop_server
}

for type in ecdsa rsa; do
  ssh-keygen -q -t "$type" -N '' -C "$type" -f "id_$type"
  cat "id_$type.pub" >>authorized_keys
done
port=2300
known_hosts=$dir/known_hosts
servers=(proftpd rclone dropbear asyncssh paramiko)
for server in "${@:-${servers[@]}}"; do
  port=$((port + 1))
  write_known_hosts "$known_hosts" "$port"
  interop "$server"
done
