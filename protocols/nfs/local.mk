libprotocols_la_SOURCES += \
	%D%/dialect.h \
	%D%/engine.c %D%/engine.h \
	%D%/identity.c \
	%D%/mount.c %D%/mount.h \
	%D%/mount_codec.c %D%/mount_codec.h \
	%D%/nfs.h \
	%D%/nfs3_codec.c %D%/nfs3_codec.h \
	%D%/options.c \
	%D%/rpc.c %D%/rpc.h %D%/rpc_private.h \
	%D%/rpc_receive.c \
	%D%/transfer.c %D%/transfer.h \
	%D%/v3.c %D%/v3.h \
	%D%/v3_list.c \
	%D%/v3_start.c \
	%D%/xdr.c %D%/xdr.h
