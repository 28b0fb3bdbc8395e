# One program for each target. In an ordinary build replay.c is its main, and
# make check runs it over its corpus; with --enable-fuzzer the fuzzer's is.
FUZZ_TARGETS = \
	%D%/agent \
	%D%/broker \
	%D%/catalog \
	%D%/conf \
	%D%/control \
	%D%/iscsi_engine \
	%D%/iscsi_login \
	%D%/iscsi_pdu \
	%D%/iscsi_text \
	%D%/known_hosts \
	%D%/listing \
	%D%/nfs_compound \
	%D%/nfs_engine \
	%D%/nfs_records \
	%D%/nfs_replies \
	%D%/nfs_starttls \
	%D%/nfs_walk \
	%D%/openssh_key \
	%D%/opening \
	%D%/options \
	%D%/places \
	%D%/rings \
	%D%/scsi_data \
	%D%/scsi_layer \
	%D%/scsi_sense \
	%D%/sftp_engine \
	%D%/sftp_packets \
	%D%/shared_files \
	%D%/ssh_greeting \
	%D%/ssh_key \
	%D%/store \
	%D%/url
check_PROGRAMS += $(FUZZ_TARGETS)

if FUZZER
FUZZ_MAIN =
else
FUZZ_MAIN = libfuzzreplay.la
endif
check_LTLIBRARIES += libfuzzreplay.la libfuzzdrive.la
libfuzzreplay_la_SOURCES = %D%/replay.c %D%/target.h
libfuzzdrive_la_SOURCES = %D%/drive.c %D%/drive.h %D%/refusals.c \
	%D%/refusals.h
libfuzzdrive_la_LIBADD = libprotocols.la
FUZZ_LIBS = $(FUZZ_MAIN) $(LIB_FUZZING_ENGINE)

