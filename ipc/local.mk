noinst_LTLIBRARIES += libipc.la
libipc_la_SOURCES = \
	%D%/channel.c %D%/channel.h \
	%D%/connect.c %D%/connect.h \
	%D%/control.c %D%/control.h \
	%D%/ring.c %D%/ring.h \
	%D%/runtime.c %D%/runtime.h \
	%D%/shm.c %D%/shm.h \
	%D%/volume.c %D%/volume.h
libipc_la_LIBADD = libcommon.la
