#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The two configuration files: which one counts, who may own and write them, where
# secrets may be, and what is said of mistakes. No server is needed: which volume
# was meant shows by the port that refuses the connection.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "/etc/bulkhead is made in a layer over /etc: needs root"

# /etc as it is, and what we write on top; the files mounted in there stay.
mkdir /run/etc /run/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work \
  /etc || skip "no overlay file system"
mkdir -p /etc/bulkhead "$HOME/.config/bulkhead"
system=/etc/bulkhead/bulkhead.conf
own=$HOME/.config/bulkhead/bulkhead.conf

# says STATUS REGEX COMMAND ARGUMENT…
says () {
  local want=$1 regex=$2 status=0
  shift 2
  "${as[@]}" "$run" bulkhead "$@" >said.out 2>said.err </dev/null || status=$?
  [ "$status" = "$want" ] && [ ! -s said.out ] \
    && [ "$(wc -l <said.err)" -le 2 ] && grep -Eq -- "$regex" said.err \
    || die "$*: status $status: $(cat said.out said.err)"
}
as=()

# volume NAME PORT [LINE…]
volume () {
  printf '  %s:\n    url: sftp://127.0.0.1:%s/x\n' "$1" "$2"
  shift 2
  [ $# = 0 ] || printf '    %s\n' "$@"
}
{ echo volumes:; volume both 11; volume system 12 'timeout: 7'; } >$system
chmod 644 $system
{ echo volumes:; volume both 13; volume own 14; } >"$own"

# -------------------------------------------------------------------- precedence

for command in probe serve bench discover; do
  says 5 '127.0.0.1:13' $command both
  says 5 '127.0.0.1:12' $command system
  says 5 '127.0.0.1:14' $command own
done
says 5 '127.0.0.1:14' copy own ./out.img
says 5 '127.0.0.1:12' copy system ./out.img
says 3 'sftp://.*@127.0.0.1:12/x is not served' status system
says 2 'did you mean system' probe sytem
[ -e /sys/module/nbd ] || says 7 'nbd driver' attach both
[ "$("$run" bulkhead completion volumes | sort | tr '\n' ' ')" \
  = 'both own system ' ] || die "completion knows others"
mkdir -p xdg/bulkhead
{ echo volumes:; volume both 15; } >xdg/bulkhead/bulkhead.conf
XDG_CONFIG_HOME=$dir/xdg says 5 '127.0.0.1:15' probe both
XDG_CONFIG_HOME=$dir/xdg says 2 'no volume' probe own
XDG_CONFIG_HOME=xdg says 5 '127.0.0.1:13' probe both # relative: is none
mv "$own" own.conf
says 5 '127.0.0.1:11' probe both
as=(setpriv --reuid=65534 --regid=65534 --clear-groups env -u BULKHEAD_RUNTIME_DIR
  HOME=/nowhere)
chmod 755 "$dir"
says 5 '127.0.0.1:11' probe both
as=()
cp own.conf "$own"
ok "the user's file counts more than the system's, in every command"

# -------------------------------------------------------------- whose they are

refuses () { # FILE STATUS REGEX
  says "$2" "$3" probe system
  grep -q "$1" said.err || die "which file? $(cat said.err)"
}
for file in $system "$own"; do
  chown 12345 "$file"
  refuses "$file" 4 'belongs to uid 12345'
  chown 0 "$file"
  chmod 664 "$file"
  refuses "$file" 4 'can be written by others .mode 664'
  sed -n 2p said.err | grep -q "chmod go-w $file" || die "$(cat said.err)"
  chmod 646 "$file"
  refuses "$file" 4 'mode 646'
  chmod 644 "$file"
  mv "$file" kept
  mkfifo "$file"
  refuses "$file" 2 'is not a regular file'
  rm "$file"
  mkdir "$file"
  refuses "$file" 2 'is not a regular file'
  rmdir "$file"
  mv kept "$file"
done
says 5 '127.0.0.1:12' probe system
ok "a file that others own or can write is refused, and one that is none"

# ----------------------------------------------------------------------- secrets

export CREDENTIALS_DIRECTORY=$dir/credentials
mkdir -m 700 credentials
secret () { # how it is named
  { echo volumes:; volume s 16 "password: $1"; } >"$own"
}
printf 'a secret\n' >"$HOME/secret"
printf 'a secret\n' >credentials/login
secret '+~/secret'
for mode in 640 604 660 606 644; do
  chmod $mode "$HOME/secret"
  says 4 "secret is open to others .mode $mode" probe s
  sed -n 2p said.err | grep -q "chmod 600 $HOME/secret" || die "$(cat said.err)"
done
for mode in 600 400; do
  chmod $mode "$HOME/secret"
  says 5 '127.0.0.1:16' probe s
done
chown 12345 "$HOME/secret"
says 4 'secret belongs to uid 12345' probe s
chown 0 "$HOME/secret"
: >"$HOME/secret"
says 2 'secret is empty' probe s
secret "+$dir"
says 2 'is not a regular file' probe s
secret '+~/none'
says 3 'none: No such file' probe s
secret credential:login
chmod 440 credentials/login # as systemd's access lists show
says 5 '127.0.0.1:16' probe s
chmod 444 credentials/login
says 4 'login is open to others .mode 444' probe s
secret credential:other
says 3 'other: No such file' probe s
secret credential:../credentials/login
says 2 'is no credential.s name' probe s
unset CREDENTIALS_DIRECTORY
secret credential:login
says 3 'no credential login' probe s
sed -n 2p said.err | grep -q 'LoadCredential=' || die "$(cat said.err)"
secret 'plain'
says 2 "$own:4: password in volume s is not the name of a file" probe s
! grep -q plain said.err || die "a secret is repeated"
ok "secrets only from files that nobody else can read, and from systemd's credentials"

# ---------------------------------------------------------------------- mistakes

wrong () { # LINE REGEX HINT TEXT
  printf '%b' "$4" >"$own"
  says 2 "^bulkhead: $own:$1: $2" probe system
  sed -n 2p said.err | grep -Eq -- "$3" || die "what to do? $(cat said.err)"
}
url='volumes:\n  a:\n    url: sftp://h/x\n'
wrong 4 'unknown key "identiy" in volume a' 'did you mean identity\?' \
  "$url    identiy: ~/key\n"
wrong 5 'unknown key "readnly"' 'did you mean readonly\?' \
  "# a comment\n$url    readnly: yes\n"
wrong 4 'unknown key "devize"' 'did you mean device\?' "$url    devize: /dev/nbd1\n"
wrong 4 'unknown key "frobnicate"' 'man bulkhead-sftp' "$url    frobnicate: 1\n"
wrong 1 'unknown key "volume"' 'did you mean volumes\?' 'volume:\n  a:\n'
wrong 3 '.*names no host' 'sftp://' 'volumes:\n  a:\n    url: sftp:///x\n'
wrong 2 'volume a has no url' 'url: sftp' 'volumes:\n  a:\n    readonly: yes\n'
wrong 2 '"a/b" cannot be the name' 'letters, digits' 'volumes:\n  a/b:\n    url: sftp://h/x\n'
wrong 4 '.' 'indent with spaces' "$url\t  identity: ~/key\n"
# What is wrong in the system's file is told, too.
rm "$own"
printf '%b' "$url    identiy: ~/key\n" >$system
says 2 "^bulkhead: $system:4: unknown key" probe a
ok "mistakes are told with file, line and what was meant"
