# SPDX-License-Identifier: BSD-2-Clause
# Sourced by every system test (bash). Runs the test in namespaces of its own
# (ports, processes, mounts; see `enter`), with a private sshd, and ends all of
# it with the test, whatever happens.
#
# A test is a script that sources this file, calls `ok TEXT` after each thing
# that it has shown, and `die TEXT` when something is wrong. It stops at the
# first command that fails (set -e). Nothing here sleeps for a fixed time to
# let something happen: see wait_for.
#
# From the environment (make check sets the first; all have defaults):
#   BULKHEAD_BUILDDIR      the build under test: its ./run is used
#   BULKHEAD_TEST_SMALL    1: smaller sizes (sanitizer builds)
#   BULKHEAD_TEST_KEEP     1: keep the scratch directory
#   TMPDIR                 where the scratch directory is made
#
# What a test may use:
#   $dir       scratch directory, removed afterwards; logs in $dir/*.log are
#              shown when the test fails
#   $user      who we are; $HOME is $dir/home
#   $run       the build's ./run
#   $small     1 or empty

set -Eeuo pipefail

lib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
test_name=$(basename "$0" .sh)
: "${BULKHEAD_BUILDDIR:=$PWD}"
run=$BULKHEAD_BUILDDIR/run
small=${BULKHEAD_TEST_SMALL:-}
[ "$small" = 0 ] && small=
: "${time_limit:=120}" # seconds; a test may set it before sourcing

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

ok () {
  printf 'PASS: %s: %s\n' "$test_name" "$*"
}

die () {
  printf "FAIL: %s: %s\n" "$test_name" "$*"
  trap - ERR
  exit 1
}

skip () {
  printf 'SKIP: %s: %s\n' "$test_name" "$*"
  exit 77
}

# ------------------------------------------------------------ outside, before

