#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead beside what a user would pick instead, on the same machine, in turn
# (A B A B …): medians, the smallest and the largest value, ratios of medians.
#
#   run.sh [--rounds N] [--rows ROW,…] [--seconds S] [--size MIB]
#          [--hot MIB] [--seq-depth N] [--list]
#
# Rows that begin with "iscsi" are against tgt, beside qemu-nbd over libiscsi; with
# "iscsi-digest" both sides are bulkhead's, ours with digests of headers and data,
# and the target is the tests' own: tgt computes digests by a table, which costs it
# more than everything else together.
#
# A real sshd with a file of random data on tmpfs (so: no disk) in namespaces of
# their own; fio's nbd engine over a Unix socket; 32 nbdkit threads on both
# sides. Every single measurement has its own nbdkit, and bulkhead its own
# daemon, so that nothing is warm. No offset is read twice: a random read stops
# when every block has been read. Rows that say "hot" are the exception: there a
# part of the file (--hot MIB) is read before, until it is in the cache, and then
# again and again; "second" does that by one nbdkit, and measures the first reads
# of another one. The column "pages from the cache" is what bulkhead counts.
#
# CPU is user + system time of nbdkit (and bulkheadd and the worker) while fio
# ran, for each GiB that fio moved; sshd's stands beside it.

usage () {
  sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
  exit "$1"
}

rounds=3 seconds=6 size_mib=1024 hot_mib=32 seq_depth=8
rows=rand-d32,rand-d1,seq-read,seq-write,rtt20-d32,hot-d32,second,rtt20-seq64
rows+=,iscsi-d1,iscsi-d32,iscsi-read,iscsi-write,iscsi-rtt20,iscsi-digest
all_rows=$rows
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2 ;;
    --rows) rows=$2 ;;
    --seconds) seconds=$2 ;;
    --size) size_mib=$2 ;;
    --hot) hot_mib=$2 ;;
    --seq-depth) seq_depth=$2 ;;
    --list) echo "${all_rows//,/$'\n'}"; exit 0 ;;
    --help) usage 0 ;;
    *) usage 2 >&2 ;;
  esac
  shift 2
