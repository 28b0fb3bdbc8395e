#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# NFS against NFS-Ganesha: copies, random I/O against a model while the server
# is killed and started again, what goes wrong in words, lists.
time_limit=240
. "$(dirname "$0")/lib.sh"
. "$lib_dir/ganesha.sh"

need_ganesha
random_file source "$(mib 64)"
ganesha_export 1 "$dir/srv/export" 'Access_Type = RW;'
ganesha_export 2 "$dir/srv/export/inner" 'Access_Type = RW;'
ganesha_export 3 "$dir/srv/readonly" 'Access_Type = RO;'
ganesha_export 4 "$dir/srv/squash" 'Access_Type = RW;' 'Squash = All_Squash;'
mkdir -p srv/export/a/b srv/export/inner
cp source srv/export/a/b/disk.img
cp source srv/export/small
start_ganesha
url=nfs://127.0.0.1

for version in ${NFS_VERSIONS-3}; do
  case $version in
    3) root=$dir/srv/export ;;
    *) root=/pseudo1 ;;
  esac
  cp source srv/export/a/b/disk.img
  start_nbdkit "copy$version" bulkhead "$url$root/a/b/disk.img" \
    "version=$version"
  nbdcopy "$uri" copy
  cmp source copy
  ok "version $version: copied from the server"
  random_file other "$(mib 64)"
  nbdcopy --flush other "$uri"
  cmp other srv/export/a/b/disk.img
  ok "version $version: copied to the server"
  stop_nbdkit

  random_file srv/export/small 16
  start_nbdkit "model$version" bulkhead "$url$root/small" "version=$version"
  model_begins --seconds 8 --connections 2 --max-bytes 524288 --out expected \
    "$uri"
  for i in 1 2 3; do
    sleep 1
    kill_ganesha
    start_ganesha
  done
  wait "$client" || die "the model failed: $(tail -n 3 client.log)"
  cmp expected srv/export/small
  ok "version $version: random I/O equals the model with 3 servers killed"
  stop_nbdkit
done

# refused WHAT REGEX ARGUMENT…: in one line.
refused () {
  local what=$1 regex=$2 status=0
  shift 2
  timeout 30 "$run" nbdkit -f -U "$dir/refused.sock" bulkhead "$@" \
    >refused.log 2>&1 </dev/null || status=$?
  [ "$status" != 0 ] || die "$what: nbdkit starts"
  [ "$status" != 124 ] || die "$what: no answer"
  [ "$(wc -l <refused.log)" = 1 ] || die "$what: $(cat refused.log)"
  grep -Eiq -- "$regex" refused.log || die "$what: $(cat refused.log)"
  ok "$what: $(sed 's/^nbdkit: error: //' refused.log | cut -c1-150)"
}

at=$url$dir/srv
cp srv/export/small srv/squash/secret
chmod 0600 srv/squash/secret
cp srv/export/small srv/readonly/small
refused 'no such file' 'small2: no such file' "$at/export/small2" version=3
refused 'no such directory' 'no such file' "$at/export/x/y" version=3
refused 'no such export' 'exports no directory above' "$url/nowhere/at/all" version=3
refused 'no permission' 'permission|does not let' "$at/squash/secret" version=3
refused 'a version that is none' 'version=2' "$at/export/small" version=2
refused 'no MOUNT there' 'refused|MOUNT|mountd' "$at/export/small" version=3 \
  mountport=9


# Neither the owner nor others may read it.
head -c 1M source >srv/export/shared
chown 4711:4712 srv/export/shared
chmod 0040 srv/export/shared
refused 'not of its group' 'permission|does not let' "$at/export/shared" \
  version=3 uid=4710 gid=4710 groups=4713
for version in 3 4.2; do
  path=$at/export/shared
  [ $version = 3 ] || path=$url/pseudo1/shared
  start_nbdkit "groups$version" bulkhead "$path" version=$version uid=4710 \
    gid=4710 groups=4713,4712
  nbdcopy "$uri" copy
  cmp copy srv/export/shared
  stop_nbdkit
