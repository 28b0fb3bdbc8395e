libprotocols_la_SOURCES += \
	%D%/dialect.h \
	%D%/engine.c %D%/engine.h \
	%D%/identity.c \
	%D%/lanes.c %D%/lanes.h \
	%D%/mount.c %D%/mount.h \
	%D%/mount_codec.c %D%/mount_codec.h \
	%D%/nfs.h \
	%D%/nfs3_codec.c %D%/nfs3_codec.h \
	%D%/options.c \
	%D%/rpc.c %D%/rpc.h %D%/rpc_private.h \
	%D%/rpc_receive.c \
	%D%/starttls.c \
	%D%/transfer.c %D%/transfer.h \
	%D%/v3.c %D%/v3.h \
	%D%/v3_list.c \
	%D%/v3_probe.c \
	%D%/v3_start.c \
	%D%/v4.h \
	%D%/v4_attr.c %D%/v4_attr.h \
	%D%/v4_compound.h \
	%D%/v4_decode.c \
	%D%/v4_dialect.c \
	%D%/v4_encode.c \
	%D%/v4_file.c \
	%D%/v4_io.c \
	%D%/v4_lanes.c \
	%D%/v4_list.c \
	%D%/v4_locations.c \
	%D%/v4_memory.c \
	%D%/v4_plus.c \
	%D%/v4_proto.h \
	%D%/v4_slots.c %D%/v4_slots.h \
	%D%/v4_start.c \
	%D%/v4_status.c \
	%D%/v4_steps.c \
	%D%/v4_walk.c \
	%D%/walk.c %D%/walk.h \
	%D%/xdr.c %D%/xdr.h
