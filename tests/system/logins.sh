#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Logins beyond a plain key and a password: every kind of key and host key,
# encrypted keys, keyboard-interactive.
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
