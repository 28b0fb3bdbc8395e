FAKE_PEER = tests/fake/peer.c tests/fake/peer.h \
	tests/fake/peer_link.c tests/fake/peer_link.h \
	tests/fake/peer_private.h tests/fake/peer_worker.c \
	tests/fake/disk.c tests/fake/disk.h
FAKE_PEER_LIBS = $(GATEWAY_LIBS) libcache_logic.la
check_PROGRAMS += tests/unit/gateway/catalog_test \
	tests/unit/gateway/coherence_test tests/unit/gateway/doubt_test \
	tests/unit/gateway/growth_test \
	tests/unit/gateway/hot_test tests/unit/gateway/inflight_test tests/unit/gateway/join_test \
	tests/unit/gateway/joined_test tests/unit/gateway/link_test \
	tests/unit/gateway/notes_test \
	tests/unit/gateway/options_test tests/unit/gateway/overlap_test \
	tests/unit/gateway/prefetch_test \
	tests/unit/gateway/proof_test tests/unit/gateway/readonly_test \
	tests/unit/gateway/replay_test \
	tests/unit/gateway/retained_test \
	tests/unit/gateway/revalidate_test tests/unit/gateway/unanswered_test \
	tests/unit/gateway/url_test
TESTS += tests/unit/gateway/catalog_test \
	tests/unit/gateway/coherence_test tests/unit/gateway/doubt_test \
	tests/unit/gateway/growth_test \
	tests/unit/gateway/hot_test tests/unit/gateway/inflight_test tests/unit/gateway/join_test \
	tests/unit/gateway/joined_test tests/unit/gateway/link_test \
	tests/unit/gateway/notes_test \
	tests/unit/gateway/options_test tests/unit/gateway/overlap_test \
	tests/unit/gateway/prefetch_test \
	tests/unit/gateway/proof_test tests/unit/gateway/readonly_test \
	tests/unit/gateway/replay_test \
	tests/unit/gateway/retained_test \
	tests/unit/gateway/revalidate_test tests/unit/gateway/unanswered_test \
	tests/unit/gateway/url_test
tests_unit_gateway_join_test_SOURCES = %D%/join_test.c
tests_unit_gateway_join_test_LDADD = libgateway_logic.la libipc.la \
	$(UNIT_LIBS)
tests_unit_gateway_joined_test_SOURCES = %D%/joined_test.c $(FAKE_PEER)
tests_unit_gateway_joined_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_doubt_test_SOURCES = %D%/doubt_test.c $(FAKE_PEER)
tests_unit_gateway_doubt_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_growth_test_SOURCES = %D%/growth_test.c $(FAKE_PEER)
tests_unit_gateway_growth_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_hot_test_SOURCES = %D%/hot_test.c
tests_unit_gateway_hot_test_LDADD = $(GATEWAY_LIBS) $(UNIT_LIBS)
tests_unit_gateway_unanswered_test_SOURCES = %D%/unanswered_test.c $(FAKE_PEER)
tests_unit_gateway_unanswered_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_inflight_test_SOURCES = %D%/inflight_test.c
tests_unit_gateway_inflight_test_LDADD = libgateway_logic.la libipc.la \
	$(UNIT_LIBS)
tests_unit_gateway_catalog_test_SOURCES = %D%/catalog_test.c
tests_unit_gateway_catalog_test_LDADD = $(GATEWAY_LIBS) $(UNIT_LIBS)
tests_unit_gateway_url_test_SOURCES = %D%/url_test.c
tests_unit_gateway_url_test_LDADD = $(GATEWAY_LIBS) $(UNIT_LIBS)
tests_unit_gateway_link_test_SOURCES = %D%/link_test.c $(FAKE_PEER)
tests_unit_gateway_link_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_options_test_SOURCES = %D%/options_test.c
tests_unit_gateway_options_test_LDADD = $(GATEWAY_LIBS) $(UNIT_LIBS)
tests_unit_gateway_coherence_test_SOURCES = %D%/coherence_test.c $(FAKE_PEER)
tests_unit_gateway_coherence_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_notes_test_SOURCES = %D%/notes_test.c
tests_unit_gateway_notes_test_LDADD = libgateway_logic.la $(UNIT_LIBS)
tests_unit_gateway_overlap_test_SOURCES = %D%/overlap_test.c $(FAKE_PEER)
tests_unit_gateway_overlap_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_prefetch_test_SOURCES = %D%/prefetch_test.c
tests_unit_gateway_prefetch_test_LDADD = libgateway_logic.la $(UNIT_LIBS)
tests_unit_gateway_revalidate_test_SOURCES = %D%/revalidate_test.c
tests_unit_gateway_revalidate_test_LDADD = libgateway_logic.la $(UNIT_LIBS)
tests_unit_gateway_readonly_test_SOURCES = %D%/readonly_test.c $(FAKE_PEER)
tests_unit_gateway_readonly_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_replay_test_SOURCES = %D%/replay_test.c $(FAKE_PEER)
tests_unit_gateway_replay_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
tests_unit_gateway_retained_test_SOURCES = %D%/retained_test.c
tests_unit_gateway_retained_test_LDADD = libgateway_logic.la $(UNIT_LIBS)
tests_unit_gateway_proof_test_SOURCES = %D%/proof_test.c $(FAKE_PEER)
tests_unit_gateway_proof_test_LDADD = $(FAKE_PEER_LIBS) $(UNIT_LIBS)
