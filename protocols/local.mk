# Parameter tables only: what gateway and daemon link (beside libcommon).
noinst_LTLIBRARIES += libparams.la
libparams_la_SOURCES = \
	%D%/params.c %D%/params.h \
	%D%/iscsi/params.c %D%/iscsi/params.h \
	%D%/nfs/params.c %D%/nfs/params.h \
	%D%/sftp/params.c %D%/sftp/params.h

# The engines: what the worker links.
noinst_LTLIBRARIES += libprotocols.la
libprotocols_la_SOURCES = \
	%D%/outbox.c %D%/outbox.h \
	%D%/proto.h \
	%D%/queue.h \
	%D%/registry.c
libprotocols_la_LIBADD = libcommon.la

include protocols/iscsi/local.mk
include protocols/sftp/local.mk
include protocols/nfs/local.mk
