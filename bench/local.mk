# What bulkhead costs and gains, beside what a user would pick instead. See
# bench/run.sh for the options.
check_PROGRAMS += bench/relay
bench_relay_SOURCES = %D%/relay.c

bench: all bench/relay
	BULKHEAD_BUILDDIR='$(abs_top_builddir)' $(srcdir)/bench/run.sh \
	  --rounds $${BENCH_ROUNDS-3} $(BENCH_FLAGS)
	$(MAKE) bench-nfs

# Alone, with options of its own: BENCH_NFS_FLAGS='--rows rand-d1'.
bench-nfs: all bench/relay
	BULKHEAD_BUILDDIR='$(abs_top_builddir)' $(srcdir)/bench/nfs.sh \
	  --rounds $${BENCH_ROUNDS-3} $(BENCH_NFS_FLAGS) || test $$? = 77
.PHONY: bench-nfs
.PHONY: bench

EXTRA_DIST += %D%/nfs.sh %D%/run.sh