done
for row in ${rows//,/ }; do # before an hour's work
  [[ ,$all_rows, == *,$row,* ]] \
    || { echo "$0: no row $row; --list names them" >&2; exit 2; }
done
# lib.sh runs this script again with these.
set -- --rounds "$rounds" --rows "$rows" --seconds "$seconds" \
  --size "$size_mib" --hot "$hot_mib" --seq-depth "$seq_depth"
time_limit=7200
. "$(dirname "$0")/../tests/system/lib.sh"
. "$lib_dir/tgt.sh"

command -v fio >/dev/null || die "fio is missing: apt-get install fio"

# row_of ROW: what fio does, which way, and the least ratio that is wanted
row_of () {
  port=$sshd_port hosts=$known_hosts peer=ssh warm= row_mib=$size_mib
  protocol=sftp
  case $1 in iscsi-*) protocol=iscsi peer=libiscsi port=3261 ;; esac
  case $1 in
    rand-d32)  title='random 4 KiB read, depth 32, cold' wanted=3
               job='--rw=randread --bs=4k --iodepth=32' unit=IOPS ;;
    rand-d1)   title='random 4 KiB read, depth 1, cold' wanted=0.9
               job='--rw=randread --bs=4k --iodepth=1' unit=IOPS ;;
    seq-read)  title="sequential 1 MiB read, depth $seq_depth" wanted=1.0
               job="--rw=read --bs=1m --iodepth=$seq_depth" unit=MiB/s ;;
    seq-write) title="sequential 1 MiB write, depth $seq_depth, flush" wanted=1.1
               job="--rw=write --bs=1m --iodepth=$seq_depth --end_fsync=1"
               unit=MiB/s ;;
    rtt20-d32) title='random 4 KiB read, depth 32, 20 ms round trip' wanted=20
               job='--rw=randread --bs=4k --iodepth=32' unit=IOPS
               port=2300 hosts=$dir/relay_hosts ;;
    rtt20-seq64) title='sequential 64 KiB read, depth 1, 20 ms round trip'
               wanted=20 job='--rw=read --bs=64k --iodepth=1' unit=IOPS
               port=2300 hosts=$dir/relay_hosts ;;
    hot-d32)   title='random 4 KiB read, depth 32, hot' wanted=0.9
               job='--rw=randread --bs=4k --iodepth=32 --time_based' unit=IOPS
               peer=memory warm=same row_mib=$hot_mib ;;
    second)    title='first 2000 random 4 KiB reads, depth 1, of a second process'
               job='--rw=randread --bs=4k --iodepth=1 --number_ios=2000'
               wanted=1 unit=IOPS warm=other row_mib=$hot_mib ;;
    iscsi-d1)  title='iSCSI: random 4 KiB read, depth 1, cold' wanted=1.0
               job='--rw=randread --bs=4k --iodepth=1' unit=IOPS ;;
    iscsi-d32) title='iSCSI: random 4 KiB read, depth 32, cold' wanted=1.3
               job='--rw=randread --bs=4k --iodepth=32' unit=IOPS ;;
    iscsi-read) title="iSCSI: sequential 1 MiB read, depth $seq_depth"
               wanted=1.3 job="--rw=read --bs=1m --iodepth=$seq_depth"
               unit=MiB/s ;;
    iscsi-write) title="iSCSI: sequential 1 MiB write, depth $seq_depth, flush"
               wanted=1.3 unit=MiB/s
               job="--rw=write --bs=1m --iodepth=$seq_depth --end_fsync=1" ;;
    iscsi-rtt20) title='iSCSI: sequential 64 KiB read, depth 1, 20 ms round trip'
               wanted=10 job='--rw=read --bs=64k --iodepth=1' unit=IOPS
               port=3300 ;;
    iscsi-digest) title="iSCSI: sequential 1 MiB read, depth $seq_depth, digests"
               wanted=0.85 job="--rw=read --bs=1m --iodepth=$seq_depth"
               unit=MiB/s peer=bulkhead port=3270 ;;
  esac
}

# start_qemu NAME URL: qemu-nbd in the place of nbdkit.
start_qemu () {
  sock=$dir/$1.sock
  uri="nbd+unix:///?socket=$sock"
  rm -f "$sock"
  qemu-nbd -f raw -t -k "$sock" -e 8 --cache=none "$2" >>"$dir/$1.log" 2>&1 \
    </dev/null &
  nbdkit_pid=$!
  wait_for 10 test -S "$sock" || die "qemu-nbd: $(tail -n 3 "$dir/$1.log")"
}

start_peer () { # nbdkit's ssh plugin, or a disk in nbdkit's own memory, or …
  case $peer in
    libiscsi) start_qemu peer "$(iscsi_url 1 "$port")" ;;
    bulkhead) start_nbdkit peer -D bulkhead.stats=1 bulkhead \
                "$(iscsi_url 0 "$port" "$scripted")" ;;
    ssh) start_nbdkit peer ssh host=127.0.0.1 port="$port" user="$user" \
           path="$data" identity="$dir/id" known-hosts="$hosts" ;;
    memory) start_nbdkit peer memory "${row_mib}M"
            head -c "${row_mib}M" "$data" | nbdcopy - "$uri" ;;
  esac
}

start_ours () {
  if [ "$protocol" = iscsi ]; then
    if [ "$peer" = bulkhead ]; then
      start_nbdkit ours -D bulkhead.stats=1 bulkhead \
        "$(iscsi_url 0 "$port" "$scripted")" header-digest=crc32c \
        data-digest=crc32c
    else
      start_nbdkit ours -D bulkhead.stats=1 bulkhead "$(iscsi_url 1 "$port")"
    fi
    return
  fi
  start_nbdkit ours -D bulkhead.stats=1 bulkhead \
    "sftp://$user@127.0.0.1:$port$data" \
    identity="$dir/id" known-hosts="$hosts"
}

