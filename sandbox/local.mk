noinst_LTLIBRARIES += libsandbox.la
libsandbox_la_SOURCES = \
	%D%/cgroup.c %D%/cgroup.h \
	%D%/child.c %D%/child.h \
	%D%/fds.h \
	%D%/landlock.c %D%/landlock.h \
	%D%/look.c \
	%D%/policy.c %D%/policy.h \
	%D%/root.c %D%/root.h \
	%D%/sandbox.h \
	%D%/seal.c \
	%D%/spawn.c
libsandbox_la_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS)
libsandbox_la_LIBADD = libcommon.la $(SECCOMP_LIBS)
