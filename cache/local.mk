# What is cached and what must go: pure, as gateway/inflight.c is.
noinst_LTLIBRARIES += libcache_logic.la
libcache_logic_la_SOURCES = \
	%D%/lease.c %D%/lease.h \
	%D%/quota.c %D%/quota.h \
	%D%/report.c %D%/report.h \
	%D%/store.c %D%/store.h

# All of the daemon but main.c, so that the unit tests link it too.
noinst_LTLIBRARIES += libcache.la
libcache_la_SOURCES = \
	%D%/address.c %D%/address.h \
	%D%/agent.c %D%/agent.h \
	%D%/agent_codec.c %D%/agent_codec.h \
	%D%/backoff.c %D%/backoff.h \
	%D%/bcrypt_pbkdf.c %D%/bcrypt_pbkdf.h %D%/pi.h \
	%D%/chap.c %D%/chap.h \
	%D%/client.c %D%/client.h \
	%D%/closer.c %D%/closer.h \
	%D%/conversation.c \
	%D%/credentials.c %D%/credentials.h \
	%D%/daemon.c %D%/daemon.h \
	%D%/dial.c %D%/dial.h \
	%D%/fills.c %D%/fills.h \
	%D%/foreign.c %D%/foreign.h \
	%D%/grace.c %D%/grace.h \
	%D%/keys.c %D%/keys.h \
	%D%/private_key.c %D%/private_key.h \
	%D%/keys_decrypt.c %D%/keys_decrypt.h \
	%D%/keys_openssh.c \
	%D%/host_glob.c %D%/host_glob.h \
	%D%/known_hosts.c %D%/known_hosts.h \
	%D%/login.c %D%/login.h \
	%D%/orphans.c %D%/orphans.h \
	%D%/peek.c %D%/peek.h \
	%D%/place.c %D%/place.h \
	%D%/relay.c %D%/relay.h \
	%D%/requester.c %D%/requester.h \
	%D%/resolver.c %D%/resolver.h \
	%D%/server.c %D%/server.h \
	%D%/shared.c %D%/shared.h %D%/shared_private.h \
	%D%/shared_set.c \
	%D%/signer.c %D%/signer.h \
	%D%/status.c %D%/status.h \
	%D%/stripes_file.c %D%/stripes_file.h \
	%D%/supervisor.c %D%/supervisor_dial.c %D%/supervisor_spawn.c %D%/supervisor.h \
	%D%/supervisor_private.h \
	%D%/tls_login.c %D%/tls_login.h \
	%D%/unlock.c %D%/unlock.h \
	%D%/volume.c %D%/volume.h \
	%D%/volume_key.c %D%/volume_key.h \
	%D%/volume_params.c %D%/volume_params.h
libcache_la_CPPFLAGS = $(AM_CPPFLAGS) $(OPENSSL_CFLAGS)
libcache_la_LIBADD = libcache_logic.la libsandbox.la libipc.la libparams.la libcommon.la \
	$(OPENSSL_LIBS) $(EV_LIBS)

sbin_PROGRAMS += bulkheadd
bulkheadd_SOURCES = %D%/main.c
bulkheadd_LDADD = libcache.la

helper_PROGRAMS += bulkhead-resolve
bulkhead_resolve_SOURCES = %D%/resolve_main.c %D%/address.c %D%/address.h
bulkhead_resolve_LDADD = libsandbox.la libipc.la libcommon.la

helper_PROGRAMS += bulkhead-relay
bulkhead_relay_SOURCES = %D%/relay_main.c
bulkhead_relay_LDADD = libsandbox.la libcommon.la
