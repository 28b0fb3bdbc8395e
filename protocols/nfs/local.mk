libprotocols_la_SOURCES += \
	%D%/dialect.h \
	%D%/rpc.h \
	%D%/transfer.h \
	%D%/xdr.c %D%/xdr.h
