libprotocols_la_SOURCES += \
	%D%/codec.c %D%/codec.h \
	%D%/engine.c \
	%D%/list.c %D%/list.h \
	%D%/sftp.h \
	%D%/startup.c %D%/startup.h \
	%D%/transfer.c %D%/transfer.h
