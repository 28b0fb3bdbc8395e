SFTP_TESTS = \
	tests/unit/protocols/sftp/codec_test \
	tests/unit/protocols/sftp/lies_test \
	tests/unit/protocols/sftp/list_test \
	tests/unit/protocols/sftp/model_test \
	tests/unit/protocols/sftp/name_test \
	tests/unit/protocols/sftp/server_test \
	tests/unit/protocols/sftp/startup_test \
	tests/unit/protocols/sftp/transfer_test
check_PROGRAMS += $(SFTP_TESTS)
TESTS += $(SFTP_TESTS)

# The other end of an engine: the tests are the server.
check_LTLIBRARIES += libsftppeer.la
libsftppeer_la_SOURCES = %D%/sftp/peer.c %D%/sftp/peer.h
libsftppeer_la_LIBADD = libprotocols.la

tests_unit_protocols_sftp_codec_test_SOURCES = %D%/sftp/codec_test.c
tests_unit_protocols_sftp_codec_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_sftp_lies_test_SOURCES = %D%/sftp/lies_test.c
tests_unit_protocols_sftp_lies_test_LDADD = libsftppeer.la $(UNIT_LIBS)

tests_unit_protocols_sftp_list_test_SOURCES = %D%/sftp/list_test.c
tests_unit_protocols_sftp_list_test_LDADD = libsftppeer.la $(UNIT_LIBS)

tests_unit_protocols_sftp_model_test_SOURCES = %D%/sftp/model_test.c
tests_unit_protocols_sftp_model_test_LDADD = libsftppeer.la $(UNIT_LIBS)

tests_unit_protocols_sftp_name_test_SOURCES = %D%/sftp/name_test.c
tests_unit_protocols_sftp_name_test_LDADD = libsftppeer.la $(UNIT_LIBS)

tests_unit_protocols_sftp_server_test_SOURCES = %D%/sftp/server_test.c
tests_unit_protocols_sftp_server_test_LDADD = libprotocols.la

tests_unit_protocols_sftp_startup_test_SOURCES = %D%/sftp/startup_test.c
tests_unit_protocols_sftp_startup_test_LDADD = libsftppeer.la $(UNIT_LIBS)

tests_unit_protocols_sftp_transfer_test_SOURCES = %D%/sftp/transfer_test.c
tests_unit_protocols_sftp_transfer_test_LDADD = libsftppeer.la $(UNIT_LIBS)

include tests/unit/protocols/iscsi/local.mk

NFS_TESTS = \
	tests/unit/protocols/nfs/bad_input_test \
	tests/unit/protocols/nfs/engine_test \
	tests/unit/protocols/nfs/nfs3_codec_test \
	tests/unit/protocols/nfs/starttls_test \
	tests/unit/protocols/nfs/probe_test \
	tests/unit/protocols/nfs/resize_test \
	tests/unit/protocols/nfs/v4_codec_test \
	tests/unit/protocols/nfs/v4_io_test \
	tests/unit/protocols/nfs/v4_lanes_test \
	tests/unit/protocols/nfs/v4_once_test \
	tests/unit/protocols/nfs/v4_plus_test \
	tests/unit/protocols/nfs/v4_recovery_test \
	tests/unit/protocols/nfs/v4_slots_test \
	tests/unit/protocols/nfs/v4_start_test \
	tests/unit/protocols/nfs/v3_calls_test \
	tests/unit/protocols/nfs/v4_calls_test \
	tests/unit/protocols/nfs/walk_test
check_PROGRAMS += $(NFS_TESTS)
TESTS += $(NFS_TESTS)

# The other end, with a server that forgets.
check_LTLIBRARIES += libnfspeer.la
libnfspeer_la_SOURCES = %D%/nfs/peer.c %D%/nfs/peer.h \
	%D%/nfs/v4_peer.c %D%/nfs/v4_peer.h
libnfspeer_la_LIBADD = libfakenfs.la libprotocols.la

tests_unit_protocols_nfs_bad_input_test_SOURCES = %D%/nfs/bad_input_test.c
tests_unit_protocols_nfs_bad_input_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_engine_test_SOURCES = %D%/nfs/engine_test.c
tests_unit_protocols_nfs_engine_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_nfs3_codec_test_SOURCES = %D%/nfs/nfs3_codec_test.c
tests_unit_protocols_nfs_nfs3_codec_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_nfs_probe_test_SOURCES = %D%/nfs/probe_test.c
tests_unit_protocols_nfs_probe_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_starttls_test_SOURCES = %D%/nfs/starttls_test.c
tests_unit_protocols_nfs_starttls_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_nfs_resize_test_SOURCES = %D%/nfs/resize_test.c
tests_unit_protocols_nfs_resize_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_codec_test_SOURCES = %D%/nfs/v4_codec_test.c
tests_unit_protocols_nfs_v4_codec_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_io_test_SOURCES = %D%/nfs/v4_io_test.c
tests_unit_protocols_nfs_v4_io_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_lanes_test_SOURCES = %D%/nfs/v4_lanes_test.c
tests_unit_protocols_nfs_v4_lanes_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_once_test_SOURCES = %D%/nfs/v4_once_test.c
tests_unit_protocols_nfs_v4_once_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_plus_test_SOURCES = %D%/nfs/v4_plus_test.c
tests_unit_protocols_nfs_v4_plus_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_recovery_test_SOURCES = %D%/nfs/v4_recovery_test.c
tests_unit_protocols_nfs_v4_recovery_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_start_test_SOURCES = %D%/nfs/v4_start_test.c
tests_unit_protocols_nfs_v4_start_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_slots_test_SOURCES = %D%/nfs/v4_slots_test.c
tests_unit_protocols_nfs_v4_slots_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v3_calls_test_SOURCES = %D%/nfs/v3_calls_test.c
tests_unit_protocols_nfs_v3_calls_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_v4_calls_test_SOURCES = %D%/nfs/v4_calls_test.c
tests_unit_protocols_nfs_v4_calls_test_LDADD = libnfspeer.la $(UNIT_LIBS)

tests_unit_protocols_nfs_walk_test_SOURCES = %D%/nfs/walk_test.c
tests_unit_protocols_nfs_walk_test_LDADD = libnfspeer.la $(UNIT_LIBS)
