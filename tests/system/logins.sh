#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Logins beyond a plain key and a password: every kind of key and host key,
# encrypted keys, ssh-agent, keyboard-interactive.
. "$(dirname "$0")/lib.sh"

# works WHAT ARGUMENT…
works () {
  local what=$1
  shift
  start_nbdkit logins bulkhead "$url" known-hosts="$known_hosts" "$@"
  nbdcopy "$uri" copy
  cmp copy disk
  stop_nbdkit
  ok "$what"
}

# refused WHAT REGEX ARGUMENT…
refused () {
  local what=$1 regex=$2 status=0
  shift 2
  timeout 20 "$run" nbdkit -f -U "$dir/refused.sock" bulkhead "$url" \
    known-hosts="$known_hosts" "$@" >refused.log 2>&1 </dev/null || status=$?
  case $status in 0|124) die "$what: status $status" ;; esac
  grep -Eq -- "$regex" refused.log || die "$what: $(cat refused.log)"
  ok "$what: $(sed 's/^nbdkit: error: //' refused.log)"
}

start_sshd
random_file disk 1
url=$(sftp_url "$dir/disk")

for bits in 256 384 521; do
  ssh-keygen -q -t ecdsa -b $bits -N '' -C "$bits" -f "id_ecdsa$bits"
  cat "id_ecdsa$bits.pub" >>authorized_keys
  works "an ECDSA key of $bits bits" identity="$dir/id_ecdsa$bits"
done
ssh-keygen -q -t rsa -b 4096 -N '' -C rsa -f id_rsa4096
cat id_rsa4096.pub >>authorized_keys
works 'an RSA key of 4096 bits' identity="$dir/id_rsa4096"

# ------------------------------------------------------------- encrypted keys

printf 'some words\n' >words
printf 'other words\n' >other
chmod 0600 words other
for format in 'RFC4716 -Z aes256-ctr' 'RFC4716 -Z chacha20-poly1305@openssh.com' \
  PEM PKCS8; do
  rm -f locked locked.pub
  # shellcheck disable=SC2086 # words on purpose
  ssh-keygen -q -t ecdsa -N 'some words' -C locked -f locked -m $format
  cat locked.pub >>authorized_keys
  works "an encrypted key (${format##*-Z })" identity="$dir/locked" \
    passphrase=+"$dir/words"
done
refused 'an encrypted key without its passphrase' \
  'locked .it is encrypted.*passphrase=-' identity="$dir/locked"
refused 'a wrong passphrase' 'locked .wrong passphrase' \
  identity="$dir/locked" passphrase=+"$dir/other"
ssh-keygen -q -t ed25519 -a 501 -N 'some words' -C rounds -f rounds501
refused 'too many rounds' '501 rounds, more than 500' \
  identity="$dir/rounds501" passphrase=+"$dir/words"

# ------------------------------------------------------------------ ssh-agent

# start_agent NAME: at $dir/NAME.sock; sets $agent_pid
start_agent () {
  SSH_ASKPASS=/bin/false ssh-agent -D -a "$dir/$1.sock" >"$dir/$1.log" 2>&1 &
  agent_pid=$!
  wait_for 5 agent_listens "$dir/$1.sock" || die "ssh-agent does not start"
}

# add KEY…: to the agent of SSH_AUTH_SOCK
add () {
  ssh-add -q "$@"
}

start_agent agent
export SSH_AUTH_SOCK=$dir/agent.sock
rm -f locked locked.pub
for type in ed25519 ecdsa rsa; do
  ssh-keygen -q -t $type -N '' -C "agent's $type" -f "in_agent_$type"
  cat "in_agent_$type.pub" >>authorized_keys
  add "in_agent_$type"
  works "an $type key of SSH_AUTH_SOCK's agent"
  ssh-add -q -D 2>/dev/null
done
refused 'an agent without keys' 'tried: ssh-agent .it has no other key'
add in_agent_rsa
refused 'agent=no' 'tried: nothing' agent=no
works 'agent=yes' agent=yes
SSH_AUTH_SOCK='' works 'agent=PATH' agent="$dir/agent.sock"
SSH_AUTH_SOCK='' refused 'agent=yes without one' 'SSH_AUTH_SOCK is not set' \
  agent=yes
refused 'an agent that is not there' 'agent=.*nowhere: No such file' \
  agent="$dir/nowhere"
SSH_AUTH_SOCK=$dir/nowhere works 'an agent that has gone is as none' \
  identity="$dir/id"

# More keys than a server lets one try: the one whose file was named comes
# first, although the file is encrypted.
for i in 1 2 3 4 5 6 7; do
  ssh-keygen -q -t ed25519 -N '' -C "stranger $i" -f "stranger$i"
done
ssh-add -q -D 2>/dev/null
add stranger?
refused "no key of many" \
  'tried: stranger 1 .of the agent.*stranger 5 .of the agent.;'
