EXTRA_DIST += %D%/fds.h