# Everything once and once more: a fill may be dropped when the daemon is busy.
# At random, as a scan is not cached.
warm_up () {
  fio --name=warm --ioengine=nbd --uri="$uri" --size="${row_mib}m" --loops=3 \
    --rw=randread --bs=64k --iodepth=4 --output=warm.log || die "$(cat warm.log)"
}

no_daemon () {
  [ -z "$(daemon_pids)" ]
}

stop_all () {
  local p
  for p in $nbdkit_pids; do
    stop_nbdkit "$p"
  done
  for p in $(daemon_pids); do
    kill -TERM "$p"
  done
  wait_for 10 no_daemon || die "bulkheadd does not end"
}

# User and system time of these processes, in ticks.
ticks_of () {
  local p stat sum=0
  for p; do
    stat=$(cat "/proc/$p/stat" 2>/dev/null) || continue
    set -- ${stat##*) }
    sum=$((sum + ${12} + ${13}))
  done
  echo "$sum"
}

# cache_hits SIDE: pages that came out of the shared cache, of the nbdkit that was
# measured last. It says so when it ends.
cache_hits () {
  if [ "$1" = ours ]; then
    sed -n 's/.*pages: \([0-9]*\) from the cache.*/\1/p' ours.log | tail -n 1
  else
    echo 0
  fi
}

# measure SIDE ROW: one line of figures into $dir/SIDE.ROW
measure () {
  local side=$1 row=$2 ours sessions cpu sshd_cpu
  row_of "$row"
  "start_$side"
  nbdkit_pids=$nbdkit_pid
  if [ -n "$warm" ]; then
    warm_up
  fi
  if [ "$warm" = other ]; then
    mv "$dir/$side.pid" "$dir/first.pid"
    mv "$sock" "$dir/first.sock"
    "start_$side"
    # Stopped last, so that what is said last is of the one that counts.
    nbdkit_pids+=" $nbdkit_pid"
  fi
  # nbdkit ssh logs in with each NBD connection: this one shows that it can.
  nbdinfo --size "$uri" >/dev/null
  ours="$nbdkit_pids $(daemon_pids) $(worker_pids)"
  cpu=$(ticks_of $ours)
  : >fio.json
  # Ticks of sshd's session that ends with fio would be lost: sshd waits for its
  # children, so that its own count of them has those as well.
  sshd_cpu=$(sshd_ticks)
  fio --name=bench --ioengine=nbd --uri="$uri" --size="${row_mib}m" \
    --randrepeat=0 --norandommap=0 --loops=1 --runtime="$seconds" $job \
    --output-format=json --output=fio.json >fio.log 2>&1 \
    || die "fio: $(tail -n 3 fio.log fio.json)"
  cpu=$(($(ticks_of $ours) - cpu))
  sshd_cpu=$(($(sshd_ticks) - sshd_cpu))
  stop_all
  perl -MJSON::PP -e '
    my ($unit, $cpu, $sshd, $hits, $hz) = @ARGV;
    local $/; my $t = <STDIN>; $t =~ s/^[^{]*//s;
    my $j = decode_json ($t)->{jobs}[0];
    die "fio: error $j->{error}\n" if $j->{error};
    my $d = $j->{read}{io_bytes} ? $j->{read} : $j->{write};
    my $gib = $d->{io_bytes} / 2**30;
    die "nothing was moved\n" if !$gib;
    my $v = $unit eq "IOPS" ? $d->{iops} : $d->{bw_bytes} / 2**20;
    printf "%.6g %.4g %.4g %d %d\n", $v, $cpu / $hz / $gib, $sshd / $hz / $gib,
      $hits, $d->{total_ios};' \
    "$unit" "$cpu" "$sshd_cpu" "$(cache_hits "$side")" "$(getconf CLK_TCK)" \
    <fio.json >figures
  cat figures >>"$side.$row"
  printf '%-9s %-6s %s %s (%s requests)\n' "$row" "$side" \
    "$(cut -d' ' -f1 figures)" "$unit" "$(cut -d' ' -f5 figures)" >&2
}

# sshd and its sessions, those that have ended included; and tgtd.
sshd_ticks () {
  local p stat sum=0
  for p in "$sshd_pid" $(sshd_session_pids) ${tgt_pid-} ${scripted_pid-}; do
    stat=$(cat "/proc/$p/stat" 2>/dev/null) || continue
    set -- ${stat##*) }
    sum=$((sum + ${12} + ${13} + ${14} + ${15}))
  done
  echo "$sum"
}

peer_name () {
  case $peer in
    libiscsi) echo 'qemu-nbd, libiscsi' ;;
    bulkhead) echo 'without digests' ;;
    *) echo "nbdkit $peer" ;;
  esac
}

