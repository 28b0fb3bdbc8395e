noinst_LTLIBRARIES += libipc.la
libipc_la_SOURCES = \
	%D%/channel.c %D%/channel.h \
	%D%/control.c %D%/control.h \
	%D%/ring.c %D%/ring.h \
	%D%/shm.c %D%/shm.h \
	%D%/volume.c %D%/volume.h
libipc_la_LIBADD = libcommon.la