# The last lines of every log of the scratch directory, bounded.
show_logs () {
  local log
  for log in "$dir"/*.log "$dir"/runtime/*.log; do
    [ -s "$log" ] || continue
    printf -- '--- %s (the last lines)\n' "${log#"$dir"/}"
    tail -n 25 "$log" | cut -c1-300
  done
}

# Runs this script again inside new namespaces and waits for it, at most
# $time_limit. Root makes plain ones; anybody else a user namespace that maps
# just that user, with the capabilities that `inside` drops when it has set up.
enter () {
  local status=0 unshare
  [ -x "$run" ] || die "no $run: run this from a build directory," \
    "or set BULKHEAD_BUILDDIR"
  dir=$(mktemp -d "${TMPDIR:-/tmp}/bulkhead-$test_name.XXXXXX")
  unshare=(unshare --net --mount --pid --fork --kill-child --mount-proc)
  [ "$(id -u)" = 0 ] || unshare+=(--user --map-current-user --keep-caps)
  "${unshare[@]}" true 2>"$dir/unshare.err" || {
    cat "$dir/unshare.err" >&2
    rm -rf "$dir"
    die "cannot make namespaces: this needs root or user namespaces"
  }
  trap 'kill -KILL "$child" 2>/dev/null || :; rm -rf "$dir"; exit 130' \
    INT TERM HUP
  # KILL, as unshare shrugs off TERM; its child, process 1 in there, and
  # everything else in there end with it. The same if we are killed.
  setpriv --pdeathsig KILL timeout --signal=KILL "$time_limit" \
    setpriv --pdeathsig KILL "${unshare[@]}" \
    env bulkhead_test_dir="$dir" BULKHEAD_BUILDDIR="$BULKHEAD_BUILDDIR" \
    bash "$0" "$@" </dev/null &
  child=$!
  wait "$child" || status=$?
  trap - INT TERM HUP
  [ "$status" != 137 ] \
    || printf 'FAIL: %s: not done after %s s\n' "$test_name" "$time_limit"
  case $status in 0|77) ;; *) show_logs ;; esac
  if [ -n "${BULKHEAD_TEST_KEEP:-}" ]; then
    echo "kept: $dir"
  else
    rm -rf "$dir"
  fi
  exit "$status"
}

# ------------------------------------------------------------- inside, set-up

# The passwd and shadow files that everybody in here sees: the same users, and
# a password for ours, so that password logins can be tested.
own_passwd () {
  local entry
  user=$(id -un 2>/dev/null || echo bulkhead-test)
  password='a Password: of 3 words'
  entry=$(getent passwd "$user" || :)
  {
    grep -v "^$user:" /etc/passwd || :
    [ -n "$entry" ] && awk -F: -v OFS=: -v home="$dir/home" \
      '{ $2 = "x"; $6 = home; $7 = "/bin/sh"; print }' <<<"$entry" \
      || echo "$user:x:$(id -u):$(id -g)::$dir/home:/bin/sh"
  } >"$dir/passwd"
  echo "$user:$(openssl passwd -6 "$password"):20000:0:99999:7:::" \
    >"$dir/shadow"
  chmod 0600 "$dir/shadow"
  mount --bind "$dir/passwd" /etc/passwd
  mount --bind "$dir/shadow" /etc/shadow
}

# As process 1 of the namespaces.
inside () {
  dir=$bulkhead_test_dir
  if [ -z "${bulkhead_test_ready:-}" ]; then
    ip link set lo up
    mount -t tmpfs tmpfs /run
    mkdir -m 0755 /run/sshd
    mkdir -m 0700 "$dir/home" "$dir/home/.ssh" "$dir/runtime"
    own_passwd
    exec setpriv --ambient-caps=-all --inh-caps=-all \
      env bulkhead_test_ready=1 bulkhead_test_password="$password" \
      bash "$0" "$@"
  fi
  user=$(id -un)
  password=$bulkhead_test_password
  unset bulkhead_test_password bulkhead_test_ready bulkhead_test_dir
  # Nothing of the caller's session may make a difference.
  unset SSH_AUTH_SOCK SSH_ASKPASS DISPLAY XDG_RUNTIME_DIR
  export HOME=$dir/home TMPDIR=$dir BULKHEAD_RUNTIME_DIR=$dir/runtime LC_ALL=C
  cd "$dir"
  ssh-keygen -q -t ed25519 -N '' -C test -f "$dir/id"
  cp "$dir/id.pub" "$dir/authorized_keys"
  ssh-keygen -q -t ed25519 -N '' -C host -f "$dir/hostkey"
  trap 'printf "FAIL: %s: line %s: %s\n" "$test_name" "$LINENO" \
    "$BASH_COMMAND" >&2' ERR
}

# -------------------------------------------------------------------- waiting

now_ms () {
  local t=${EPOCHREALTIME/[.,]/}
  echo "${t%???}"
}

# wait_for SECONDS COMMAND…: until the command succeeds; fails after that time.
wait_for () {
  local end=$(($(now_ms) + $1 * 1000))
  shift
  until "$@"; do
    [ "$(now_ms)" -lt "$end" ] || return 1
    sleep 0.02
  done
}

# agent_listens SOCKET: it is bound before it listens, and a file then.
agent_listens () {
  local code=0
  SSH_AUTH_SOCK=$1 ssh-add -l >/dev/null 2>&1 || code=$?
  [ "$code" -le 1 ] # 1: it has no key
}

# alive PID: a zombie is not.
alive () {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  [ "${stat%% *}" != Z ]
}

gone () {
  ! alive "$1"
}

# Processes by name (its first 15 letters); only this test's are visible in
# here, and zombies are left out.
pids_of () {
  pgrep --runstates R,S,D,T --exact "$1" || :
}

# All descendants of a process, nearest first.
descendants_of () {
  local p
  for p in $(pgrep --runstates R,S,D,T --parent "$1" || :); do
    echo "$p"
    descendants_of "$p"
  done
}

daemon_pids () {
  pids_of bulkheadd
}

# The workers of our daemon, whatever program plays that part.
worker_pids () {
  local d
  d=$(daemon_pids | head -n 1)
  [ -n "$d" ] || return 0
  # Names are cut at 15 letters.
  pgrep --runstates R,S,D,T --parent "$d" 'bulkhead-w|poss' || :
}

# The last export's worker may still be on its way out.
one_worker () {
  [ "$(worker_pids | wc -l)" = 1 ]
}

have_worker () {
  [ -n "$(worker_pids)" ]
}

# ----------------------------------------------------------------------- sshd

# write_known_hosts FILE PORT: our host key under the hashed name of that port.
write_known_hosts () {
  printf '[127.0.0.1]:%s %s\n' "$2" "$(cut -d' ' -f1,2 "$dir/hostkey.pub")" \
    >"$1"
  ssh-keygen -q -H -f "$1" >/dev/null 2>&1
  rm -f "$1.old"
}

# start_sshd [CONFIG LINE…]: sets $sshd_port, $sshd_pid, $known_hosts. Calling
# it again after stop_sshd starts it at the same port with the same key.
start_sshd () {
  : "${sshd_port:=2222}"
  known_hosts=$dir/known_hosts
  [ -e "$known_hosts" ] || write_known_hosts "$known_hosts" "$sshd_port"
  {
    # First, as the first value counts.
    [ $# = 0 ] || printf '%s\n' "$@"
    cat <<EOF
Port $sshd_port
ListenAddress 127.0.0.1
HostKey $dir/hostkey
AuthorizedKeysFile $dir/authorized_keys
PidFile $dir/sshd.pid
PermitRootLogin yes
StrictModes no
UsePAM no
UseDNS no
MaxStartups 100
Subsystem sftp internal-sftp
EOF
  } >"$dir/sshd_config"
  rm -f "$dir/sshd.pid"
  /usr/sbin/sshd -D -e -f "$dir/sshd_config" 2>>"$dir/sshd.log" &
  sshd_pid=$!
  wait_for 10 test -s "$dir/sshd.pid" || die "sshd does not start"
}

stop_sshd () {
  local p
  for p in "$sshd_pid" $(descendants_of "$sshd_pid"); do
    kill -KILL "$p" 2>/dev/null || :
  done
  wait "$sshd_pid" 2>/dev/null || :
}

sshd_session_pids () {
  descendants_of "$sshd_pid"
}

# --------------------------------------------------------------------- nbdkit

# start_nbdkit NAME ARGUMENT…: in the foreground, as our child; sets
# $nbdkit_pid, $sock, $uri. Its words go to $dir/NAME.log.
start_nbdkit () {
  local name=$1
  shift
  sock=$dir/$name.sock
  uri="nbd+unix:///?socket=$sock"
  rm -f "$sock" "$dir/$name.pid"
  "$run" nbdkit -f -t 32 -U "$sock" -P "$dir/$name.pid" "$@" \
    >>"$dir/$name.log" 2>&1 </dev/null &
  nbdkit_pid=$!
  nbdkit_name=$name
  wait_for 30 nbdkit_is_up_or_dead
  [ -s "$dir/$name.pid" ] || die "nbdkit does not start: $(tail -n 3 \
    "$dir/$name.log")"
}

nbdkit_is_up_or_dead () {
  [ -s "$dir/$nbdkit_name.pid" ] || ! alive "$nbdkit_pid"
}

# stop_nbdkit [PID]: by SIGTERM, which must do within 10 s.
stop_nbdkit () {
  local pid=${1:-$nbdkit_pid}
  kill -TERM "$pid"
  wait_for 10 gone "$pid" || die "nbdkit does not end on SIGTERM"
  wait "$pid" 2>/dev/null || :
}

# What every export of a file of our sshd needs.
sftp_url () {
  echo "sftp://$user@127.0.0.1:$sshd_port$1"
}

# start_bulkhead FILE [ARGUMENT…]
start_bulkhead () {
  local file=$1
  shift
  start_nbdkit "${export_name:-export}" bulkhead "$(sftp_url "$file")" \
    identity="$dir/id" known-hosts="$known_hosts" "$@"
}

# ---------------------------------------------------------------------- relay

# start_relay PORT ARGUMENT…: to our sshd, or to $relay_to; sets $relay_pid.
start_relay () {
  local port=$1
  shift
  mkfifo "$dir/relay.control"
  : >"$dir/relay.log"
  "$BULKHEAD_BUILDDIR/bench/relay" --listen "$port" --connect "${relay_to:-$sshd_port}" \
    "$@" <>"$dir/relay.control" >"$dir/relay.log" 2>&1 &
  relay_pid=$!
  relay_told=0
  wait_for 5 grep -q ready "$dir/relay.log" || die "relay does not start"
}

# relay LINE: tells it something, and waits until it has done it.
relay () {
  echo "$*" >"$dir/relay.control"
  relay_told=$((relay_told + 1))
  wait_for 5 relay_has_answered || die "relay does not answer"
}

relay_has_answered () {
  [ "$(grep -c ok "$dir/relay.log")" = "$relay_told" ]
}

# ---------------------------------------------------------------------- crash

# kill_workers FLAG SECONDS: as long as the file FLAG exists, kills the daemon's
# worker, looking for one again after that time. $dir/kills counts.
kill_workers () {
  local w kills=0
  echo 0 >"$dir/kills"
  while [ -e "$1" ]; do
    for w in $(worker_pids); do
      kill -KILL "$w" 2>/dev/null && kills=$((kills + 1))
    done
    echo "$kills" >"$dir/kills.new"
    mv "$dir/kills.new" "$dir/kills"
    sleep "$2"
  done
}

# with_kills SECONDS COMMAND…: runs it while workers are killed; sets $kills to
# how many were killed while it ran.
with_kills () {
  local every=$1 killer status=0
  shift
  : >"$dir/killing"
  kill_workers "$dir/killing" "$every" &
  killer=$!
  "$@" || status=$?
  kills=$(cat "$dir/kills")
  rm -f "$dir/killing"
  wait "$killer" || :
  return "$status"
}

# ----------------------------------------------------------------------- data

# random_file FILE MIB
random_file () {
  # A keyed stream is several times faster than /dev/urandom.
  openssl enc -aes-128-ctr -nosalt -pass "pass:${1##*/}" -in /dev/zero \
    2>/dev/null | head -c "${2}M" >"$1" || :
  [ "$(stat -c %s "$1")" = $(($2 * 1048576)) ] || die "cannot make $1"
}

