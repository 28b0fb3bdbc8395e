# The worker, but for main: what unit tests link too.
noinst_LTLIBRARIES += libworker.la
libworker_la_SOURCES = \
	%D%/aesctr.c %D%/aesctr.h \
	%D%/broker.c %D%/broker.h \
	%D%/greeting.c %D%/greeting.h \
	%D%/loop.c %D%/loop.h \
	%D%/netbuf.c %D%/netbuf.h \
	%D%/rsa_name.c %D%/rsa_name.h \
	%D%/ssh.h \
	%D%/ssh_login.c \
	%D%/tls.h \
	%D%/tls_fault.c \
	%D%/tls_judge.c \
	%D%/tls_key.c %D%/tls_key.h \
	%D%/transport.c %D%/transport.h \
	%D%/transport_ssh.c \
	%D%/transport_tcp.c \
	%D%/transport_tls.c \
	%D%/warmup.c %D%/warmup.h
libworker_la_LIBADD = $(LIBSSH2_LIBS) $(LIBSSL_LIBS) $(OPENSSL_LIBS)

helper_PROGRAMS += bulkhead-worker
bulkhead_worker_SOURCES = %D%/main.c
bulkhead_worker_LDADD = libworker.la libprotocols.la libsandbox.la libipc.la \
	libcommon.la
