CACHE_UNIT_TESTS = \
	tests/unit/cache/keys_test \
	tests/unit/cache/known_hosts_test \
	tests/unit/cache/lease_test \
	tests/unit/cache/shared_test \
	tests/unit/cache/signer_test \
	tests/unit/cache/store_test
check_PROGRAMS += $(CACHE_UNIT_TESTS)
TESTS += $(CACHE_UNIT_TESTS)
EXTRA_DIST += %D%/keys_vectors.h

tests_unit_cache_keys_test_SOURCES = %D%/keys_test.c
tests_unit_cache_keys_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_known_hosts_test_SOURCES = %D%/known_hosts_test.c
tests_unit_cache_known_hosts_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_lease_test_SOURCES = %D%/lease_test.c
tests_unit_cache_lease_test_LDADD = libcache_logic.la $(UNIT_LIBS)
tests_unit_cache_shared_test_SOURCES = %D%/shared_test.c
tests_unit_cache_shared_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_signer_test_SOURCES = %D%/signer_test.c
tests_unit_cache_signer_test_LDADD = libcache.la $(UNIT_LIBS)
tests_unit_cache_store_test_SOURCES = %D%/store_test.c
tests_unit_cache_store_test_LDADD = libcache_logic.la libipc.la $(UNIT_LIBS) \
	-lpthread
