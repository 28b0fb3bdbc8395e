#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Does what README.md says under "A disk of your own", word for word: a user "me"
# of a server "host" is made for that.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "the server has to be at port 22, which root may use"

sed -n '/^## A disk of your own/,/^## /p' "$lib_dir/../../README.md" \
  | awk '/^```/ { block++; next } block == 1' >commands
[ "$(wc -l <commands)" -ge 5 ] || die "README.md has other blocks"
grep -q '^bulkhead serve ' commands || die "README.md has another first block"

# The host, the user and the key that a newcomer has.
cp /etc/hosts hosts
echo '127.0.0.1 host' >>hosts
mount --bind hosts /etc/hosts
echo "me:x:0:0::$HOME:/bin/sh" >>"$dir/passwd"
echo "me:x:20000:0:99999:7:::" >>"$dir/shadow"
cp id "$HOME/.ssh/id_ed25519"
sshd_port=22
start_sshd
printf 'host %s\n' "$(cut -d' ' -f1,2 hostkey.pub)" >"$HOME/.ssh/known_hosts"
# ssh takes the home from the user database, where root's is another.
printf '#!/bin/sh\nexec %s -o UserKnownHostsFile=%s -i %s "$@"\n' \
  "$(command -v ssh)" "$HOME/.ssh/known_hosts" "$HOME/.ssh/id_ed25519" >ssh
chmod 755 ssh

mkdir newcomer
cp commands newcomer/
cd newcomer
PATH=$dir:$PATH "$run" bash -euo pipefail -x commands >said 2>steps \
  || die "README.md: $(tail -n 5 steps)"
grep -q 'export-size: 67108864' said || die "nbdinfo says $(cat said)"
tail -n 1 said | grep -qx 'hello, disk' || die "what comes back: $(tail -n 1 said)"
[ "$(head -n 1 "$HOME/disk.img")" = 'hello, disk' ] || die "nothing is on the server"
ended () {
  [ -z "$(pids_of nbdkit)" ]
}
wait_for 20 ended || die "it is still served"
ok "$(wc -l <commands) commands of README.md do what they say"
