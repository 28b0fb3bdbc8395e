#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bulkhead discover and probe against real servers of each protocol, and bulkhead
# doctor on this machine.
. "$(dirname "$0")/lib.sh"
. "$lib_dir/tgt.sh"
. "$lib_dir/ganesha.sh"

export BULKHEAD_RUN=$run

bulkhead () {
  "$run" bulkhead "$@"
}

# fails STATUS REGEX ARGUMENT…
fails () {
  local want=$1 regex=$2 code=0
  shift 2
  bulkhead "$@" >said.out 2>said.err </dev/null || code=$?
  [ "$code" = "$want" ] && [ "$(wc -l <said.err)" -le 2 ] \
    && grep -Eq -- "$regex" said.err && [ ! -s said.out ] \
    || die "bulkhead $*: status $code: $(cat said.out said.err)"
}

# -------------------------------------------------------------------------- SFTP

start_sshd
mkdir images
truncate -s 3M images/one.img
truncate -s 5M 'images/two & 100 %.img'
mkdir images/sub
key=(identity="$dir/id" known-hosts="$known_hosts")
bulkhead discover --json "$(sftp_url "$dir/images")" "${key[@]}" >list
[ "$(jq -r '.[] | "\(.name) \(.size)"' list)" = "one.img 3145728
two & 100 %.img 5242880" ] || die "SFTP: $(cat list)"
bulkhead discover "$(sftp_url "$dir/images/")" "${key[@]}" >text
grep -Eq '/images/one.img +3 MiB' text || die "SFTP: $(cat text)"
# The URL that it prints opens what it names.
url=$(jq -r '.[1].url' list)
[ "$(bulkhead probe --json "$url" "${key[@]}" | jq .size)" = 5242880 ] \
  || die "the URL $url opens something else"
truncate -s 2M "$HOME/home.img"
[ "$(bulkhead discover --json "$(sftp_url /~)" "${key[@]}" \
  | jq -r '.[] | select(.name == "home.img").size')" = 2097152 ] \
  || die "the login directory: $(bulkhead discover "$(sftp_url /~)" "${key[@]}")"
documented discover list
ok "discover lists the files of a directory, and their URLs open them"

bulkhead probe --json "$(sftp_url "$dir/images/one.img")" "${key[@]}" >probe
jq -e '.protocol == "sftp" and .readonly == false and .can.flush.native
  and (.can.trim.native | not) and .round_trip.min_ns > 1000
  and .round_trip.median_ns >= .round_trip.min_ns
  and (.sandbox | index("seccomp")) and .opened_ns > 0' probe >/dev/null \
  || die "probe: $(cat probe)"
bulkhead probe "$(sftp_url "$dir/images/one.img")" "${key[@]}" readonly=yes >text
grep -q 'flush  *fsync@openssh.com' text && grep -q 'round trip .*s (' text \
  && grep -q 'sandbox .*seccomp' text && grep -q 'write .*only be read' text \
  || die "probe: $(cat text)"
[ "$(stat -c %s images/one.img)" = 3145728 ] || die "probe has changed it"
documented probe probe
ok "probe says what an SFTP file can do"

fails 2 'is a list of volumes' probe "$(sftp_url "$dir/images")" "${key[@]}"
ok "a list is no volume (for the rest of bad input: cli-bad.sh)"

# ------------------------------------------------------------------------- iSCSI

if command -v tgtd >/dev/null; then
  make_targets () {
    truncate -s 4M lun1.img
    truncate -s 6M lun2.img
    tgt_target 1 "$iqn"
    tgt_lun 1 1 lun1.img
    tgt_lun 1 2 lun2.img
    tgt_open 1
    tgt_target 2 "$iqn.second"
    tgt_lun 2 1 lun1.img
    tgt_open 2
  }
  start_tgt make_targets
  bulkhead discover --json iscsi://127.0.0.1:3261 >list
  [ "$(jq -r '.[] | "\(.name) \(.size)"' list | sort)" = "$iqn.second/1 4194304
$iqn/1 4194304
$iqn/2 6291456" ] || die "iSCSI: $(cat list)"
  [ "$(bulkhead discover --json "iscsi://127.0.0.1:3261/$iqn" \
    | jq -r '.[] | "\(.name) \(.size)"')" = "1 4194304
2 6291456" ] || die "LUNs of one target"
  bulkhead probe --json "$(jq -r '.[] | select(.size == 6291456).url' list)" \
    >probe
  jq -e '.size == 6291456 and .can.flush.means == "SYNCHRONIZE CACHE"
    and .can.fua.native' probe >/dev/null || die "probe: $(cat probe)"
  fails 3 'LUN' probe "$(iscsi_url 9)"
  stop_tgt
  ok "discover lists targets with their LUNs, and probe opens one"
fi

# --------------------------------------------------------------------------- NFS

if [ "$(id -u)" = 0 ] && command -v ganesha.nfsd >/dev/null; then
  need_ganesha
  ganesha_export 1 "$dir/export" 'Access_Type = RW;'
  truncate -s 7M "$dir/export/disk.img"
  start_ganesha
  bulkhead discover --json nfs://127.0.0.1/ >list
  jq -e 'length > 0' list >/dev/null || die "NFS exports: $(cat list)"
  bulkhead discover --json nfs://127.0.0.1/pseudo1 version=4.2 >list
  [ "$(jq -r '.[] | "\(.name) \(.size)"' list)" = "disk.img 7340032" ] \
    || die "NFS files: $(cat list)"
  bulkhead probe --json "$(jq -r '.[0].url' list)" version=4.2 >probe
  jq -e '.size == 7340032 and .can.flush.means == "COMMIT"' probe >/dev/null \
    || die "probe: $(cat probe)"
  ok "discover lists exports and files of an NFS server, and probe opens one"
fi

# ------------------------------------------------------------------------ doctor

code=0
bulkhead doctor --json >list || code=$?
[ "$code" = 0 ] || die "doctor: $code: $(cat list)"
jq -e '[.[] | select(.check == "seccomp" or .check == "plugin"
  or .check == "worker" or .check == "nbdkit") | .health == "ok"]
  | length == 4 and all' list >/dev/null || die "doctor: $(cat list)"
jq -e '[.[] | select(.health != "ok") | .mend != null] | all' list >/dev/null \
  || die "doctor names no remedy: $(cat list)"
documented doctor list
ok "doctor is content with this machine (cli-doctor.sh: where something lacks)"
