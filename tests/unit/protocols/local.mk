SFTP_TESTS = \
	tests/unit/protocols/sftp/server_test
check_PROGRAMS += $(SFTP_TESTS)
TESTS += $(SFTP_TESTS)

tests_unit_protocols_sftp_server_test_SOURCES = %D%/sftp/server_test.c
tests_unit_protocols_sftp_server_test_LDADD = libprotocols.la
