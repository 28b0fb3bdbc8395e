# One program for each target. In an ordinary build replay.c is its main, and
# make check runs it over its corpus; with --enable-fuzzer the fuzzer's is.
FUZZ_TARGETS = \
	%D%/agent \
	%D%/control \
	%D%/iscsi_engine \
	%D%/known_hosts \
	%D%/listing \
	%D%/nfs_engine \
	%D%/sftp_engine \
	%D%/ssh_key \
	%D%/url
check_PROGRAMS += $(FUZZ_TARGETS)

if FUZZER
FUZZ_MAIN =
else
FUZZ_MAIN = libfuzzreplay.la
endif
check_LTLIBRARIES += libfuzzreplay.la libfuzzdrive.la
libfuzzreplay_la_SOURCES = %D%/replay.c %D%/target.h
libfuzzdrive_la_SOURCES = %D%/drive.c %D%/drive.h
libfuzzdrive_la_LIBADD = libprotocols.la
FUZZ_LIBS = $(FUZZ_MAIN) $(LIB_FUZZING_ENGINE)

fuzz_agent_SOURCES = %D%/agent.c
fuzz_agent_LDADD = $(FUZZ_LIBS) libcache.la 
fuzz_control_SOURCES = %D%/control.c
fuzz_control_LDADD = $(FUZZ_LIBS) libipc.la
fuzz_iscsi_engine_SOURCES = %D%/iscsi_engine.c
fuzz_iscsi_engine_LDADD = $(FUZZ_LIBS) libfuzzdrive.la
fuzz_known_hosts_SOURCES = %D%/known_hosts.c
fuzz_known_hosts_LDADD = $(FUZZ_LIBS) libcache.la 
fuzz_listing_SOURCES = %D%/listing.c
fuzz_listing_LDADD = $(FUZZ_LIBS) libcommon.la
fuzz_nfs_engine_SOURCES = %D%/nfs_engine.c
fuzz_nfs_engine_LDADD = $(FUZZ_LIBS) libfuzzdrive.la
fuzz_sftp_engine_SOURCES = %D%/sftp_engine.c
fuzz_sftp_engine_LDADD = $(FUZZ_LIBS) libfuzzdrive.la
fuzz_ssh_key_SOURCES = %D%/ssh_key.c
fuzz_ssh_key_LDADD = $(FUZZ_LIBS) libcache.la 
fuzz_url_SOURCES = %D%/url.c
fuzz_url_LDADD = $(FUZZ_LIBS) $(GATEWAY_LIBS)

# Writes down conversations with real servers: see fuzz/README.md.
EXTRA_PROGRAMS += %D%/record
fuzz_record_SOURCES = %D%/record.c
fuzz_record_LDADD = libprotocols.la

TESTS += %D%/replay.sh
EXTRA_DIST += %D%/README.md %D%/replay.sh %D%/run.sh %D%/coverage.sh %D%/corpus

.PHONY: fuzz coverage
fuzz:
	$(srcdir)/fuzz/run.sh $(srcdir) fuzz-build $(TARGET)
coverage:
	$(srcdir)/fuzz/coverage.sh $(srcdir) coverage-build
