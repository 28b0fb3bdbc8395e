CACHE_UNIT_TESTS = \
	tests/unit/cache/address_test \
	tests/unit/cache/agent_test \
	tests/unit/cache/backoff_test \
	tests/unit/cache/chap_test \
	tests/unit/cache/connect_test \
	tests/unit/cache/credentials_test \
	tests/unit/cache/crowd_test \
	tests/unit/cache/daemon_test \
	tests/unit/cache/dial_test \
	tests/unit/cache/keys_test \
	tests/unit/cache/known_hosts_test \
	tests/unit/cache/lease_test \
	tests/unit/cache/place_test \
	tests/unit/cache/login_test \
	tests/unit/cache/report_test \
	tests/unit/cache/shared_test \
	tests/unit/cache/sessions_test \
	tests/unit/cache/signer_test \
	tests/unit/cache/silence_test \
	tests/unit/cache/status_test \
	tests/unit/cache/store_test \
	tests/unit/cache/tls_login_test
check_PROGRAMS += $(CACHE_UNIT_TESTS) tests/unit/cache/fake_worker
TESTS += $(CACHE_UNIT_TESTS)
EXTRA_DIST += %D%/daemon_stage.h %D%/fake_agent.h %D%/keys_vectors.h %D%/locked_vectors.h %D%/page_that_waits.h

tests_unit_cache_address_test_SOURCES = %D%/address_test.c
tests_unit_cache_address_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_agent_test_SOURCES = %D%/agent_test.c
tests_unit_cache_agent_test_LDADD = libcache.la $(UNIT_LIBS) -lpthread
tests_unit_cache_backoff_test_SOURCES = %D%/backoff_test.c
tests_unit_cache_backoff_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_chap_test_SOURCES = %D%/chap_test.c
tests_unit_cache_chap_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_place_test_SOURCES = %D%/place_test.c
tests_unit_cache_place_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_credentials_test_SOURCES = %D%/credentials_test.c
tests_unit_cache_credentials_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_dial_test_SOURCES = %D%/dial_test.c
tests_unit_cache_dial_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_keys_test_SOURCES = %D%/keys_test.c
tests_unit_cache_keys_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_known_hosts_test_SOURCES = %D%/known_hosts_test.c
tests_unit_cache_known_hosts_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_lease_test_SOURCES = %D%/lease_test.c
tests_unit_cache_lease_test_LDADD = libcache_logic.la $(UNIT_LIBS)
tests_unit_cache_report_test_SOURCES = %D%/report_test.c
tests_unit_cache_report_test_LDADD = libcache_logic.la libipc.la $(UNIT_LIBS)
tests_unit_cache_shared_test_SOURCES = %D%/shared_test.c
tests_unit_cache_shared_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_store_test_SOURCES = %D%/store_test.c
tests_unit_cache_store_test_LDADD = libcache_logic.la libipc.la $(UNIT_LIBS) \
	-lpthread
tests_unit_cache_login_test_SOURCES = %D%/login_test.c
tests_unit_cache_login_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_signer_test_SOURCES = %D%/signer_test.c
tests_unit_cache_signer_test_LDADD = libcache.la $(UNIT_LIBS)
# The whole daemon but its main, with a worker that follows a script.
tests_unit_cache_crowd_test_SOURCES = %D%/crowd_test.c
tests_unit_cache_crowd_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_silence_test_SOURCES = %D%/silence_test.c
tests_unit_cache_silence_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_daemon_test_SOURCES = %D%/daemon_test.c
tests_unit_cache_daemon_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_status_test_SOURCES = %D%/status_test.c
tests_unit_cache_status_test_LDADD = libcache.la $(UNIT_LIBS) -lpthread
tests_unit_cache_sessions_test_SOURCES = %D%/sessions_test.c
tests_unit_cache_sessions_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_fake_worker_SOURCES = %D%/fake_worker.c
tests_unit_cache_fake_worker_LDADD = libipc.la libcommon.la
# Runs the bulkheadd of this build.
tests_unit_cache_connect_test_SOURCES = %D%/connect_test.c
tests_unit_cache_connect_test_LDADD = libipc.la libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/cache/quota_test
TESTS += tests/unit/cache/quota_test
tests_unit_cache_quota_test_SOURCES = %D%/quota_test.c
tests_unit_cache_quota_test_LDADD = libcache_logic.la libcommon.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/cache/foreign_test
TESTS += tests/unit/cache/foreign_test
tests_unit_cache_foreign_test_SOURCES = %D%/foreign_test.c
tests_unit_cache_foreign_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_tls_login_test_SOURCES = %D%/tls_login_test.c
tests_unit_cache_tls_login_test_LDADD = libcache.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/cache/closer_test tests/unit/cache/peek_test
TESTS += tests/unit/cache/closer_test tests/unit/cache/peek_test
tests_unit_cache_closer_test_SOURCES = %D%/closer_test.c
tests_unit_cache_closer_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_peek_test_SOURCES = %D%/peek_test.c
tests_unit_cache_peek_test_LDADD = libcache.la $(UNIT_LIBS)
