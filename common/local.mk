noinst_LTLIBRARIES += libcommon.la
libcommon_la_SOURCES = \
	%D%/cleanup.h \
	%D%/clock.h \
	%D%/copy.h \
	%D%/err.c %D%/err.h \
	%D%/io.c %D%/io.h \
	%D%/listing.c %D%/listing.h \
	%D%/log.c %D%/log.h \
	%D%/param.c %D%/param.h \
	%D%/stranger.c %D%/stranger.h \
	%D%/text.c %D%/text.h \
	%D%/want.h \
	%D%/wire.h
