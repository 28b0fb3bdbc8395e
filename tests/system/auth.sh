#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Every way to log in that is promised, and that nothing but the worker's own
# key reaches it.
. "$(dirname "$0")/lib.sh"

start_sshd
random_file disk 1

# works WHAT ARGUMENT…
works () {
  local what=$1
  shift
  start_nbdkit auth bulkhead "$@"
  nbdcopy "$uri" copy
  cmp copy disk
  stop_nbdkit
  ok "$what"
}

url=$(sftp_url "$dir/disk")
for type in ecdsa rsa; do
  ssh-keygen -q -t "$type" -N '' -C "$type" -f "id_$type"
  cat "id_$type.pub" >>authorized_keys
  works "an $type key" "$url" identity="$dir/id_$type" \
    known-hosts="$known_hosts"
done

# nbdkit ssh calls it so: the port and the user beside the URL
works 'user= and port=' "sftp://127.0.0.1$dir/disk" user="$user" \
  port="$sshd_port" identity="$dir/id" known-hosts="$known_hosts"

# defaults: ~/.ssh/id_ed25519, ~/.ssh/known_hosts, the local user's name
cp id "$HOME/.ssh/id_ed25519"
cp "$known_hosts" "$HOME/.ssh/known_hosts"
works 'keys and known hosts from ~/.ssh' "sftp://127.0.0.1:$sshd_port$dir/disk"
cp disk "$HOME/disk"
works 'a file below the login directory' "sftp://127.0.0.1:$sshd_port/~/disk"
rm "$HOME/.ssh/id_ed25519"

printf '%s\n' "$password" >pw
chmod 0600 pw
works 'password=+FILE' "$url" password=+"$dir/pw" known-hosts="$known_hosts"
exec 7<pw
works 'password=-FD' "$url" password=-7 known-hosts="$known_hosts"
exec 7<&-

ssh-keygen -q -t ed25519 -N 'some words' -C locked -f id_locked
cat id_locked.pub >>authorized_keys
printf 'some words\n' >words
chmod 0600 words
works 'a key with a passphrase' "$url" identity="$dir/id_locked" \
  passphrase=+"$dir/words" known-hosts="$known_hosts"

# A plain name in known_hosts, as an old ssh writes it; and a comment.
printf '# mine\n\n[127.0.0.1]:%s %s\n' "$sshd_port" \
  "$(cut -d' ' -f1,2 hostkey.pub)" >plain
works 'a plain name in known_hosts' "$url" identity="$dir/id" \
  known-hosts="$dir/plain"

# A server with keys of several kinds must be asked for the one that is known.
stop_sshd
ssh-keygen -q -t ecdsa -N '' -C host -f hostkey_ecdsa
start_sshd "HostKey $dir/hostkey_ecdsa"
printf '[127.0.0.1]:%s %s\n' "$sshd_port" \
  "$(cut -d' ' -f1,2 hostkey_ecdsa.pub)" >only_ecdsa
works 'a server whose ecdsa key alone is known' "$url" identity="$dir/id" \
  known-hosts="$dir/only_ecdsa"
works 'a server whose ed25519 key alone is known' "$url" identity="$dir/id" \
  known-hosts="$dir/plain"
