check_PROGRAMS += tests/unit/ipc/ring_test
TESTS += tests/unit/ipc/ring_test
tests_unit_ipc_ring_test_SOURCES = %D%/ring_test.c
tests_unit_ipc_ring_test_LDADD = libipc.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/ipc/channel_test
TESTS += tests/unit/ipc/channel_test
tests_unit_ipc_channel_test_SOURCES = %D%/channel_test.c
tests_unit_ipc_channel_test_LDADD = libipc.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/ipc/control_test
TESTS += tests/unit/ipc/control_test
tests_unit_ipc_control_test_SOURCES = %D%/control_test.c
tests_unit_ipc_control_test_LDADD = libipc.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/ipc/volume_test
TESTS += tests/unit/ipc/volume_test
tests_unit_ipc_volume_test_SOURCES = %D%/volume_test.c
tests_unit_ipc_volume_test_LDADD = libipc.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/ipc/runtime_test
TESTS += tests/unit/ipc/runtime_test
tests_unit_ipc_runtime_test_SOURCES = %D%/runtime_test.c
tests_unit_ipc_runtime_test_LDADD = libipc.la libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/ipc/want_test
TESTS += tests/unit/ipc/want_test
tests_unit_ipc_want_test_SOURCES = %D%/want_test.c
tests_unit_ipc_want_test_LDADD = libipc.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/ipc/stats_test tests/unit/ipc/status_test
TESTS += tests/unit/ipc/stats_test tests/unit/ipc/status_test
tests_unit_ipc_stats_test_SOURCES = %D%/stats_test.c
tests_unit_ipc_stats_test_LDADD = libipc.la $(UNIT_LIBS)
tests_unit_ipc_status_test_SOURCES = %D%/status_test.c
tests_unit_ipc_status_test_LDADD = libipc.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/ipc/stripes_test
TESTS += tests/unit/ipc/stripes_test
tests_unit_ipc_stripes_test_SOURCES = %D%/stripes_test.c
tests_unit_ipc_stripes_test_LDADD = libipc.la $(UNIT_LIBS)
