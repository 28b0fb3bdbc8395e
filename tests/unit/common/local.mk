check_PROGRAMS += tests/unit/common/err_test
TESTS += tests/unit/common/err_test
tests_unit_common_err_test_SOURCES = %D%/err_test.c
tests_unit_common_err_test_LDADD = libcommon.la $(UNIT_LIBS)
