SCSI_TESTS = \
	%D%/scsi_cdb_test \
	%D%/scsi_data_test \
	%D%/scsi_disk_test \
	%D%/scsi_event_test \
	%D%/scsi_probe_test \
	%D%/scsi_sense_test
check_PROGRAMS += $(SCSI_TESTS)
TESTS += $(SCSI_TESTS)

tests_unit_protocols_iscsi_scsi_cdb_test_SOURCES = %D%/scsi_cdb_test.c
tests_unit_protocols_iscsi_scsi_cdb_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_iscsi_scsi_data_test_SOURCES = %D%/scsi_data_test.c
tests_unit_protocols_iscsi_scsi_data_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_iscsi_scsi_sense_test_SOURCES = %D%/scsi_sense_test.c
tests_unit_protocols_iscsi_scsi_sense_test_LDADD = libprotocols.la $(UNIT_LIBS)

# The session is the tests' own.
SCSI_LUN = %D%/lun.c %D%/lun.h
tests_unit_protocols_iscsi_scsi_disk_test_SOURCES = \
	%D%/scsi_disk_test.c $(SCSI_LUN)
tests_unit_protocols_iscsi_scsi_disk_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_iscsi_scsi_event_test_SOURCES = \
	%D%/scsi_event_test.c $(SCSI_LUN)
tests_unit_protocols_iscsi_scsi_event_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_iscsi_scsi_probe_test_SOURCES = \
	%D%/scsi_probe_test.c $(SCSI_LUN)
tests_unit_protocols_iscsi_scsi_probe_test_LDADD = libprotocols.la $(UNIT_LIBS)

# The target is the tests' own, byte by byte.
check_LTLIBRARIES += libiscsitarget.la
libiscsitarget_la_SOURCES = %D%/target.c %D%/target.h
libiscsitarget_la_LIBADD = libprotocols.la

ISCSI_TESTS = \
	%D%/bad_test \
	%D%/keys_test \
	%D%/login_test \
	%D%/pdu_test \
	%D%/session_test
check_PROGRAMS += $(ISCSI_TESTS)
TESTS += $(ISCSI_TESTS)

tests_unit_protocols_iscsi_bad_test_SOURCES = %D%/bad_test.c
tests_unit_protocols_iscsi_bad_test_LDADD = libiscsitarget.la $(UNIT_LIBS)

tests_unit_protocols_iscsi_keys_test_SOURCES = %D%/keys_test.c
tests_unit_protocols_iscsi_keys_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_iscsi_login_test_SOURCES = %D%/login_test.c
tests_unit_protocols_iscsi_login_test_LDADD = libiscsitarget.la $(UNIT_LIBS)

tests_unit_protocols_iscsi_pdu_test_SOURCES = %D%/pdu_test.c
tests_unit_protocols_iscsi_pdu_test_LDADD = libprotocols.la $(UNIT_LIBS)

tests_unit_protocols_iscsi_session_test_SOURCES = %D%/session_test.c
tests_unit_protocols_iscsi_session_test_LDADD = libiscsitarget.la $(UNIT_LIBS)
