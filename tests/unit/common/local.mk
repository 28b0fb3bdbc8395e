check_PROGRAMS += tests/unit/common/cleanup_test
TESTS += tests/unit/common/cleanup_test
tests_unit_common_cleanup_test_SOURCES = %D%/cleanup_test.c
tests_unit_common_cleanup_test_LDADD = libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/copy_test
TESTS += tests/unit/common/copy_test
tests_unit_common_copy_test_SOURCES = %D%/copy_test.c
tests_unit_common_copy_test_LDADD = libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/err_test
TESTS += tests/unit/common/err_test
tests_unit_common_err_test_SOURCES = %D%/err_test.c
tests_unit_common_err_test_LDADD = libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/io_test
TESTS += tests/unit/common/io_test
tests_unit_common_io_test_SOURCES = %D%/io_test.c
tests_unit_common_io_test_LDADD = libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/listing_test
TESTS += tests/unit/common/listing_test
tests_unit_common_listing_test_SOURCES = %D%/listing_test.c
tests_unit_common_listing_test_LDADD = libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/log_test
TESTS += tests/unit/common/log_test
tests_unit_common_log_test_SOURCES = %D%/log_test.c
tests_unit_common_log_test_LDADD = libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/param_test
TESTS += tests/unit/common/param_test
tests_unit_common_param_test_SOURCES = %D%/param_test.c
tests_unit_common_param_test_LDADD = libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/wire_test
TESTS += tests/unit/common/wire_test
tests_unit_common_wire_test_SOURCES = %D%/wire_test.c
tests_unit_common_wire_test_LDADD = libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/text_test
TESTS += tests/unit/common/text_test
tests_unit_common_text_test_SOURCES = %D%/text_test.c
tests_unit_common_text_test_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
tests_unit_common_text_test_LDADD = libcommon.la $(JANSSON_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/common/stranger_test
TESTS += tests/unit/common/stranger_test
tests_unit_common_stranger_test_SOURCES = %D%/stranger_test.c
tests_unit_common_stranger_test_LDADD = libcommon.la $(UNIT_LIBS)
