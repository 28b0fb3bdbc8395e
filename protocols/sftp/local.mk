libprotocols_la_SOURCES += \
	%D%/engine.c \
	%D%/sftp.h