fuzz_agent_SOURCES = %D%/agent.c
fuzz_agent_LDADD = $(FUZZ_LIBS) libcache.la
fuzz_broker_SOURCES = %D%/broker.c
fuzz_broker_LDADD = $(FUZZ_LIBS) libcache.la
fuzz_catalog_SOURCES = %D%/catalog.c
fuzz_catalog_LDADD = $(FUZZ_LIBS) $(GATEWAY_LIBS)
fuzz_conf_SOURCES = %D%/conf.c
fuzz_conf_LDADD = $(FUZZ_LIBS) libcliconf.la $(GATEWAY_LIBS)
fuzz_control_SOURCES = %D%/control.c
fuzz_control_LDADD = $(FUZZ_LIBS) libipc.la
fuzz_iscsi_engine_SOURCES = %D%/iscsi_engine.c
fuzz_iscsi_engine_LDADD = $(FUZZ_LIBS) libfuzzdrive.la
fuzz_iscsi_login_SOURCES = %D%/iscsi_login.c
fuzz_iscsi_login_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_iscsi_pdu_SOURCES = %D%/iscsi_pdu.c
fuzz_iscsi_pdu_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_iscsi_text_SOURCES = %D%/iscsi_text.c
fuzz_iscsi_text_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_known_hosts_SOURCES = %D%/known_hosts.c
fuzz_known_hosts_LDADD = $(FUZZ_LIBS) libcache.la
fuzz_listing_SOURCES = %D%/listing.c
fuzz_listing_LDADD = $(FUZZ_LIBS) libcommon.la
fuzz_nfs_compound_SOURCES = %D%/nfs_compound.c
fuzz_nfs_compound_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_nfs_engine_SOURCES = %D%/nfs_engine.c
fuzz_nfs_engine_LDADD = $(FUZZ_LIBS) libfuzzdrive.la
fuzz_nfs_records_SOURCES = %D%/nfs_records.c
fuzz_nfs_records_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_nfs_replies_SOURCES = %D%/nfs_replies.c
fuzz_nfs_replies_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_nfs_starttls_SOURCES = %D%/nfs_starttls.c
fuzz_nfs_starttls_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_nfs_walk_SOURCES = %D%/nfs_walk.c
fuzz_nfs_walk_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_openssh_key_SOURCES = %D%/openssh_key.c
fuzz_openssh_key_LDADD = $(FUZZ_LIBS) libcache.la
fuzz_opening_SOURCES = %D%/opening.c
fuzz_opening_LDADD = $(FUZZ_LIBS) libcache.la
fuzz_options_SOURCES = %D%/options.c
fuzz_options_LDADD = $(FUZZ_LIBS) $(GATEWAY_LIBS)
fuzz_places_SOURCES = %D%/places.c
fuzz_places_LDADD = $(FUZZ_LIBS) libcache.la
fuzz_rings_SOURCES = %D%/rings.c
fuzz_rings_LDADD = $(FUZZ_LIBS) libcache_logic.la libgateway_logic.la libipc.la
fuzz_scsi_data_SOURCES = %D%/scsi_data.c
fuzz_scsi_data_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_scsi_layer_SOURCES = %D%/scsi_layer.c $(SCSI_LUN)
fuzz_scsi_layer_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_scsi_sense_SOURCES = %D%/scsi_sense.c
fuzz_scsi_sense_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_sftp_engine_SOURCES = %D%/sftp_engine.c
fuzz_sftp_engine_LDADD = $(FUZZ_LIBS) libfuzzdrive.la
fuzz_sftp_packets_SOURCES = %D%/sftp_packets.c
fuzz_sftp_packets_LDADD = $(FUZZ_LIBS) libprotocols.la
fuzz_shared_files_SOURCES = %D%/shared_files.c
fuzz_shared_files_LDADD = $(FUZZ_LIBS) libipc.la
fuzz_ssh_greeting_SOURCES = %D%/ssh_greeting.c
fuzz_ssh_greeting_LDADD = $(FUZZ_LIBS) libworker.la libcommon.la
fuzz_ssh_key_SOURCES = %D%/ssh_key.c
fuzz_ssh_key_LDADD = $(FUZZ_LIBS) libcache.la
fuzz_store_SOURCES = %D%/store.c
fuzz_store_LDADD = $(FUZZ_LIBS) libcache_logic.la libipc.la
fuzz_url_SOURCES = %D%/url.c
fuzz_url_LDADD = $(FUZZ_LIBS) $(GATEWAY_LIBS)

# Writes down conversations with real servers: see fuzz/README.md.
EXTRA_PROGRAMS += %D%/record
fuzz_record_SOURCES = %D%/record.c
fuzz_record_LDADD = libprotocols.la
# … and those of unit tests: see fuzz/scribe.sh.
EXTRA_DIST += %D%/scribe.c %D%/scribe.sh

TESTS += %D%/replay.sh
EXTRA_DIST += %D%/README.md %D%/afl.sh %D%/replay.sh %D%/run.sh \
	%D%/coverage.sh %D%/turns.sh %D%/ledger %D%/corpus %D%/dict

.PHONY: fuzz fuzz-turns fuzz-afl fuzz-memcheck coverage
fuzz:
	$(srcdir)/fuzz/run.sh $(srcdir) fuzz-build $(TARGET)
fuzz-turns:
	FUZZ_SECONDS=0 $(srcdir)/fuzz/run.sh $(srcdir) fuzz-build $(TARGET)
	$(srcdir)/fuzz/turns.sh $(srcdir) fuzz-build $(srcdir)/fuzz/ledger \
	  $(TARGET)
# What ASan does not see: decisions by bytes that nobody wrote.
fuzz-memcheck: $(FUZZ_TARGETS)
	srcdir=$(srcdir) REPLAY_UNDER='valgrind -q --error-exitcode=9' \
	  $(srcdir)/fuzz/replay.sh
fuzz-afl:
	$(srcdir)/fuzz/afl.sh $(srcdir) fuzz-afl-build $(TARGET)
coverage:
	$(srcdir)/fuzz/coverage.sh $(srcdir) coverage-build