done
ok 'by groups= it may be read'

start_nbdkit readonly bulkhead "$at/readonly/small" version=3
nbdinfo --json "$uri" >info.json
grep -q '"is_read_only": *true' info.json || die "writable: $(cat info.json)"
nbdcopy "$uri" copy
cmp copy srv/readonly/small
grep -q 'write' readonly.log || die "nothing says why it is read-only"
ok 'a read-only export is served read-only'
stop_nbdkit

# An export below another one: the longer one is found.
cp srv/export/small srv/export/inner/small
start_nbdkit inner bulkhead "$at/export/inner/small" version=3
nbdcopy "$uri" copy
cmp copy srv/export/inner/small
ok 'the nearest export is found'
stop_nbdkit

# Without the portmapper.
start_nbdkit mountport bulkhead "$at/export/small" version=3 mountport=20048
nbdcopy "$uri" copy
cmp copy srv/export/small
ok 'mountport= does without the portmapper'
stop_nbdkit

# Its length, by resize= and nothing else.
resized () { # BYTES ARGUMENT…
  local bytes=$1
  shift
  start_nbdkit resize bulkhead "$@"
  [ "$(nbdinfo --size "$uri")" = "$bytes" ] || die "$* gives" \
    "$(nbdinfo --size "$uri") bytes"
  stop_nbdkit
}
cp source srv/export/sized
resized 33554432 "$at/export/sized" version=3 resize=32M
[ "$(stat -c %s srv/export/sized)" = 33554432 ] || die "not on the server"
resized 134217728 "$url/pseudo1/sized" version=4.2 resize=128m
[ "$(stat -c %s srv/export/sized)" = 134217728 ] || die "not on the server"
cmp -n 16777216 source srv/export/sized
refused 'resize= and readonly=' 'readonly=yes forbids' "$at/export/sized" \
  version=3 resize=1M readonly=yes
refused 'resize= of a directory' 'is a directory' "$at/export/" version=3 \
  resize=1M
refused 'resize= of what is read-only' 'resize=' "$at/readonly/small" \
  version=3 resize=1M
"$run" bulkhead probe "$at/export/sized" version=3 resize=1M >probe.log \
  || die "$(cat probe.log)"
[ "$(stat -c %s srv/export/sized)" = 134217728 ] || die "it was resized"
cmp srv/export/small srv/readonly/small || die "it was resized"
rm srv/export/sized
ok 'resize= makes a file longer and shorter, and nothing else does'

# A directory's files, and the server's exports, by name.
mkdir srv/export/list
for i in 1 2 3; do head -c $((i * 4096)) source >srv/export/list/file$i; done
mkdir srv/export/list/sub
listed () {
  nbdinfo --list --json "$uri" >list.json 2>list.err \
    || die "no list: $(cat list.err)"
  perl -MJSON::PP -e 'local $/; my $j = decode_json (<STDIN>);
    print join ",", sort map { $_->{"export-name"} . " " . $_->{"export-size"} }
      @{$j->{exports}};' <list.json
}
start_nbdkit list bulkhead "$at/export/list/" version=3
got=$(listed)
[ "$got" = 'file1 4096,file2 8192,file3 12288' ] || die "listed are: $got"
nbdcopy "nbd+unix:///file2?socket=$sock" copy
cmp copy srv/export/list/file2
ok 'a directory URL serves its files'
stop_nbdkit

start_nbdkit exports bulkhead "$url/" version=3
got=$(nbdinfo --list "$uri" 2>&1 || :)
grep -q "$dir/srv/export" <<<"/$got" || grep -q "srv/readonly" <<<"$got" \
  || die "no exports are listed: $got"
ok 'the server itself lists its exports'
stop_nbdkit
