#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the manuals say in numbers and lists is what the sources say. A row is
#
#   source | what stands in it | manual | what it says of that
#
# Whoever changes the one is told of the other. In manuals markup and ends of
# lines do not count, in sources runs of blanks.

srcdir=${srcdir:-.}
tmp=$(mktemp -d) || exit 1
trap 'rm -r "$tmp"' EXIT
bad=0

complain () {
  echo "$*"
  bad=1
}

# plain FILE: the manual as one line of words
plain () {
  sed 's/[A-Z]<\([^<>]*\)>/\1/g' "$srcdir/docs/$1.pod" | tr -s '\n ' '  '
}

# has SOURCE TEXT
has () {
  tr -s '\t ' '  ' <"$srcdir/$1" | grep -Fq -e "$2"
}

# says MANUAL TEXT
says () {
  [ -f "$tmp/$1" ] || plain "$1" >"$tmp/$1"
  grep -Fq -e "$2" "$tmp/$1"
}

rows () {
  sed -e '/^#/d' -e '/^$/d' <<'EOF'
# the plugin
gateway/options.c|#define REQUEST_SECONDS 30 |nbdkit-bulkhead-plugin|the request is sent again. 30 by default, 1 to 86400
gateway/options.c|"timeout", PARAM_UINT, PARAM_TO_GATEWAY, 1, 86400,|nbdkit-bulkhead-plugin|30 by default, 1 to 86400
gateway/options.c|"revalidate", PARAM_UINT, PARAM_TO_GATEWAY, 0, 86400,|nbdkit-bulkhead-plugin|so often (at most 86400)
gateway/options.c|seconds <= 86400|nbdkit-bulkhead-plugin|for SECONDS (at most 86400)
gateway/options.c|#define PREFETCH_DEFAULT (4u << 20)|nbdkit-bulkhead-plugin|The default is 4M; 0 never reads ahead
gateway/options.c|#define PREFETCH_MAX (8u << 20)|nbdkit-bulkhead-plugin|at most 8M
gateway/options.c|#define RETAIN_DEFAULT (64u << 20)|nbdkit-bulkhead-plugin|The default is 64M
gateway/options.c|#define RETAIN_MAX (2048u << 20)|nbdkit-bulkhead-plugin|4M at least and 2048M at most
gateway/retained.h|#define RETAINED_ENTRIES 32768u|nbdkit-bulkhead-plugin|there can be 32768 of them
gateway/exports.h|#define EXPORTS_OPEN 64u|nbdkit-bulkhead-plugin|At most 64 exports can be open
common/listing.h|#define LISTING_ENTRIES 4096u|nbdkit-bulkhead-plugin|At most 4096 names are listed
gateway/control.c|#define HANG_NS 2000000000ull|nbdkit-bulkhead-plugin|no progress for 2 seconds
gateway/doubt.h|#define DOUBT_FAIL_NS 3000000000ull|nbdkit-bulkhead-plugin|for three seconds at least; if it dies
gateway/doubt.c|#define TELL_NS 2000000000ull|nbdkit-bulkhead-plugin|for two seconds could not tell
gateway/control.c|#define NO_WRITE_NS 3000000000ull|nbdkit-bulkhead-plugin|be replaced after three seconds
gateway/control.c|#define NO_WRITE_DOUBLINGS 5u|nbdkit-bulkhead-plugin|before (96 at most)
gateway/inflight.h|#define INFLIGHT_DEATHS_FATAL 3u|nbdkit-bulkhead-plugin|A request that ends three workers in turn
gateway/control.c|#define FRUITLESS_NS 1000000000ull|nbdkit-bulkhead-plugin|A session that ends within a second
cache/supervisor.c|#define ATTEMPTS_BEFORE_READY 3|nbdkit-bulkhead-plugin|tried three times before that
gateway/link.c|#define OPEN_TIMEOUT_NS 90000000000ull|nbdkit-bulkhead-plugin|After 90 seconds it is given up
gateway/proof.c|#define STRIKES 8u|nbdkit-bulkhead-plugin|takes what is sent again eight times
gateway/lease.c|#define GIVE_BACK_NS 6000000000ull|nbdkit-bulkhead-plugin|for six seconds while another process waits
cache/dial.c|#define USER_TIMEOUT_MS 30000|nbdkit-bulkhead-plugin|noticed within 30 seconds

# bulkheadd
cache/backoff.h|#define BACKOFF_FIRST_NS 100000000ull|bulkheadd|after 0.1 s, 0.2 s, 0.4 s
cache/backoff.h|#define BACKOFF_MAX_NS 5000000000ull|bulkheadd|and so on up to 5 s
cache/backoff.h|#define BACKOFF_ADMITTED_FAILURES 4u|bulkheadd|0.8 s is the longest
cache/lease.h|#define LEASE_REVOKE_NS 10000000000ull|bulkheadd|does not give it back within 10 seconds
ipc/fence.h|#define FENCE_WAIT_NS 1000000000ull|bulkheadd|may write one second later
cache/grace.h|#define GRACE_NS 7000000000ull|bulkheadd|waits up to 7 seconds
cache/main.c|#define IDLE_TIMEOUT_S 60|bulkheadd|From 1 to 86400; 60 by default. Without
cache/main.c|#define IDLE_TIMEOUT_MAX_S 86400|bulkheadd|From 1 to 86400; 60 by default. Without
cache/main.c|#define RETAIN_S 60|bulkheadd|From 0 to 86400; 60 by default. It keeps
cache/main.c|#define RETAIN_MAX_S 86400|bulkheadd|From 0 to 86400; 60 by default. It keeps
cache/main.c|#define CACHE_BYTES (256ull << 20)|bulkheadd|The default is 256M, or an eighth
cache/main.c|#define CACHE_MEMORY_PART 8|bulkheadd|The default is 256M, or an eighth
cache/main.c|#define CACHE_BYTES_MAX (1ull << 40)|bulkheadd|1024G are the most
cache/main.c|#define VOLUMES_PER_UID 16|bulkheadd|16 volumes, 32 workers, 9G of memory
cache/main.c|#define WORKERS_PER_UID 32|bulkheadd|16 volumes, 32 workers, 9G of memory
cache/main.c|#define MEMORY_PER_UID (9ull << 30)|bulkheadd|16 volumes, 32 workers, 9G of memory
cache/main.c|#define DIALS_PER_UID 240|bulkheadd|240 attempts to connect to a server in a minute
cache/main.c|#define PER_UID_MAX 100000|bulkheadd|N is 1 to 100000
cache/main.c|#define LOG_BYTES_MAX (1 << 20)|bulkheadd|longer than 1 MiB, and begins anew at 64 MiB
cache/main.c|#define LOG_BYTES_FULL (64u << 20)|bulkheadd|longer than 1 MiB, and begins anew at 64 MiB
cache/server.h|#define SERVER_CLIENTS 64|bulkheadd|64 gateways with one volume each
cache/server.h|#define SERVER_HOST_CLIENTS 256|bulkheadd|256 with --host, of 128 users; 32 of them
cache/server.h|#define SERVER_ROOT_CLIENTS 32|bulkheadd|256 with --host, of 128 users; 32 of them
cache/quota.h|#define QUOTA_USERS 128u|bulkheadd|256 with --host, of 128 users; 32 of them
cache/resolver.h|#define RESOLVER_TIMEOUT_S 10.0|bulkheadd|10 seconds to resolve a name
cache/dial.h|#define DIAL_TIMEOUT_S 10.0|bulkheadd|and 10 seconds to connect
protocols/proto.h|#define PROTO_START_NS (20 *|bulkheadd|A worker has 20 seconds
sandbox/seal.c|#define WORKER_AS_BYTES (1024 * MIB)|bulkheadd|an address space of 1 GiB

# messages that are explained
gateway/exports.c|serving read-only: |nbdkit-bulkhead-plugin|serving read-only: ...
gateway/control.c|the server allows less than before|nbdkit-bulkhead-plugin|the server allows less than before
gateway/control.c|bulkheadd is gone|nbdkit-bulkhead-plugin|bulkheadd is gone; the worker goes on
gateway/adopt.c|#define TRY_LAST_NS 5000000000ull|nbdkit-bulkhead-plugin|at least every 5 seconds
gateway/control.c|it hangs: no progress for 2 seconds|nbdkit-bulkhead-plugin|it hangs: no progress for 2 seconds
gateway/control.c|the server has not answered a request in time|nbdkit-bulkhead-plugin|the server has not answered a request in time
gateway/control.c|it has come to another object on the server|nbdkit-bulkhead-plugin|it has come to another object on the server
gateway/proof.c|what was written cannot be made stable: %s; it is kept |nbdkit-bulkhead-plugin|what was written cannot be made stable: ...; it is kept
gateway/proof.c|#define RETRY_NS 1000000000ull|nbdkit-bulkhead-plugin|tried again every second
gateway/lease.c|acknowledged writes may be lost|nbdkit-bulkhead-plugin|acknowledged writes may be lost
cache/conversation.c|worker %d ready, epoch %llu|bulkheadd|ready, epoch N: ...
cache/supervisor.c|starts anew %s (failure %u)|bulkheadd|starts anew in N s (failure N)
cache/supervisor.c|was ended by its sandbox: it called %s (SIGSYS)|bulkheadd|was ended by its sandbox: it called ... (SIGSYS)
cache/shared.c|%u stripes of a dead process are settled|bulkheadd|N stripes of a dead process are settled
cache/shared.c|writes wait for a process that holds the write lease since |bulkheadd|writes wait for a process that holds the write lease since
cache/shared.c|a process that had written ended together with its |bulkheadd|a process that had written ended together with its
cache/supervisor.c|%u workers died before they were ready: the next one begins |bulkheadd|workers died before they were ready: the next one begins
cache/server.c|there are %u clients already|bulkheadd|there are N clients already

# bulkhead-worker
sandbox/seal.c|#define WORKER_AS_BYTES (1024 * MIB)|bulkhead-worker|at most 1 GiB of address space
sandbox/seal.c|#define RESOLVER_AS_BYTES (512 * MIB)|bulkhead-worker|64 descriptors, 512 MiB, and 10 seconds
sandbox/seal.c|#define RELAY_AS_BYTES (64 * MIB)|bulkhead-worker|the relay has 64 MiB
sandbox/seal.c|#define RESOLVER_CPU_S 10|bulkhead-worker|64 descriptors, 512 MiB, and 10 seconds
sandbox/cgroup.h|#define SBX_CGROUP_MEMORY_MIB 768|bulkhead-worker|768 MiB of memory, no swap, one process
sandbox/cgroup.h|#define SBX_CGROUP_MEMORY_MIB 768|bulkheadd|was out of memory (limit 768 MiB)
sandbox/cgroup.c|{"cpu.weight", "50",|bulkhead-worker|half of the usual weight
sandbox/fds.h|WORKER_FD_NET = 8,|bulkhead-worker|WORKER_FD_NET, 8 to 15
sandbox/fds.h|WORKER_FD_TRUST = 21,|bulkhead-worker|WORKER_FD_TRUST, 21

# SFTP
cache/login.h|#define LOGIN_ATTEMPTS 5u|bulkhead-sftp|no more than five are made
cache/login.h|#define LOGIN_PASSWORD_BYTES 1024 |bulkhead-sftp|It may have 1023 bytes
cache/login.h|#define LOGIN_PASSWORD_BYTES 1024 |bulkhead-iscsi|It may have 1023 bytes
cache/agent.h|#define AGENT_TIMEOUT_S 20.0|bulkhead-sftp|it has 20 seconds
cache/keys_decrypt.h|#define KEYS_ROUNDS_MAX 500u|bulkhead-sftp|at most 500 rounds
cache/login.h|#define LOGIN_KNOWN_HOSTS_BYTES (4u << 20)|bulkhead-sftp|may have up to 4 MiB
protocols/sftp/startup.h|#define STARTUP_TIMEOUT_NS (15ull *|bulkhead-sftp|given up after 15 seconds for each request
protocols/proto.h|#define PROTO_START_NS (20 *|bulkhead-sftp|and 20 for login and start together
protocols/proto.h|#define PROTO_START_NS (20 *|bulkhead-sftp|within 20 seconds. Of more than 256
protocols/sftp/list.h|#define LIST_FOLLOW_MAX 256u|bulkhead-sftp|Of more than 256 symbolic links
protocols/sftp/codec.h|#define SFTP_IO_DEFAULT_BYTES 32768u|bulkhead-sftp|Without it that is 32 KiB
worker/ssh_login.c|"curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"|bulkhead-sftp|curve25519-sha256, ecdh-sha2-nistp256, -nistp384 and -nistp521
worker/ssh_login.c|"ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group16-sha512,"|bulkhead-sftp|-nistp384 and -nistp521, diffie-hellman-group16-sha512
worker/ssh_login.c|"diffie-hellman-group14-sha256"}|bulkhead-sftp|and -group14-sha256;
worker/ssh_login.c|"aes128-ctr,aes256-ctr,aes192-ctr"|bulkhead-sftp|aes128-ctr, aes256-ctr and aes192-ctr;
worker/ssh_login.c|"hmac-sha2-256,hmac-sha2-512,hmac-sha1"|bulkhead-sftp|hmac-sha2-256, hmac-sha2-512 and hmac-sha1.

# iSCSI
protocols/iscsi/name.h|#define NAME_LUN_MAX 16383u|bulkhead-iscsi|numbers of 0 to 16383
protocols/iscsi/settings.h|"iqn.2001-04.com.example:bulkhead"|bulkhead-iscsi|default: iqn.2001-04.com.example:bulkhead
cache/chap.h|#define CHAP_SECRET_BYTES 12u|bulkhead-iscsi|One of less than 12 bytes is taken
cache/place.h|#define PLACES 16u|bulkhead-iscsi|At most 16 places
cache/place.h|#define ROUTE_MOVES 8u|bulkhead-iscsi|After eight redirects
protocols/iscsi/session_task.c|s->setup.request_ns / 3 * 2|bulkhead-iscsi|within two thirds of timeout= (so, 20 seconds)
protocols/iscsi/session_task.c|part_ns * (function == PDU_ABORT_TASK ? 25 : 29)|bulkhead-iscsi|at five sixths at the latest
protocols/iscsi/session_task.c|#define BUSY_SILENCE_NS (5 *|bulkhead-iscsi|silent for 5 seconds with commands under way
protocols/iscsi/session_task.c|#define IDLE_SILENCE_NS (30 *|bulkhead-iscsi|or for 30 seconds without
protocols/iscsi/scsi_disk.h|#define SCSI_SAME_WRITTEN_BYTES (4u << 20)|bulkhead-iscsi|in steps of at most 4 MiB
gateway/transfer.c|#define ZEROED_BYTES (4u << 20)|bulkhead-iscsi|in steps of at most 4 MiB
protocols/iscsi/session_task.c|#define NOP_TIMEOUT_NS (10 *|bulkhead-iscsi|says nothing for another 10
protocols/iscsi/identity.h|#define IDENTITY_WAIT_MAX_NS (60ull *|bulkhead-iscsi|for at most a minute
protocols/proto.h|#define PROTO_START_WAIT_NS (18 *|bulkhead-iscsi|or busy, is waited for: 18 seconds
protocols/iscsi/scsi.c|#define CAPACITY_LIFE_NS (5ull *|bulkhead-iscsi|when it is five seconds old
protocols/iscsi/scsi_disk.h|((request_ns) / 6 * 5)|bulkhead-iscsi|tried again for five sixths of timeout=
protocols/iscsi/scsi_disk.h|#define SCSI_TRIES 16u|bulkhead-iscsi|are sent again at most 16 times
protocols/iscsi/scsi_disk.h|#define SCSI_ABORTS 2u|bulkhead-iscsi|what we had to abort, once
protocols/iscsi/scsi_probe.h|#define SCSI_PROBE_LUNS 1024u|bulkhead-iscsi|Of a target at most 1024 LUNs are listed
gateway/notes.h|#define NOTES_LOGGED 10u|bulkhead-iscsi|at most ten in ten seconds
gateway/notes.h|#define NOTES_WINDOW_NS 10000000000ull|bulkhead-iscsi|at most ten in ten seconds

# NFS
protocols/nfs/walk.h|#define WALK_LINKS_MAX 40u|bulkhead-nfs|are followed, at most 40 of them
protocols/nfs/mount.c|#define TRIES_MAX 32u|bulkhead-nfs|the nearest first, at most 32
protocols/nfs/dialect.h|char client[65];|bulkhead-nfs|At most 64 characters
cache/tls_login.h|#define TLS_CHAIN_BYTES 12288|bulkhead-nfs|together 12 KiB at most
worker/transport_tls.c|#define TRUST_BYTES (4u << 20)|bulkhead-nfs|tls-ca=, which may have 4 MiB
protocols/nfs/v4_slots.h|#define V4_SLOTS 129u|bulkhead-nfs|grants, at most 129
protocols/nfs/v4.h|#define V4_MENDS_MAX 8u|bulkhead-nfs|fails after at most nine refusals
protocols/nfs/v4_lanes.c|#define ANSWER_TIMEOUT_NS (10 *|bulkhead-nfs|without an answer for 10 seconds
protocols/nfs/v4_lanes.c|#define BINDS_MAX 8u|bulkhead-nfs|forgets it eight times
protocols/nfs/v4_lanes.c|#define QUIET_NS (60 *|bulkhead-nfs|used at least once a minute
protocols/nfs/transfer.c|#define DELAY_FIRST_NS (100 * MS)|bulkhead-nfs|after 0.1 s and then longer
protocols/nfs/transfer.c|#define DELAY_LONGEST_NS (5000 * MS)|bulkhead-nfs|up to 5 s. After a minute it fails
protocols/nfs/transfer.c|#define DELAY_IN_ALL_NS (60000 * MS)|bulkhead-nfs|up to 5 s. After a minute it fails
protocols/proto.h|#define PROTO_START_WAIT_NS (18 *|bulkhead-nfs|is waited for during 18 seconds
protocols/nfs/v4_plus.c|#define LEAST_BYTES (16u * 1024)|bulkhead-nfs|reads of 16 KiB and more
protocols/nfs/v4_plus.c|#define WATCHED 32u|bulkhead-nfs|Where 32 of them in a row
protocols/nfs/v4_plus.c|#define PLAIN_READS 512u|bulkhead-nfs|the next 512 reads are plain
protocols/nfs/transfer.h|#define NFS_IO_MAX_BYTES (1024u * 1024)|bulkhead-nfs|Calls carry at most 1 MiB
protocols/nfs/v4.h|#define V4_IO_LEAST_BYTES 512u|bulkhead-nfs|down to 512 bytes

# the command
cli/conf.h|#define CONF_BYTES (1u << 20)|bulkhead.conf|A file has 1 MiB at most, a volume 32 keys, and there are 512 volumes
cli/conf.h|#define CONF_VOLUMES 512u|bulkhead.conf|A file has 1 MiB at most, a volume 32 keys, and there are 512 volumes
gateway/options.h|#define OPTIONS_PAIRS 32|bulkhead.conf|A file has 1 MiB at most, a volume 32 keys, and there are 512 volumes
cli/conf.h|#define CONF_NAME_BYTES 64u|bulkhead.conf|it has less than 64 of them
cli/attach.c|{"timeout", 1, 86400, 30},|bulkhead-attach|30 by default, 1 to 86400. Less
cli/attach.c|{"dead-timeout", 1, 86400 * 7, 600},|bulkhead-attach|600 by default, 1 to 604800.
cli/attach.c|{"size-check", 0, 86400, 10},|bulkhead-attach|10 by default, 86400 at most.
cli/attach.c|{"threads", 1, 512, 32},|bulkhead-attach|32 by default, 1 to 512.
cli/attach.c|#define LOG_BYTES (1 << 20)|bulkhead-attach|when it is longer than 1 MiB
ipc/stats.h|#define STATS_SAMPLE 64u|bulkhead-status|one in 64 is timed
EOF
}