cp in_agent_ecdsa named
ssh-keygen -q -p -P '' -N 'some words' -f named >/dev/null
add in_agent_ecdsa
works 'an encrypted identity= that the agent has' identity="$dir/named"
ssh-add -q -D 2>/dev/null

# The worker's death long after: the daemon still has the connection.
add in_agent_ed25519
start_nbdkit later bulkhead "$url" known-hosts="$known_hosts"
nbdcopy "$uri" copy
wait_for 10 one_worker
first=$(worker_pids)
# The copy may come out of the cache: only the log tells that the next worker
# has logged in.
readies () { grep -c 'worker [0-9]* ready' runtime/bulkheadd.log; }
before=$(readies)
logged_in_again () { [ "$(readies)" -gt "$before" ]; }
kill -KILL "$first"
wait_for 10 logged_in_again || die "the next worker did not log in"
nbdcopy "$uri" copy
cmp copy disk
[ "$(worker_pids)" != "$first" ] || die "the same worker"
ok "the agent is asked again by the next worker"
second=$(worker_pids)
kill -KILL "$agent_pid"
wait "$agent_pid" 2>/dev/null || :
kill -KILL "$second"
agent_is_missed () {
  grep -q 'ssh-agent (the agent has gone)' runtime/bulkheadd.log
}
wait_for 10 agent_is_missed || die "nobody misses the agent"
rm -f agent.sock
start_agent agent
add in_agent_ed25519
before=$(readies)
kill -KILL "$(daemon_pids)"
wait_for 10 logged_in_again || die "the next daemon does not ask the new agent"
ok "each daemon has a connection of its own to the agent"
stop_nbdkit
kill -KILL "$agent_pid"
ok "$(grep -o 'refused the login.*the agent has gone)' runtime/bulkheadd.log \
  | head -n 1)"
rm -f agent.sock

# A key that needs a confirmation that nobody gives: refused, then the next.
start_agent confirming
export SSH_AUTH_SOCK=$dir/confirming.sock
add in_agent_rsa
ssh-add -q -c in_agent_ed25519
works "a key that the agent refuses, then another"
kill -KILL "$agent_pid"
unset SSH_AUTH_SOCK
stop_sshd

# ------------------------------------------------------------------ host keys

ssh-keygen -q -t rsa -b 2048 -N '' -C host -f hostkey_rsa
ed25519_known=$known_hosts
: >unknown
printf '[127.0.0.1]:%s %s\n' "$sshd_port" "$(cut -d' ' -f1,2 hostkey_rsa.pub)" \
  >rsa_known
start_sshd "HostKey $dir/hostkey_rsa"
known_hosts=$dir/rsa_known
refused 'a known RSA host key, and others' \
  'known host keys .*ssh-rsa.* checked.*rsa-sha2.*ssh-ed25519.*ssh-keyscan' \
  identity="$dir/id"
known_hosts=$ed25519_known
works 'a known Ed25519 host key, and an RSA one' identity="$dir/id"
stop_sshd

mv hostkey hostkey_ed25519
mv hostkey_rsa hostkey
mv hostkey.pub hostkey_ed25519.pub
for file in unknown rsa_known; do
  start_sshd
  known_hosts=$dir/$file
  refused "only an RSA host key ($file)" \
    'no host key of a kind that can be checked: it offers rsa-sha2' \
    identity="$dir/id"
  stop_sshd
done
mv hostkey hostkey_rsa
mv hostkey_ed25519 hostkey
mv hostkey_ed25519.pub hostkey.pub
known_hosts=$ed25519_known

# ------------------------------------------------------- keyboard-interactive

printf '%s\n' "$password" >pw
printf 'not it\n' >wrong
chmod 0600 pw wrong
if [ "$(id -u)" = 0 ]; then
  printf '%s\n' 'auth required pam_unix.so' 'account required pam_unix.so' \
    'password required pam_unix.so' 'session required pam_permit.so' >pam
  mount --bind pam /etc/pam.d/sshd
  start_sshd 'UsePAM yes' 'PasswordAuthentication no' \
    'KbdInteractiveAuthentication yes'
  works 'keyboard-interactive, by the password' password=+"$dir/pw"
  refused 'keyboard-interactive, a wrong password' 'refused the login' \
    password=+"$dir/wrong"
  refused 'keyboard-interactive, no password' 'password=-'
  # A password that has to be changed: more questions than one.
  sed 's/:20000:/:0:/' shadow >expired
  cat expired >shadow # in place: it is mounted
  refused 'keyboard-interactive, more than one question' \
    'the server asks "[^"]*[Pp]assword: ?", which no password answers' \
    password=+"$dir/pw"
  stop_sshd
  umount /etc/pam.d/sshd
else
  echo 'not root: no PAM, so no keyboard-interactive'
fi