make_targets () {
  tgt_target 1 "$iqn"
  ln -s "$data" "$dir/data"
  tgt_lun 1 1 data
  tgt_open 1
}

table () {
  local row
  printf '\n%s, %s cores; Linux %s; %s; %s; OpenSSH %s; %s\n\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" \
    "$(uname -r)" "$(nbdkit --version | head -n 1)" "$(fio --version)" \
    "$(sshd -V 2>&1 | sed -n 's/^OpenSSH_\([^ ,]*\).*/\1/p' | head -n 1)" \
    "$(date -u +%Y-%m-%d)"
  printf '%s rounds, %s s each at most, file of %s MiB; median (least – most)\n\n' \
    "$rounds" "$seconds" "$size_mib"
  echo '| row | unit | peer | its figure | bulkhead | ratio | wanted | CPU s/GiB: peer (server) | CPU s/GiB: bulkhead (server) | pages from the cache |'
  echo '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |'
  for row in ${rows//,/ }; do
    row_of "$row"
    perl -e '
      my ($title, $unit, $wanted, $peer, @file) = @ARGV;
      sub median { my @s = sort { $a <=> $b } @_;
                   return ($s[$#s / 2] + $s[@s / 2]) / 2 }
      sub text { my $v = shift; return $v >= 100 ? sprintf "%.0f", $v
                                               : sprintf "%.3g", $v }
      my (@shown, @median, @cpu, $hits);
      for my $f (@file) {
        open my $in, "<", $f or die "$f: $!";
        my @row = map { [split] } <$in>;
        my @v = sort { $a <=> $b } map { $_->[0] } @row;
        push @median, median (@v);
        push @shown, text (median (@v)) . " (" . text ($v[0]) . " – "
          . text ($v[-1]) . ")";
        push @cpu, sprintf "%.2f (%.2f)", median (map { $_->[1] } @row),
          median (map { $_->[2] } @row);
        $hits = 0; $hits += $_->[3] for @row;
      }
      printf "| %s | %s | %s | %s | %s | %.2f | ≥ %s | %s | %s | %s |\n",
        $title, $unit, $peer, @shown, $median[1] / $median[0], $wanted, @cpu,
        $hits;' \
      "$title" "$unit" "$wanted" "$(peer_name)" "peer.$row" "ours.$row"
  done
}

start_sshd
start_relay 2300 --delay-us 10000
write_known_hosts relay_hosts 2300
data=/run/data.img
random_file "$data" "$size_mib"
case $rows in *iscsi-*)
  command -v tgtd >/dev/null && command -v qemu-nbd >/dev/null \
    || die "tgt or qemu-nbd is missing: apt-get install tgt qemu-utils" \
      "qemu-block-extra"
  start_tgt make_targets
  case $rows in *iscsi-digest*)
    start_scripted 3270 --mib "$size_mib" --digests ;;
  esac
  "$BULKHEAD_BUILDDIR/bench/relay" --listen 3300 --connect 3261 \
    --delay-us 10000 </dev/null >iscsi-relay.log 2>&1 &
  wait_for 5 grep -q ready iscsi-relay.log || die "relay does not start" ;;
esac
for ((round = 1; round <= rounds; round++)); do
  for row in ${rows//,/ }; do
    measure peer "$row"
    measure ours "$row"
  done
done
table
