WORKER_TESTS = \
	tests/unit/worker/aesctr_test \
	tests/unit/worker/greeting_test \
	tests/unit/worker/loop_test \
	tests/unit/worker/netbuf_test \
	tests/unit/worker/rsa_name_test \
	tests/unit/worker/transport_tcp_test \
	tests/unit/worker/transport_tls_test
check_PROGRAMS += $(WORKER_TESTS)
TESTS += $(WORKER_TESTS)
WORKER_TEST_LIBS = libworker.la libipc.la libcommon.la $(UNIT_LIBS)

tests_unit_worker_aesctr_test_SOURCES = %D%/aesctr_test.c
tests_unit_worker_aesctr_test_LDADD = $(WORKER_TEST_LIBS)
tests_unit_worker_greeting_test_SOURCES = %D%/greeting_test.c
tests_unit_worker_greeting_test_LDADD = $(WORKER_TEST_LIBS)
tests_unit_worker_loop_test_SOURCES = %D%/loop_test.c
tests_unit_worker_loop_test_LDADD = $(WORKER_TEST_LIBS) -lpthread
tests_unit_worker_netbuf_test_SOURCES = %D%/netbuf_test.c
tests_unit_worker_netbuf_test_LDADD = $(WORKER_TEST_LIBS)
tests_unit_worker_rsa_name_test_SOURCES = %D%/rsa_name_test.c
tests_unit_worker_rsa_name_test_LDADD = $(WORKER_TEST_LIBS)
tests_unit_worker_transport_tcp_test_SOURCES = %D%/transport_tcp_test.c
tests_unit_worker_transport_tcp_test_LDADD = $(WORKER_TEST_LIBS)
tests_unit_worker_transport_tls_test_SOURCES = %D%/transport_tls_test.c
tests_unit_worker_transport_tls_test_LDADD = libcache.la $(WORKER_TEST_LIBS) \
	$(LIBSSL_LIBS) $(OPENSSL_LIBS) -lpthread
