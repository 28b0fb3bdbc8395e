noinst_LTLIBRARIES += libipc.la
libipc_la_SOURCES = \
	%D%/channel.c %D%/channel.h \
	%D%/connect.c %D%/connect.h \
	%D%/control.c %D%/control.h \
	%D%/fence.h \
	%D%/fill.c %D%/fill.h \
	%D%/hash.h \
	%D%/pages.c %D%/pages.h \
	%D%/ring.c %D%/ring.h \
	%D%/runtime.c %D%/runtime.h \
	%D%/shm.c %D%/shm.h \
	%D%/stats.c %D%/stats.h \
	%D%/status.c %D%/status.h \
	%D%/stripes.c %D%/stripes.h \
	%D%/volume.c %D%/volume.h \
	%D%/want.c %D%/want.h
libipc_la_LIBADD = libcommon.la
