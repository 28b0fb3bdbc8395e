# Whole programs against real servers: see HACKING.md.
AM_TESTS_ENVIRONMENT = \
	BULKHEAD_BUILDDIR='$(abs_top_builddir)'; export BULKHEAD_BUILDDIR;

check_PROGRAMS += tests/system/nbd-model
tests_system_nbd_model_SOURCES = %D%/nbd-model.c
tests_system_nbd_model_CFLAGS = $(AM_CFLAGS) $(LIBNBD_CFLAGS)
tests_system_nbd_model_LDADD = $(LIBNBD_LIBS)

check_PROGRAMS += tests/system/find-bytes
tests_system_find_bytes_SOURCES = %D%/find-bytes.c

# For ./run in AddressSanitizer builds.
check_LTLIBRARIES += tests/system/no-freelocale.la
tests_system_no_freelocale_la_SOURCES = %D%/no-freelocale.c
tests_system_no_freelocale_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version \
	-shared -rpath /nowhere

SYSTEM_TESTS = \
	%D%/basics.sh \
	%D%/lifecycle.sh \
	%D%/errors.sh \
	%D%/exports.sh \
	%D%/interop.sh \
	%D%/auth.sh \
	%D%/canary.sh \
	%D%/cli.sh \
	%D%/cli-attach.sh \
	%D%/cli-serve.sh \
	%D%/logins.sh \
	%D%/connections.sh \
	%D%/crash.sh \
	%D%/death.sh \
	%D%/rekey.sh \
	%D%/daemon.sh \
	%D%/large.sh \
	%D%/leaving.sh \
	%D%/lost.sh \
	%D%/nfs.sh \
	%D%/nfs-forgetful.sh \
	%D%/nfs-revalidate.sh \
	%D%/nfs-tls.sh \
	%D%/nfs4.sh \
	%D%/nfs4-connections.sh \
	%D%/nfs4-tls.sh \
	%D%/possessed.sh \
	%D%/readme.sh \
	%D%/resolve.sh \
	%D%/restart.sh \
	%D%/revalidate.sh

check_PROGRAMS += tests/system/coherence
tests_system_coherence_SOURCES = %D%/coherence.c %D%/gateways.c \
	%D%/gateways.h %D%/registers.c %D%/registers.h
tests_system_coherence_CFLAGS = $(AM_CFLAGS) $(LIBNBD_CFLAGS)
tests_system_coherence_LDADD = $(LIBNBD_LIBS)
SYSTEM_TESTS += %D%/coherence.sh

check_PROGRAMS += tests/system/nbd-steps
tests_system_nbd_steps_SOURCES = %D%/nbd-steps.c
tests_system_nbd_steps_CFLAGS = $(AM_CFLAGS) $(LIBNBD_CFLAGS)
tests_system_nbd_steps_LDADD = $(LIBNBD_LIBS)
SYSTEM_TESTS += %D%/cache.sh
SYSTEM_TESTS += %D%/joined.sh

check_PROGRAMS += tests/system/worker-driver
tests_system_worker_driver_SOURCES = %D%/worker-driver.c \
	%D%/worker-driver-io.c %D%/worker-driver.h
tests_system_worker_driver_LDADD = libsandbox.la libipc.la libcommon.la \
	$(OPENSSL_LIBS)
SYSTEM_TESTS += %D%/worker.sh

SYSTEM_TESTS += %D%/host.sh %D%/walls.sh
# What a sanitizer calls is not what a worker calls.
EXTRA_DIST += %D%/calls.sh
if !SANITIZED
SYSTEM_TESTS += %D%/calls.sh
endif

SYSTEM_TESTS += %D%/cli-bad.sh %D%/cli-conf.sh %D%/cli-copy.sh \
	%D%/cli-discover.sh %D%/cli-doctor.sh %D%/cli-status.sh
SYSTEM_TESTS += %D%/iscsi.sh %D%/iscsi-bad.sh %D%/iscsi-crash.sh \
	%D%/iscsi-paths.sh %D%/iscsi-redirect.sh %D%/iscsi-thin.sh

TESTS += $(SYSTEM_TESTS)
EXTRA_DIST += $(SYSTEM_TESTS) %D%/ganesha.sh %D%/lib.sh %D%/tgt.sh %D%/tls.sh
