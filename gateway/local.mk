# Request logic without system calls, clock and threads: what the simulator
# links as well.
noinst_LTLIBRARIES += libgateway_logic.la
libgateway_logic_la_SOURCES = \
	%D%/inflight.c %D%/inflight.h \
	%D%/join.c %D%/join.h \
	%D%/notes.c %D%/notes.h \
	%D%/prefetch.c %D%/prefetch.h \
	%D%/retained.c %D%/retained.h \
	%D%/revalidate.c %D%/revalidate.h

noinst_LTLIBRARIES += libgateway.la
libgateway_la_SOURCES = \
	%D%/adopt.c \
	%D%/ahead.c %D%/ahead.h \
	%D%/answer.c \
	%D%/catalog.c %D%/catalog.h \
	%D%/changes.c \
	%D%/control.c \
	%D%/doubt.c %D%/doubt.h \
	%D%/exports.c %D%/exports.h \
	%D%/hot.c %D%/hot.h \
	%D%/lease.c \
	%D%/link.c %D%/link.h %D%/link_private.h \
	%D%/options.c %D%/options.h %D%/options_private.h \
	%D%/options_defaults.c %D%/options_files.c %D%/options_help.c \
	%D%/proof.c %D%/proof.h \
	%D%/sockets.c %D%/sockets.h \
	%D%/stats.c %D%/stats.h \
	%D%/transfer.c %D%/transfer.h \
	%D%/url.c %D%/url.h \
	%D%/wait.c
libgateway_la_CPPFLAGS = $(AM_CPPFLAGS) $(URIPARSER_CFLAGS)
GATEWAY_LIBS = libgateway.la libgateway_logic.la libparams.la libipc.la \
	$(URIPARSER_LIBS) -lpthread

plugin_LTLIBRARIES += nbdkit-bulkhead-plugin.la
nbdkit_bulkhead_plugin_la_SOURCES = %D%/plugin.c
nbdkit_bulkhead_plugin_la_CPPFLAGS = $(AM_CPPFLAGS) $(NBDKIT_CFLAGS)
nbdkit_bulkhead_plugin_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version \
	-shared -export-symbols-regex '^(plugin_init|bulkhead_debug_.*)$$'
nbdkit_bulkhead_plugin_la_LIBADD = $(GATEWAY_LIBS)
