#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead by NFSv3 (and 4.2) beside qemu-nbd over libnfs (v3), on the same
# NFS-Ganesha, in turn (A B C A B C …): medians, ratios to the first.
#
#   nfs.sh [--rounds N] [--rows ROW,…] [--seconds S] [--size MIB] [--sides S,…]
#
# Needs root, as NFS-Ganesha does. The file lies on tmpfs; fio's nbd engine over
# a Unix socket. Each measurement has its own server process and its own daemon,
# so that nothing is warm on our side; no random offset is read twice. The row
# rtt20-seq64 goes over a relay that delays each way by 10 ms.
#
# Behind each figure stands its ratio to the first side's and, in brackets, the
# CPU time of an operation of fio's in µs: what serves NBD (nbdkit, worker and
# daemon, or qemu-nbd), and NFS-Ganesha.

rounds=3 seconds=6 size_mib=512 sides=qemu,v3,v42
all_rows=rand-d1,rand-d32,seq-read,seq-write,rtt20-seq64
rows=$all_rows
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=$2 ;;
    --rows) rows=$2 ;;
    --seconds) seconds=$2 ;;
    --size) size_mib=$2 ;;
    --sides) sides=$2 ;;
    *) sed -n '3,/^$/s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
  shift 2
done
for row in ${rows//,/ }; do
  [[ ,$all_rows, == *,$row,* ]] \
    || { echo "$0: no row $row; there are $all_rows" >&2; exit 2; }
done
set -- --rounds "$rounds" --rows "$rows" --seconds "$seconds" \
  --size "$size_mib" --sides "$sides"
time_limit=7200
. "$(dirname "$0")/../tests/system/lib.sh"
. "$lib_dir/ganesha.sh"

command -v fio >/dev/null || die "fio is missing: apt-get install fio"
command -v qemu-nbd >/dev/null || die "qemu-nbd is missing:" \
  "apt-get install qemu-utils qemu-block-extra"

# job_of ROW: what fio does, at which address of the server.
job_of () {
  host=127.0.0.1
  case $1 in
    rand-d1)   job='--rw=randread --bs=4k --iodepth=1' unit=IOPS wanted=1.0 ;;
    rand-d32)  job='--rw=randread --bs=4k --iodepth=32' unit=IOPS wanted=1.3 ;;
    seq-read)  job='--rw=read --bs=1m --iodepth=8' unit=MiB/s wanted=1.3 ;;
    seq-write) job='--rw=write --bs=1m --iodepth=8 --end_fsync=1'
               unit=MiB/s wanted=1.3 ;;
    rtt20-seq64) job='--rw=read --bs=64k --iodepth=1' unit=IOPS wanted=10
               host=127.0.0.2 ;;
  esac
}

socket_is_there () {
  [ -S "$sock" ]
}

start_qemu () {
  sock=$dir/qemu.sock
  uri="nbd+unix:///?socket=$sock"
  rm -f "$sock"
  qemu-nbd -f raw -t -k "$sock" -e 8 "nfs://$host$data" >>qemu.log 2>&1 &
  nbdkit_pid=$!
  wait_for 20 socket_is_there || die "qemu-nbd does not start"
}

start_v3 () {
  start_nbdkit v3 bulkhead "nfs://$host$data" version=3
}

start_v42 () {
  start_nbdkit v42 bulkhead "nfs://$host/pseudo1/data.img" version=4.2
}

no_daemon () {
  [ -z "$(daemon_pids)" ]
}

stop_all () {
  local p
  stop_nbdkit
  for p in $(daemon_pids); do kill -TERM "$p"; done
  wait_for 10 no_daemon || die "bulkheadd does not end"
}

# User and system time of processes in ticks, those of ended children included.
ticks () { # PID…
  local p stat sum=0
  for p; do
    stat=$(cat "/proc/$p/stat" 2>/dev/null) || continue
    set -- ${stat##*) }
    sum=$((sum + ${12} + ${13} + ${14} + ${15}))
  done
  echo "$sum"
}

our_pids () {
  echo "$nbdkit_pid" $(descendants_of "$nbdkit_pid") $(daemon_pids) \
    $(worker_pids)
}

measure () {
  local side=$1 row=$2 v ours server
  job_of "$row"
  "start_$side"
  nbdinfo --size "$uri" >/dev/null
  ours=$(ticks $(our_pids)) server=$(ticks "$ganesha_pid")
  fio --name=bench --ioengine=nbd --uri="$uri" --size="${size_mib}m" \
    --randrepeat=0 --norandommap=0 --loops=1 --runtime="$seconds" $job \
    --output-format=json --output=fio.json >fio.log 2>&1 \
    || die "fio: $(tail -n 3 fio.log fio.json)"
  ours=$(($(ticks $(our_pids)) - ours))
  server=$(($(ticks "$ganesha_pid") - server))
  v=$(perl -MJSON::PP -e '
    local $/; my $t = <STDIN>; $t =~ s/^[^{]*//s;
    my $j = decode_json ($t)->{jobs}[0];
    die "fio: error $j->{error}\n" if $j->{error};
    my $d = $j->{read}{io_bytes} ? $j->{read} : $j->{write};
    printf "%.6g %.3g %.3g",
      $ARGV[0] eq "IOPS" ? $d->{iops} : $d->{bw_bytes} / 2**20,
      map { $_ * 1e6 / $ARGV[1] / $d->{total_ios} } @ARGV[2, 3];' \
    "$unit" "$(getconf CLK_TCK)" "$ours" "$server" <fio.json)
  echo "$v" >>"$side.$row"
  printf '%-11s %-5s %s (%s)\n' "$row" "$side" "$v" "$unit" >&2
  stop_all
}

need_ganesha
mkdir /run/export
data=/run/export/data.img
random_file "$data" "$size_mib"
ganesha_export 1 /run/export 'Access_Type = RW;'
start_ganesha
for p in "2049 10000" "20048 0"; do
  "$BULKHEAD_BUILDDIR/bench/relay" --host 2 --listen "${p% *}" \
    --connect "${p% *}" --delay-us "${p#* }" </dev/null \
    >"relay-${p% *}.log" 2>&1 &
  wait_for 5 grep -q ready "relay-${p% *}.log" || die "relay does not start"
done
for ((round = 1; round <= rounds; round++)); do
  for row in ${rows//,/ }; do
    for side in ${sides//,/ }; do
      measure "$side" "$row"
    done
  done
done
echo "| row | unit | wanted | ${sides//,/ | } |"
for row in ${rows//,/ }; do
  job_of "$row"
  perl -e '
    my ($row, $unit, $wanted, @file) = @ARGV;
    my (@m, @t);
    for my $f (@file) {
      open my $in, "<", $f or die "$f: $!";
      my @row = map { [split] } <$in>;
      my ($v, @cpu) = map {
        my $k = $_;
        my @s = sort { $a <=> $b } map { $_->[$k] } @row;
        ($s[$#s / 2] + $s[@s / 2]) / 2 } 0 .. 2;
      push @m, $v;
      push @t, sprintf "%.4g, %.2f (%.3g, %.3g)", $v, $v / $m[0], @cpu;
    }
    print "| $row | $unit | $wanted | ", join (" | ", @t), " |\n";' \
    "$row" "$unit" "$wanted" $(printf "%s.$row " ${sides//,/ })
done