rows >"$tmp/rows"
while IFS='|' read -r source text manual words; do
  has "$source" "$text" \
    || complain "$source has no more \"$text\": what does docs/$manual.pod say?"
  says "$manual" "$words" \
    || complain "docs/$manual.pod does not say \"$words\", as $source has it"
done <"$tmp/rows"

# every_word TABLE SOURCE MANUAL: each word of an X-macro is explained
every_word () {
  sed -n "/^#define $1(X)/,/[^\\\\]\$/s/.*X (.*\"\\(.*\\)\".*/\\1/p" \
    "$srcdir/$2" >"$tmp/words"
  [ -s "$tmp/words" ] || complain "$2 has no $1"
  while read -r word; do
    says "$3" "$word" || complain "docs/$3.pod does not explain \"$word\""
  done <"$tmp/words"
}
every_word STATUS_WORKER_TABLE ipc/status.h bulkhead-status
every_word STATUS_LEASE_TABLE ipc/status.h bulkhead-status
every_word SBX_LAYER_TABLE sandbox/sandbox.h bulkhead-worker

# every_key SOURCE MANUAL: each parameter of a table has an item there, and is
# in README.md
every_key () {
  sed -n 's/^ *{"\([a-z-]*\)", PARAM_.*/\1/p' "$srcdir/$1" \
    | grep -vx -e url -e host -e path -e list >"$tmp/keys"
  [ -s "$tmp/keys" ] || complain "$1 has no parameters"
  while read -r key; do
    grep -Eq "^=item .*B<$key=" "$srcdir/docs/$2.pod" \
      || complain "docs/$2.pod has no item $key="
    grep -q "\`$key=" "$srcdir/README.md" \
      || complain "README.md does not have $key="
  done <"$tmp/keys"
}
for protocol in sftp nfs iscsi; do
  every_key protocols/$protocol/params.c bulkhead-$protocol
done
every_key gateway/options.c nbdkit-bulkhead-plugin
every_key protocols/params.c nbdkit-bulkhead-plugin

exit $bad
