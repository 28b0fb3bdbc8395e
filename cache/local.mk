# All of the daemon but main.c, so that the unit tests link it too.
noinst_LTLIBRARIES += libcache.la
libcache_la_SOURCES = \
	%D%/keys.c %D%/keys.h \
	%D%/keys_openssh.c \
	%D%/known_hosts.c %D%/known_hosts.h \
	%D%/signer.c %D%/signer.h
libcache_la_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
libcache_la_LIBADD = libipc.la libparams.la libcommon.la \
	$(OPENSSL_LIBS) $(EV_LIBS)