sha256 () {
  sha256sum <"$1" | cut -d' ' -f1
}

# mib FULL: a size in MiB, a quarter of it for sanitizer builds.
mib () {
  if [ -n "$small" ]; then echo $((($1 + 3) / 4)); else echo "$1"; fi
}

# documented COMMAND FILE: the JSON in it is one value, and the command's manual
# page knows each name in there.
documented () {
  local name
  jq -es 'length == 1' "$2" >/dev/null || die "$1 --json: $(cat "$2")"
  for name in $(jq -r '[.. | objects | keys[]] | unique[]' "$2"); do
    grep -q "C<$name>" "$lib_dir/../../docs/bulkhead-$1.pod" \
      || die "bulkhead-$1(1) does not know \"$name\" of its JSON"
  done
}

model=$BULKHEAD_BUILDDIR/tests/system/nbd-model

# model_begins ARGUMENT…: nbd-model in the background, its words in client.log;
# returns when its random I/O has begun. Sets $client.
model_begins () {
  : >"$dir/client.log"
  "$model" "$@" >"$dir/client.log" 2>&1 &
  client=$!
  wait_for 20 grep -q begins "$dir/client.log" || die "the client does not begin"
}

if [ -z "${bulkhead_test_dir:-}" ]; then
  enter "$@"
fi
inside "$@"
