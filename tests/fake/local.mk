# fake

check_PROGRAMS += tests/fake/sbx-probe
tests_fake_sbx_probe_SOURCES = %D%/sbx-probe.c %D%/sbx-probe.h
tests_fake_sbx_probe_LDADD = libsandbox.la

check_PROGRAMS += tests/fake/cgroup-probe
tests_fake_cgroup_probe_SOURCES = %D%/cgroup-probe.c
tests_fake_cgroup_probe_LDADD = libsandbox.la

# Takes the place of bulkhead-worker: a folder with it under that name is
# BULKHEAD_LIBEXEC_DIR.
check_PROGRAMS += tests/fake/possessed-worker
tests_fake_possessed_worker_SOURCES = \
	%D%/possessed-worker.c %D%/possessed-worker.h
tests_fake_possessed_worker_LDADD = libsandbox.la libipc.la

check_PROGRAMS += tests/fake/policy-print
tests_fake_policy_print_SOURCES = %D%/policy-print.c
tests_fake_policy_print_LDADD = libsandbox.la

EXTRA_DIST += %D%/name-server.pl %D%/sftp-asyncssh.py %D%/sftp-paramiko.py

# A scripted iSCSI target.
check_PROGRAMS += tests/fake/iscsi-target
tests_fake_iscsi_target_SOURCES = %D%/iscsi-target.c %D%/iscsi-target.h \
	%D%/iscsi-answer.c %D%/iscsi-bytes.c %D%/iscsi-disk.c %D%/iscsi-login.c \
	%D%/iscsi-request.c

# An NFSv3 server that forgets what was not committed.
check_LTLIBRARIES += libfakenfs.la
libfakenfs_la_SOURCES = %D%/nfs3.c %D%/nfs3.h %D%/nfs4.c %D%/nfs4.h \
	%D%/nfs4-data.c %D%/nfs4-file.c %D%/nfs4-private.h %D%/nfs4-session.c
check_PROGRAMS += tests/fake/nfs-server
tests_fake_nfs_server_SOURCES = %D%/nfs-server.c
tests_fake_nfs_server_LDADD = libfakenfs.la

# Another uid at the socket of a host's daemon.
check_PROGRAMS += tests/fake/stranger
tests_fake_stranger_SOURCES = %D%/stranger.c
tests_fake_stranger_LDADD = libipc.la libcommon.la

# RPC over TLS in front of an NFS server, as it should be and not.
check_PROGRAMS += tests/fake/tls-front
tests_fake_tls_front_SOURCES = %D%/tls-front.c
tests_fake_tls_front_LDADD = $(LIBSSL_LIBS) $(OPENSSL_LIBS)

# Not the daemon that a client has hoped for.
check_PROGRAMS += tests/fake/other-daemon
tests_fake_other_daemon_SOURCES = %D%/other-daemon.c
tests_fake_other_daemon_LDADD = libipc.la libcommon.la

# A kernel that lacks something.
check_PROGRAMS += tests/fake/without
tests_fake_without_SOURCES = %D%/without.c
tests_fake_without_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS)
tests_fake_without_LDADD = $(SECCOMP_LIBS)
